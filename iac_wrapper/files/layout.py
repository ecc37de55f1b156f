"""Where things lie in a project folder. Paths only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DEFAULT_PROJECT = "iacnet"

KeptLog = Literal["failed", "previous"]
"""Of which version the last lines are kept: of the one that failed last, of the one that was
replaced last."""


@dataclass(frozen=True)
class Layout:
    """Paths of the project folder `root` (the folder with cdktf.json)."""

    root: Path

    @property
    def data(self) -> Path:
        """Everything that can be made again, and Terraform's state."""
        return self.root / ".iac"

    @property
    def cache(self) -> Path:
        """Fetched sources, keyed by commit."""
        return self.data / "cache"

    @property
    def secrets(self) -> Path:
        """CA and leaf keys; 0700."""
        return self.root / "secrets"

    @property
    def jobs(self) -> Path:
        """Jobs of the admin API, a folder each."""
        return self.data / "jobs"

    @property
    def build_secrets(self) -> Path:
        """Files that reach image builds as BuildKit secrets: ``ca`` (PEM) and ``env`` (sh)."""
        return self.secrets / "build"

    def contexts(self, project: str) -> Path:
        """Build contexts of one project."""
        return self.data / "build" / project

    def context(self, project: str, image: str) -> Path:
        """Build context of an image tag ``iac/<project>-<service>:<hash>``."""
        name = image.removeprefix(f"iac/{project}-").replace(":", "-")
        return self.contexts(project) / name

    def project(self, project: str) -> Path:
        """State, logs and workspace lock of one project."""
        return self.data / "projects" / project

    def state(self, project: str) -> Path:
        """Terraform's state file."""
        return self.project(project) / "terraform.tfstate"

    def keeper(self, project: str) -> Path:
        """Held by the process that keeps the project running."""
        return self.project(project) / "keeper.lock"

    def users(self, project: str) -> Path:
        """Which uids the services have on this machine's engine."""
        return self.project(project) / "users.json"

    def passwd_files(self, project: str) -> Path:
        """A file per app: the ``/etc/passwd`` of its container."""
        return self.project(project) / "passwd"

    def passwd(self, project: str, service: str) -> Path:
        """``/etc/passwd`` of one app's container."""
        return self.passwd_files(project) / service

    def certificates(self, project: str) -> Path:
        """Leaf directories of one project, one per service."""
        return self.secrets / project

    def public_certificates(self, project: str) -> Path:
        """Certificates of public hosts, a folder per host; the ingress mounts it."""
        return self.certificates(project) / "public"

    def acme(self, project: str) -> Path:
        """Accounts at ACME servers and what is under way there, a folder per server."""
        return self.certificates(project) / "acme"

    def project_env_files(self, project: str) -> Path:
        """Secret environment values of one project, a folder per app."""
        return self.secrets / f"{project}.env"

    def stored_values(self, project: str) -> Path:
        """A `.env` file of what `iac env set --secret` keeps for ``${NAME}``; 0600."""
        return self.secrets / f"{project}.dotenv"

    def env_files(self, project: str, service: str) -> Path:
        """Secret environment values of one app, a file each."""
        return self.project_env_files(project) / service

    def candidate_env_files(self, project: str, service: str) -> Path:
        """Secret environment values of a version that is being tried."""
        return self.project_env_files(project) / f"{service}.candidate"

    def previous_env_files(self, project: str, service: str) -> Path:
        """Secret environment values that were proven last, while others are tried."""
        return self.project_env_files(project) / f"{service}.previous"

    def env_parts(self, project: str, service: str) -> Path:
        """Values that stand within the secret environment values of one app."""
        return self.project_env_files(project) / f"{service}.parts"

    def releases(self, project: str) -> Path:
        """Which versions were proven, and which services are stopped because none was."""
        return self.project(project) / "releases.json"

    def ledger(self, project: str) -> Path:
        """What was done to the project, and the locks that were applied; a destroy leaves it."""
        return self.data / "ledger" / project

    @property
    def plan_key(self) -> Path:
        """With which saved plans are sealed, and what may be guessed in them is hidden; 0600."""
        return self.data / "plan.key"

    def kept_log(self, project: str, kind: KeptLog, service: str) -> Path:
        """The last lines of a version that is not there any more."""
        return self.project(project) / kind / f"{service}.log"

    def runs(self, project: str) -> Path:
        """A folder per command that was run beside the services: its log, and how it ended."""
        return self.project(project) / "runs"

    def schedule(self, project: str) -> Path:
        """What is known of the times of each scheduled command, and how it ended last."""
        return self.project(project) / "schedule.json"

    def schedule_locks(self, project: str) -> Path:
        """A file per scheduled command, held by who runs it, and one by who writes the record."""
        return self.project(project) / "schedule"

    def run_env_files(self, project: str, run: str) -> Path:
        """Secret environment values of a version that is not deployed yet, for one run."""
        return self.project_env_files(project) / run

    def ingress(self, project: str) -> Path:
        """Listeners and routes of the ingress, which sees this folder."""
        return self.project(project) / "ingress"

    def outdir(self, project: str) -> Path:
        """Where cdktf writes. The default project has cdktf's own default, as its CLI does."""
        if project == DEFAULT_PROJECT:
            return self.root / "cdktf.out"
        return self.project(project) / "cdktf.out"


def network_name(project: str) -> str:
    """``iacnet`` for the default project, ``iacnet-<project>`` for others."""
    return project if project == DEFAULT_PROJECT else f"{DEFAULT_PROJECT}-{project}"


def gateway_name(project: str) -> str:
    """The name of a project's gateway container."""
    return f"{project}-gateway"


def ingress_name(project: str) -> str:
    """The name of a project's ingress container."""
    return f"{project}-ingress"


def container_name(project: str, service: str, role: str) -> str:
    """Engine-wide unique container name; role is ``app``, ``envoy``."""
    return f"{project}-{service}-{role}"


def volume_name(project: str, service: str, volume: str) -> str:
    """Engine-wide name of a data volume; `volume` is what repos.yaml calls it."""
    return f"{project}-{service}-{volume}"


def candidate_name(project: str, service: str) -> str:
    """The name of a candidate's Envoy container while it has no traffic."""
    return f"{project}-{service}-candidate"


def live_name(project: str, service: str) -> str:
    """The name that makes every caller go to the candidate: the sidecars ask for it."""
    return f"{project}-{service}-live"
