"""The settings, in the order of `.env.example`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model import pythons
from iac_wrapper.model.hosts import GitHost, Hosts
from iac_wrapper.model.options import MIN_MEMORY_MB
from iac_wrapper.settings import forms
from iac_wrapper.settings.setting import Setting


class Settings:
    """All settings. Each attribute raises a ConfigError if its value has not the form it needs.

    Args:
        environment: everything else: the process environment over `.env`, for ``${NAME}`` in
            repos.yaml.
        written: values as text, by the settings' names; an empty one counts as not set.
    """

    project = Setting(
        "IAC_PROJECT", "iacnet", forms.project, "Project (one stack, one network, one gateway)."
    )
    keeper = Setting(
        "IAC_KEEPER",
        "auto",
        forms.one_of("auto", "off"),
        "Whether a deploy and `iac admin serve` start a process that keeps the project running"
        " (`iac keep`): auto, or off.",
    )
    subnet = Setting(
        "IAC_SUBNET",
        "",
        forms.optional(forms.subnet),
        "Subnet of the project's network, CIDR. Empty: 172.20.0.0/16 for the project iacnet if"
        " nothing else has it, else a free one.",
    )
    gateway_port = Setting(
        "IAC_GATEWAY_PORT",
        "",
        forms.optional(forms.whole_number(1, 65535)),
        "Loopback port of the gateway. Empty: 15443 for the project iacnet, a free one for"
        " others.",
    )
    ingress_port = Setting(
        "IAC_INGRESS_PORT",
        "",
        forms.optional(forms.whole_number(1, 65535)),
        "Loopback port of services with `expose: true`. Empty: 15080 for the project iacnet, a"
        " free one for others.",
    )
    http_port = Setting(
        "IAC_HTTP_PORT",
        "80",
        forms.whole_number(1, 65535),
        "Port of this machine for public hosts, HTTP.",
    )
    https_port = Setting(
        "IAC_HTTPS_PORT",
        "443",
        forms.whole_number(1, 65535),
        "Port of this machine for public hosts, HTTPS.",
    )
    ingress_addresses = Setting(
        "IAC_INGRESS_ADDRESS",
        "0.0.0.0",  # noqa: S104 - public hosts are for everybody
        forms.addresses,
        "Addresses of this machine that public hosts are bound to, separated by commas; for IPv6"
        " add ::, if the engine has it.",
    )
    ingress_trusted_proxies = Setting(
        "IAC_INGRESS_TRUSTED_PROXIES",
        "",
        forms.networks,
        "Proxies before public hosts whose X-Forwarded headers are believed: networks (CIDR),"
        " separated by commas. Empty: none.",
    )
    lock_file = Setting(
        "IAC_LOCK_FILE",
        "",
        forms.text,
        "Lock file that main.py synthesizes, relative to the project folder. Empty:"
        " repos.lock.json.",
    )
    home = Setting(
        "IAC_HOME",
        "",
        forms.optional(forms.folder),
        "Folder of this machine's tools and of the record of its images. Empty: .iac of a"
        " checkout; of an installed iac, a folder for its version in karstkit below XDG_DATA_HOME"
        " or ~/.local/share.",
    )
    provider = Setting(
        "IAC_PROVIDER",
        "auto",
        forms.one_of("auto", "registry", "embedded"),
        "Docker provider for Terraform: auto, registry, embedded.",
    )
    python_version = Setting(
        "IAC_PYTHON_VERSION",
        "3.11",
        forms.one_of(*reversed(pythons.SUPPORTED)),
        f"Python of app images that ask for no other ({', '.join(reversed(pythons.SUPPORTED))}).",
    )
    base_images = Setting(
        "IAC_BASE_IMAGES",
        "auto",
        forms.one_of("auto", "registry", "debian"),
        "Base images: auto (pull when a registry answers), registry, debian (build from Debian"
        " packages).",
    )
    entrypoint = Setting(
        "ENTRYPOINT",
        "",
        forms.text,
        "Entrypoint of the one app that is deployed (module, module:function or path). Empty:"
        " detected.",
    )
    github_url = Setting(
        "IAC_GITHUB_URL", "https://github.com", forms.text, "Base URL of gh: slugs."
    )
    gitlab_url = Setting(
        "IAC_GITLAB_URL", "https://gitlab.com", forms.text, "Base URL of gl: slugs."
    )
    bitbucket_url = Setting(
        "IAC_BITBUCKET_URL", "https://bitbucket.org", forms.text, "Base URL of bb: slugs."
    )
    github_token = Setting(
        "GITHUB_TOKEN", "", forms.text, "Token for private gh: repositories.", secret=True
    )
    gitlab_token = Setting(
        "GITLAB_TOKEN", "", forms.text, "Token for private gl: repositories.", secret=True
    )
    bitbucket_token = Setting(
        "BITBUCKET_TOKEN", "", forms.text, "Token for private bb: repositories.", secret=True
    )
    fetch_max_bytes = Setting(
        "IAC_FETCH_MAX_MB",
        "500",
        forms.whole_number(1, 100_000, unit=10**6),
        "Largest unpacked source, MB (10^6 bytes).",
    )
    builds = Setting(
        "IAC_BUILDS",
        "",
        forms.optional(forms.whole_number(1, 64)),
        "How many images are built at a time. Empty: as many as this machine has cores.",
    )
    submodule_hosts = Setting(
        "IAC_SUBMODULE_HOSTS",
        "",
        forms.words,
        "Hosts that `submodules: true` may fetch from besides the repository's own, separated by"
        " commas.",
    )
    cache_age = Setting(
        "IAC_CACHE_DAYS",
        "30",
        forms.whole_number(1, 10_000, unit=24 * 3600),
        "How long a fetched commit stays in the cache after its last use, days.",
    )
    cache_max_bytes = Setting(
        "IAC_CACHE_MAX_MB",
        "5000",
        forms.whole_number(1, 10_000_000, unit=10**6),
        "How large the cache of fetched commits may be, MB (10^6 bytes). What a lock or a proven"
        " version of a project is made from stays all the same.",
    )
    ca_bundle = Setting(
        "IAC_CA_BUNDLE",
        "",
        forms.text,
        "CA bundle (PEM) for image builds behind a TLS proxy. Empty: the system's bundle.",
    )
    leaf_lifetime = Setting(
        "IAC_LEAF_LIFETIME",
        "90d",
        forms.duration(timedelta(seconds=10), timedelta(days=3650)),
        "How long the certificates of services are good: s, m, h or d. They are renewed when half"
        " of it is over, by deploys, `iac renew` and `iac admin serve`; below 6h, by that alone.",
    )
    cert_command = Setting(
        "IAC_CERT_COMMAND",
        "",
        forms.text,
        "Issues the certificates of services: gets a request (CSR, PEM) on its standard input,"
        " prints the certificate and its intermediates. ca.pem in secrets/ is its root then. Empty:"
        " the CA in secrets/ does.",
    )
    secrets_command = Setting(
        "IAC_SECRETS_COMMAND",
        "",
        forms.text,
        "Prints values for ${NAME} in `env:` that neither the environment, this file nor `iac env`"
        " has: NAME=value lines, or a JSON object. IAC_PROJECT says for which project. Empty: no"
        " command.",
    )
    acme_directory = Setting(
        "IAC_ACME_DIRECTORY",
        "https://acme-v02.api.letsencrypt.org/directory",
        forms.base_url,
        "Directory URL of the ACME server that issues the certificates of public hosts. For trials"
        " https://acme-staging-v02.api.letsencrypt.org/directory, whose limits are wide and whose"
        " certificates no browser trusts.",
    )
    acme_email = Setting(
        "IAC_ACME_EMAIL",
        "",
        forms.email,
        "Address that the ACME server may write to. Empty: none.",
    )
    acme_ca = Setting(
        "IAC_ACME_CA",
        "",
        forms.text,
        "CA bundle (PEM) that the ACME server's own certificate is checked against. Empty: the"
        " system's bundle.",
    )
    acme_binding_id = Setting(
        "IAC_ACME_EAB_KID",
        "",
        forms.text,
        "Key id of an external account binding, for ACME servers that want one.",
    )
    acme_binding_key = Setting(
        "IAC_ACME_EAB_KEY",
        "",
        forms.base64url,
        "HMAC key of that binding, base64url as the ACME server's owner gives it.",
        secret=True,
    )
    memory_mb = Setting(
        "IAC_MEMORY_MB",
        "512",
        forms.whole_number(MIN_MEMORY_MB, 1_000_000),
        "Memory limit of an app container without `memory:` in repos.yaml, MiB.",
    )
    keep_images = Setting(
        "IAC_KEEP_IMAGES",
        "3",
        forms.whole_number(1, 1000),
        "How many proven images of a service are kept to go back to, the current one included.",
    )
    spare_images = Setting(
        "IAC_SPARE_IMAGES",
        "100",
        forms.whole_number(0, 100_000),
        "How many images that nothing needs are kept on the engine for a next deploy, the last of"
        " each service that was destroyed, removed or put back. 0: none.",
    )
    spare_days = Setting(
        "IAC_SPARE_DAYS",
        "7",
        forms.whole_number(0, 100_000),
        "Days since its last use after which such an image is removed by the next deploy or"
        " destroy.",
    )
    candidates = Setting(
        "IAC_CANDIDATES",
        "8",
        forms.whole_number(1, 1000),
        "How many new versions are tried beside the old ones at a time: each needs its memory"
        " once more.",
    )
    max_headers = Setting(
        "IAC_MAX_HEADERS",
        "100",
        forms.whole_number(20, 10_000),
        "How many headers a request or response between services may have.",
    )
    max_headers_kb = Setting(
        "IAC_MAX_HEADERS_KB",
        "60",
        forms.whole_number(4, 4096),
        "How large the headers of a request or response between services may be, KiB.",
    )
    health_timeout = Setting(
        "IAC_HEALTH_TIMEOUT",
        "60",
        forms.whole_number(1, 3600),
        "Seconds a service may take to become SERVING.",
    )
    probation = Setting(
        "IAC_PROBATION",
        "10",
        forms.whole_number(1, 600),
        "Seconds that a program which answers no requests, and any that was started again,"
        " must stay alive to count as healthy.",
    )
    release_timeout = Setting(
        "IAC_RELEASE_TIMEOUT",
        "600",
        forms.whole_number(1, 86_400),
        "Seconds that a `release:` command may take.",
    )
    hooks = Setting(
        "IAC_HOOKS",
        "auto",
        forms.one_of("auto", "off"),
        "Whether deploys and rollbacks run the programs in hooks/ beside the list: auto, or off.",
    )
    hook_timeout = Setting(
        "IAC_HOOK_TIMEOUT",
        "300",
        forms.whole_number(1, 86_400),
        "Seconds that a hook may take.",
    )
    notify_url = Setting(
        "IAC_NOTIFY_URL",
        "",
        forms.webhook_url,
        "Where the ends of releases, and events, are sent (docs/hooks.md). Empty: nowhere.",
        secret=True,  # such addresses have tokens in their paths
    )
    notify_key = Setting(
        "IAC_NOTIFY_SECRET",
        "",
        forms.webhook_secret,
        "What they are signed by: whsec_ and base64 of 24 to 64 bytes, as `echo whsec_$(openssl"
        " rand -base64 32)` makes it.",
        secret=True,
    )
    schedule_timeout = Setting(
        "IAC_SCHEDULE_TIMEOUT",
        "3600",
        forms.whole_number(1, 86_400),
        "Seconds that a `schedule:` command may take.",
    )
    otlp_endpoint = Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        forms.otlp_url,
        "OTLP endpoint that apps export to; empty: spans are not recorded.",
    )
    supabase_url = Setting(
        "SUPABASE_URL",
        "",
        forms.base_url,
        "Supabase project URL: who may use the admin API over HTTP.",
    )
    supabase_service_role_key = Setting(
        "SUPABASE_SERVICE_ROLE_KEY",
        "",
        forms.text,
        "Supabase service role key (a JWT or sb_secret_…); as a Bearer token it may do"
        " everything.",
        secret=True,
    )
    admin_users = Setting(
        "IAC_ADMIN_USERS",
        "",
        forms.text,
        "Who else may use the admin API: user ids, e-mail addresses or role:NAME"
        " (app_metadata.iac_role), each with =read+deploy+destroy or a part of it (default: all"
        " three), separated by commas. Empty: the service role only.",
    )
    admin_bind = Setting(
        "IAC_ADMIN_BIND", "127.0.0.1:8080", forms.loopback, "Loopback address of the admin API."
    )
    admin_socket = Setting(
        "IAC_ADMIN_SOCKET",
        "",
        forms.text,
        "Unix socket of the admin API. Empty: /run/iac_wrapper.sock for root, else"
        " iac_wrapper.sock in XDG_RUNTIME_DIR.",
    )
    admin_grpc = Setting(
        "IAC_ADMIN_GRPC",
        "127.0.0.1:8081",
        forms.optional(forms.loopback, none="off"),
        "Loopback address of the gRPC Deploy call (mTLS, control-plane certificates only), or"
        " off.",
    )
    socket_requires_jwt = Setting(
        "IAC_SOCKET_REQUIRE_JWT",
        "0",
        forms.switch,
        "1: callers on the Unix socket need a token, too.",
    )
    trusted_hosts = Setting(
        "TRUSTED_HOSTS",
        "",
        forms.words,
        "Host names that the admin API answers to besides localhost and loopback addresses,"
        " separated by commas.",
    )
    trusted_proxies = Setting(
        "IAC_TRUSTED_PROXIES",
        "0",
        forms.whole_number(0, 10),
        "How many reverse proxies before the admin API append to X-Forwarded-For.",
    )
    admin_paths = Setting(
        "IAC_ADMIN_PATHS",
        "",
        forms.folders,
        "Folders, separated by colons, below which callers of the admin API may name local"
        " paths. Empty: none. Owners on the socket may name any.",
    )
    admin_env = Setting(
        "IAC_ADMIN_ENV",
        "",
        forms.words,
        "Variables that callers of the admin API may use as ${NAME}, separated by commas."
        " Empty: none. Owners on the socket may use any.",
    )
    github_webhook_secret = Setting(
        "GITHUB_WEBHOOK_SECRET", "", forms.text, "Secret of GitHub's push webhooks.", secret=True
    )
    gitlab_webhook_token = Setting(
        "GITLAB_WEBHOOK_TOKEN",
        "",
        forms.text,
        "Secret token of GitLab's push webhooks.",
        secret=True,
    )
    bitbucket_webhook_secret = Setting(
        "BITBUCKET_WEBHOOK_SECRET",
        "",
        forms.text,
        "Secret of Bitbucket's push webhooks.",
        secret=True,
    )

    by_name: ClassVar[Mapping[str, Setting[Any]]] = MappingProxyType(
        {each.name: each for each in tuple(vars().values()) if isinstance(each, Setting)}
    )
    """Every setting by its variable."""

    def __init__(self, *, environment: Mapping[str, str] | None = None, **written: str) -> None:
        if unknown := written.keys() - self.by_name.keys():
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        self.environment = environment or {}
        self._written = written

    def written(self, name: str) -> str:
        """The value of the setting `name` as text, its default if it is not set."""
        return self._written.get(name) or self.by_name[name].default

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values no sink may show."""
        found = (self.written(name) for name, each in self.by_name.items() if each.secret)
        return tuple(filter(None, found))

    @property
    def hosts(self) -> Hosts:
        """The git hosts behind gh:, gl: and bb:.

        The users: docs.github.com "apps/creating-github-apps", docs.gitlab.com "personal access
        tokens" (any name; oauth2 works for OAuth too), support.atlassian.com "access tokens".
        """
        families = {
            "gh": ("IAC_GITHUB_URL", "GITHUB_TOKEN", "x-access-token"),
            "gl": ("IAC_GITLAB_URL", "GITLAB_TOKEN", "oauth2"),
            "bb": ("IAC_BITBUCKET_URL", "BITBUCKET_TOKEN", "x-token-auth"),
        }
        return {
            prefix: GitHost(base, self.written(base), token, user, self.written(token))
            for prefix, (base, token, user) in families.items()
        }

    @property
    def machine_home(self) -> MachineHome:
        """Where the facts of this machine lie."""
        return machine_home.find(self.home, self.environment, machine_home.checkout())

    def check(self) -> None:
        """Look at every setting, so that a wrong one is an error before anything is done.

        Raises:
            ConfigError: the first that is wrong.
        """
        for error in self.problems():
            raise error

    def problems(self) -> Iterator[ConfigError]:
        """What is wrong with the form of each setting, in their order; then with two together."""
        for name, each in self.by_name.items():
            try:
                each.form(self.written(name), name)
            except ConfigError as error:
                yield error
        if self.written("IAC_NOTIFY_URL") and not self.written("IAC_NOTIFY_SECRET"):
            yield ConfigError(
                "notifications are signed, and there is no secret",
                where="IAC_NOTIFY_SECRET",
                found="nothing, beside IAC_NOTIFY_URL",
                expected=forms.SECRET,
                next_step=forms.SECRET_STEP,
            )
