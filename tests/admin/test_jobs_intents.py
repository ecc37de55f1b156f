from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from admin.jobs.intents import check, intent
from admin.jobs.job import JobRequest
from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

DEPLOY = JobRequest("deploy", "demo")
SECRETS = {"GITHUB_TOKEN": "x" * 20, "SUPABASE_SERVICE_ROLE_KEY": "y" * 20, "DATABASE_URL": "db"}


OF_THIS_MACHINE = (
    "127.1",
    "localhost.",
    "0",
    "[::]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f000001",
)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Callers may name what lies below `open` and the variable DATABASE_URL."""
    for name in ("open/app", "opened-not", "secrets/demo", ".iac/jobs"):
        (tmp_path / name).mkdir(parents=True)
    values = {"IAC_ADMIN_PATHS": str(tmp_path / "open"), **SECRETS}
    return settings.load_settings(
        tmp_path, {**values, "IAC_ADMIN_ENV": "DATABASE_URL, GITHUB_TOKEN"}
    )


@pytest.fixture
def refused(tmp_path: Path, chosen: Settings) -> Callable[[JobRequest], ConfigError]:
    """The error for a request, which its owner may make."""

    def ask(request: JobRequest) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            check(request, chosen, tmp_path)
        workspace = Workspace(Layout(tmp_path), chosen, "demo", lambda _: None)
        assert intent(workspace, replace(request, owner=True)).specs
        return caught.value

    return ask


@pytest.mark.parametrize(
    "slug",
    [
        "./opened-not",
        "/",
        "/etc",
        "~/x",
        "./open/../opened-not",
        "./open/link",
        "./open/loop",
        "git+file:///etc",
        "git+file://{root}/open/%2e%2e/opened-not",
        "git+file://{root}/open/link",
        "git+file://{root}/open/%00",
        "git+ssh://git@example.org/acme/app",
        "image:postgres:16",
        "git+http://127.0.0.1:8000/acme/app",
        "git+http://localhost/acme/app",
        "git+https://localhost/acme/app",
        "git+https://%3127.0.0.1/acme/app",
        "git+https://loc%61lhost/acme/app",
        *(f"git+https://{host}/acme/app" for host in OF_THIS_MACHINE),
        ".",
        "./secrets",
        "./secrets/demo",
        "./.iac/jobs",
        "git+file://{root}/secrets",
    ],
)
def test_sources_on_this_machine_are_closed(
    tmp_path: Path, refused: Callable[[JobRequest], ConfigError], slug: str
) -> None:
    """Paths outside the opened folders, however they are written, links, keys, local servers."""
    (tmp_path / "open" / "link").symlink_to("/etc")
    (tmp_path / "open" / "loop").symlink_to("loop")
    slug = slug.format(root=tmp_path)
    error = refused(replace(DEPLOY, apps=("gh:acme/ok", {"slug": slug, "name": "local"})))
    assert error.where == "/apps/1"
    assert error.found == slug


def test_keys_of_this_machine_cannot_be_exposed(
    tmp_path: Path, refused: Callable[[JobRequest], ConfigError]
) -> None:
    """They would be served to the world; a host without files names none."""
    host = {"host": "app.example.com"}
    for key in ("/etc/ssl/private/key.pem", "./secrets/ca.key", "~/k.pem"):
        files = {**host, "tls": "files", "cert": "./open/c.pem", "key": key}
        error = refused(replace(DEPLOY, apps=({"slug": "gh:acme/app", "expose": files},)))
        assert error.where == "/apps/0"
    check(
        replace(DEPLOY, apps=({"slug": "gh:acme/app", "expose": host},)),
        settings.load_settings(tmp_path, {}),
        tmp_path,
    )


def test_links_to_what_is_ours(tmp_path: Path) -> None:
    """Keys and settings are closed by either name; an opened folder may be too wide."""
    real = tmp_path / "real"
    (real / "keys").mkdir(parents=True)
    (tmp_path / "secrets").symlink_to("real/keys")
    (tmp_path / ".env").touch()
    chosen = settings.load_settings(tmp_path, {"IAC_ADMIN_PATHS": str(tmp_path)})
    for slug in ("./secrets", "./real/keys", "./real", "."):
        with pytest.raises(ConfigError, match="own keys and settings"):
            check(replace(DEPLOY, slugs=(slug,)), chosen, tmp_path)


@pytest.mark.parametrize("slug", ["./missing", "/" + "a" * 300, "./a\0b"])
def test_what_is_not_there(tmp_path: Path, chosen: Settings, slug: str) -> None:
    """Is said at once, to those who may name it."""
    with pytest.raises(ConfigError):
        check(replace(DEPLOY, slugs=(slug,), owner=True), chosen, tmp_path)


@pytest.mark.parametrize(
    "slug",
    [
        "gh:acme/app",
        "git+https://example.org/acme/app.git#v1",
        "./open/app",
        "{root}/open/app",
        "./open/inner",
        "git+file://{root}/open/app",
    ],
)
def test_what_is_open_may_be_named(tmp_path: Path, chosen: Settings, slug: str) -> None:
    """Remote sources, and paths that end below an opened folder, also through links."""
    (tmp_path / "open" / "inner").symlink_to("app")
    check(replace(DEPLOY, slugs=(slug.format(root=tmp_path),)), chosen, tmp_path)


def test_an_opened_folder_may_be_a_link(tmp_path: Path) -> None:
    """Both ends are resolved before they are compared."""
    (tmp_path / "real" / "app").mkdir(parents=True)
    (tmp_path / "open").symlink_to("real")
    chosen = settings.load_settings(tmp_path, {"IAC_ADMIN_PATHS": str(tmp_path / "open")})
    check(replace(DEPLOY, slugs=("./open/app",)), chosen, tmp_path)
    check(replace(DEPLOY, slugs=("./real/app",)), chosen, tmp_path)


def test_nothing_is_open_by_default(tmp_path: Path) -> None:
    """Without settings no path and no variable can be named."""
    chosen = settings.load_settings(tmp_path, {"HOME": "/root"})
    with pytest.raises(ConfigError, match="not open") as caught:
        check(replace(DEPLOY, slugs=("./app",)), chosen, tmp_path)
    assert caught.value.expected == "a remote slug"
    app = {"slug": "gh:acme/app", "env": {"A": "${HOME}"}}
    with pytest.raises(ConfigError, match="not open") as caught:
        check(replace(DEPLOY, apps=(app,)), chosen, tmp_path)
    assert caught.value.expected == "no references"


@pytest.mark.parametrize("name", ["PATH", "GITHUB_TOKEN", "SUPABASE_SERVICE_ROLE_KEY"])
def test_variables_of_the_server_are_closed(
    refused: Callable[[JobRequest], ConfigError], name: str
) -> None:
    """Those that are not opened; and those of secret settings even if somebody opened them."""
    app = {"slug": "gh:acme/app", "env": {"FINE": "${DATABASE_URL}", "BAD": f"${{{name}}}"}}
    error = refused(replace(DEPLOY, apps=(app,)))
    assert (error.where, error.found) == ("/apps/0", f"${{{name}}}")
    assert error.expected == "DATABASE_URL"


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({}, "/"),
        ({"slugs": ("gh:a/b",), "apps": ("gh:a/b",)}, "/"),
        ({"slugs": ("gh:a/b",), "services": ("b",)}, "/"),
        ({"kind": "destroy", "slugs": ("gh:a/b",)}, "/"),
        ({"kind": "remove"}, "/"),
        ({"kind": "remove", "apps": ("gh:a/b",)}, "/"),
        ({"kind": "rollback", "slugs": ("gh:a/b",)}, "/"),
        ({"services": ("b",), "prune": True}, "/prune"),
        ({"slugs": ("gh:a/b", "nonsense")}, "/slugs/1"),
        ({"slugs": ("gh:a/b", "gh:c/b")}, "/slugs/1"),
        ({"apps": ({"slug": "gh:a/b", "port": 99999},)}, "/apps/0"),
        ({"slugs": ("gh:a/b",), "project": "../x"}, "/project"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, chosen: Settings, facts: dict[str, Any], where: str
) -> None:
    """Each error points into the request."""
    with pytest.raises(ConfigError) as caught:
        check(replace(DEPLOY, owner=True, **facts), chosen, tmp_path)
    assert caught.value.where == where


def test_a_destroy_names_its_project_only(tmp_path: Path, chosen: Settings) -> None:
    """There is nothing else to check."""
    check(JobRequest("destroy", "demo"), chosen, tmp_path)


def test_slugs_and_apps_are_added_unless_they_are_all(tmp_path: Path, chosen: Settings) -> None:
    """As with the command line; with prune the project becomes exactly these."""
    workspace = Workspace(Layout(tmp_path), chosen, "demo", lambda _: None)
    app = {"slug": "./open/app", "name": "web", "port": 8080, "env": {"A": "1"}}
    added = intent(workspace, replace(DEPLOY, apps=(app,), locked=True))
    assert (added.additive, added.locked, added.specs[0].base) == (True, True, tmp_path)
    assert added.lock_path == workspace.directory / "slugs.lock.json"
    spec = added.specs[0]
    assert (spec.name, spec.port, spec.env, spec.where) == ("web", 8080, {"A": "1"}, "/apps/0")
    pruned = intent(workspace, replace(DEPLOY, slugs=("./open/app",), prune=True))
    assert (pruned.additive, [spec.name for spec in pruned.specs]) == (False, ["app"])


def test_the_worker_looks_at_links_again(tmp_path: Path, chosen: Settings) -> None:
    """A path that was fine in the request may lead elsewhere when the job starts."""
    link = tmp_path / "open" / "moves"
    link.symlink_to("app")
    request = replace(DEPLOY, slugs=("./open/moves",))
    check(request, chosen, tmp_path)
    link.unlink()
    link.symlink_to("/etc")
    with pytest.raises(ConfigError, match="not open"):
        intent(Workspace(Layout(tmp_path), chosen, "demo", lambda _: None), request)


def test_services_are_those_that_are_deployed(tmp_path: Path, chosen: Settings) -> None:
    """Whether they are is asked under the lock: a queued request may follow their deploy."""
    request = replace(DEPLOY, services=("web",))
    check(request, chosen, tmp_path)
    with pytest.raises(ConfigError, match="nothing is deployed"):
        intent(Workspace(Layout(tmp_path), chosen, "demo", lambda _: None), request)
