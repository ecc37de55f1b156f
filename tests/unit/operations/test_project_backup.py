"""A project in one file and back, on an engine double; tests/e2e deploys what was restored."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import backup_file, lock_file, users_file
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.backup_file import BackedUpVolume, BackupError, Manifest
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity.certificates import ensure_ca, inspect_leaf
from iac_wrapper.model.ledger import entries
from iac_wrapper.model.users import Users
from iac_wrapper.operations import project_backup, project_restore, recording
from iac_wrapper.operations.project_restore import ExistsError, Restored
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed, leaf
from tests.support.docker_daemon import Daemon, FakeContainer

MANIFEST = Manifest("demo", "0.1.0", "2026-11-28T10:00:00+00:00", "here", ())


@pytest.fixture
def shop(workspace: Workspace) -> Workspace:
    """A deployed project with all that must go along, and what must not."""
    layout = workspace.layout
    lock = deployed(layout, app("web"))
    users_file.save_users({"gateway": Users(30000), "web": Users(30004)}, layout.users("demo"))
    if os.geteuid() == 0:
        os.chown((layout.certificates("demo") / "web/tls.key").resolve(), 30005, -1)
    write_text(layout.env_files("demo", "web") / "TOKEN", "s3cret", mode=0o444)
    recording.note(workspace, "heal", ["web-app: started"])
    recording.ledger_of(workspace).keep_lock("{}")
    for name in ("main.py", "cdktf.json", "repos.yaml", "shop.yaml", "else.yaml", ".env"):
        write_text(layout.root / name, name if name != ".env" else "IAC_KEEPER=off\n")
    lock_file.save_lock(lock, layout.root / "shop.lock.json")
    write_text(layout.root / "hooks/pre-deploy", "#!/bin/sh\n", mode=0o755)
    write_text(workspace.directory / "log/terraform.log", "much")
    (workspace.directory / "plan").mkdir()
    (workspace.directory / "plan/provider").symlink_to("/usr/lib")
    leaf(layout, "other", "web")
    return workspace


@pytest.fixture
def file(shop: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its backup."""
    path = tmp_path_factory.mktemp("backup") / "shop.backup"
    with path.open("wb") as out:
        project_backup.backup(shop, out, data=False)
    return path


@pytest.fixture
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder on the other machine."""
    return tmp_path_factory.mktemp("there")


@pytest.fixture
def restore(workspace: Workspace, there: Path) -> Callable[[Path], Restored]:
    """Restore a file to it."""

    def open_workspace(project: str, folder: Path) -> Workspace:
        environ = {"DOCKER_HOST": os.environ["DOCKER_HOST"], "IAC_HOME": str(there / ".iac")}
        loaded = settings.load_settings(folder, environ)
        return Workspace(Layout(there), loaded, project, workspace.emit)

    def act(path: Path) -> Restored:
        return project_restore.restore(path, path.name, Layout(there), open_workspace, data=True)

    return act


def _all(root: Path) -> dict[str, object]:
    """Every path below `root`: content or target of a link, mode, owner."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name, status = str(path.relative_to(root)), path.lstat()
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes(), oct(status.st_mode), status.st_uid
        elif name not in (".iac", ".iac/projects", ".iac/ledger"):
            found[name] = oct(status.st_mode)
    return found


def _written(path: Path, *members: tarfile.TarInfo, manifest: Manifest = MANIFEST) -> Path:
    """A backup with members of which `iac backup` knows nothing."""
    with path.open("wb") as out, backup_file.written(out, manifest) as writer:
        for member in members:
            writer._tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, int(kind == tarfile.REGTYPE)
    return member


def test_a_project_is_what_it_was(
    shop: Workspace, file: Path, there: Path, restore: Callable[[Path], Restored]
) -> None:
    """Every file with mode and owner, links as links; what is made again and what is another
    project's is not there; the ledger goes on; the uids are the project's on the new engine."""
    before = _all(shop.layout.root)

    done = restore(file)

    gone = tuple(f".iac/projects/demo/{name}" for name in ("log", "plan", "workspace.lock"))
    gone += ("secrets/other", "else.yaml")
    expected = {name: it for name, it in before.items() if not name.startswith(gone)}
    after = _all(there)
    after.pop(".iac/projects/demo/workspace.lock")
    ledger = ".iac/ledger/demo/ledger.jsonl"
    assert after[ledger] != expected[ledger]
    after[ledger] = expected[ledger]
    assert after == expected
    assert done.lost_uids == ()
    folder = replace(shop, layout=Layout(there))
    heal, event = entries(recording.ledger_of(folder).read().lines)
    assert (heal.number, event.number, event.kind) == (1, 2, "restore")
    assert event.facts["done"][0].startswith("restored from a backup of 2")
    names = {volume["Name"] for volume in shop.engine.call(lambda api: api.volumes())["Volumes"]}
    assert names == {"karstkit-uids-30000", "karstkit-uids-30004"}
    serial = inspect_leaf(shop.layout.certificates("demo") / "web").fingerprint
    assert inspect_leaf(there / "secrets/demo/web").fingerprint == serial


def test_the_same_again_is_no_error_and_anything_else_is(
    file: Path, there: Path, restore: Callable[[Path], Restored]
) -> None:
    """A restore that was killed is run again; over a project that went on nothing is restored."""
    restore(file)
    (there / ".iac/projects/demo/terraform.tfstate").unlink()
    (there / ".iac/ledger/demo/ledger.jsonl").unlink()
    assert restore(file).files == 2
    before = _all(there)
    with pytest.raises(ExistsError, match="something of project demo") as caught:
        restore(file)  # its event is in the ledger by now
    assert caught.value.found == ".iac/ledger/demo/ledger.jsonl"
    write_text(there / ".iac/projects/demo/more.json", "{}")
    with pytest.raises(ExistsError, match="something of project demo") as caught:
        restore(file)
    assert ".iac/projects/demo/more.json" in str(caught.value.found)
    (there / ".iac/projects/demo/more.json").unlink()
    assert _all(there) == before


def test_an_authority_without_leaves_gives_way(
    shop: Workspace, file: Path, there: Path, restore: Callable[[Path], Restored]
) -> None:
    """A set-up makes one; an authority that has issued stays, and nothing is restored."""
    ensure_ca(there / "secrets")
    own = (there / "secrets/ca.key").read_bytes()
    leaf(Layout(there), "mine", "web")
    with pytest.raises(ExistsError, match="something of project demo"):
        restore(file)
    assert (there / "secrets/ca.key").read_bytes() == own
    (there / "secrets/mine").rename(there / "mine")
    restore(file)
    ca = (shop.layout.secrets / "ca.key").read_bytes()
    assert (there / "secrets/ca.key").read_bytes() == ca


def test_a_failure_half_way_is_undone(
    file: Path, there: Path, engine_double: Daemon, restore: Callable[[Path], Restored]
) -> None:
    """A file where a folder has to be: everything that was made until then goes again."""
    write_text(there / "hooks", "no folder")
    ensure_ca(there / "secrets")
    before = _all(there)
    with pytest.raises(FileExistsError):
        restore(file)
    after = _all(there)
    after.pop(".iac/projects/demo"), after.pop(".iac/projects/demo/workspace.lock")
    assert after == before
    assert engine_double.volumes == []


def test_what_runs_is_not_restored_over(
    file: Path, there: Path, engine_double: Daemon, restore: Callable[[Path], Restored]
) -> None:
    """Wherever its folder is."""
    engine_double.add(FakeContainer("a", "demo", "web", "app"))
    with pytest.raises(ExistsError, match="project demo is on this engine"):
        restore(file)
    assert _all(there) == {}


def test_data_of_others_is_not_written_over(
    there: Path, tmp_path: Path, engine_double: Daemon, restore: Callable[[Path], Restored]
) -> None:
    """A volume of that name is somebody's, with whatever labels; a name that the project's volume
    would not have is refused before that."""
    volume = BackedUpVolume("demo-web-data", "web", "data", "30004 demo/web", 1, has_data=True)
    engine_double.volumes.append({"Name": "demo-web-data", "Labels": None})
    member = _member("volumes/demo-web-data.tar")
    path = _written(tmp_path / "x", member, manifest=replace(MANIFEST, volumes=(volume,)))
    with pytest.raises(ExistsError, match="volumes of these names"):
        restore(path)
    foreign = replace(volume, name="shop-web-data")
    path = _written(tmp_path / "x", manifest=replace(MANIFEST, volumes=(foreign,)))
    with pytest.raises(BackupError, match="no part of its project"):
        restore(path)
    assert _all(there) == {}


def test_a_name_that_no_project_has_is_refused(
    there: Path, tmp_path: Path, restore: Callable[[Path], Restored]
) -> None:
    """It would be a part of paths."""
    path = _written(tmp_path / "x", manifest=replace(MANIFEST, project="../x"))
    with pytest.raises(ConfigError, match="project"):
        restore(path)
    assert _all(there) == {}


def test_uids_that_somebody_has_are_named(
    file: Path, engine_double: Daemon, restore: Callable[[Path], Restored]
) -> None:
    """The next deploy gives others."""
    label = {"org.karstkit.uids": "30004 shop/web"}
    engine_double.volumes.append({"Name": "karstkit-uids-30004", "Labels": label})
    assert restore(file).lost_uids == ("web",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "cut off or changed"),
        (lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "cut off or changed"),
        (lambda data: data[:40], "another kind of file"),
        (lambda _: b"", "another kind of file"),
        (lambda _: b"\x1f\x8b" + bytes(500), "another kind of file"),
        (lambda data: data.replace(b"backup 1 ", b"backup 2 ", 1), "version 2 of its form"),
        (lambda data: data.replace(b"backup 1 ", b"backup -1 ", 1), "another kind of file"),
    ],
)
def test_what_is_no_whole_backup_is_refused(
    change: Callable[[bytes], bytes],
    words: str,
    file: Path,
    there: Path,
    restore: Callable[[Path], Restored],
) -> None:
    """Before anything is unpacked."""
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(BackupError) as caught:
        restore(file)
    assert words in str(caught.value)
    assert caught.value.next_step
    assert _all(there) == {}


@pytest.mark.parametrize(
    "member",
    [
        _member("files/../../evil"),
        _member("/etc/evil"),
        _member("files//etc/evil"),
        _member("files/./main.py"),
        _member("evil"),
        _member("files/evil.py"),
        _member("files/.iac/bin/terraform"),
        _member("files/.iac/projects/shop/terraform.tfstate"),
        _member("files/.iac/projects/demo/workspace.lock"),
        _member("files/secrets/shop/web/tls.key"),
        _member("files/secrets/demo/web/tls.key", tarfile.SYMTYPE, "/etc/shadow"),
        _member("files/secrets/demo/web", tarfile.SYMTYPE, "../../.."),
        _member("files/secrets/demo/web/tls.key", tarfile.LNKTYPE, "files/main.py"),
        _member("files/secrets/demo/pipe", tarfile.FIFOTYPE),
        _member("volumes/demo-web-data.tar"),
    ],
    ids=lambda member: f"{member.name}-{member.linkname}",
)
def test_what_no_backup_of_the_project_holds_is_refused(
    member: tarfile.TarInfo, tmp_path: Path, there: Path, restore: Callable[[Path], Restored]
) -> None:
    """Its checksum is right. Nothing is written: not beside the folder, nor to another project."""
    path = _written(tmp_path / "evil", _member("files/main.py"), member)
    with pytest.raises(BackupError, match="no part of its project"):
        restore(path)
    assert _all(there) == {}


def test_nothing_is_written_through_a_link(
    tmp_path: Path, there: Path, restore: Callable[[Path], Restored]
) -> None:
    """Links are made last, so a file below one finds a folder, and the link no place."""
    members = [
        _member("files/secrets/demo/web", tarfile.SYMTYPE, "other"),
        _member("files/secrets/demo/web/tls.key"),
    ]
    with pytest.raises(FileExistsError):
        restore(_written(tmp_path / "evil", *members))
    assert _all(there) == {}


def test_a_link_to_elsewhere_becomes_what_it_leads_to(
    shop: Workspace, there: Path, tmp_path: Path, restore: Callable[[Path], Restored]
) -> None:
    """There is nothing for it to lead to on the other machine; a folder is refused."""
    root, path = shop.layout.root, tmp_path / "x"
    write_text(root / "scripts/tell", "#!/bin/sh\n", mode=0o755)
    (root / "hooks/post-deploy").symlink_to("../scripts/tell")
    (root / "hooks/on-failure").symlink_to("pre-deploy")
    (root / "hooks").rename(root / "ours")
    (root / "hooks").symlink_to("ours")
    with path.open("wb") as out:
        project_backup.backup(shop, out, data=False)
    restore(path)
    assert (there / "hooks/on-failure").readlink() == Path("pre-deploy")
    told = there / "hooks/post-deploy"
    assert (told.is_symlink(), told.read_text(), told.stat().st_mode & 0o777) == (
        False,
        "#!/bin/sh\n",
        0o755,
    )
    (root / "hooks/more").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="a link of the project") as caught:
        project_backup.backup(shop, io.BytesIO(), data=False)
    assert caught.value.where == str(root / "hooks/more")


@pytest.mark.parametrize("name", ["repos.shop.yaml", "office.yml"])
def test_a_list_goes_along_whatever_it_is_called(
    name: str, shop: Workspace, there: Path, restore: Callable[[Path], Restored], tmp_path: Path
) -> None:
    """A point in its name is no environment; the lock of an environment has its list, too."""
    root, path = shop.layout.root, tmp_path / "x"
    (root / "shop.lock.json").unlink()
    write_text(root / name, "- ./web\n")
    for environment in (None, "staging"):
        lock = lock_file.default_lock_path(root / name, environment)
        lock_file.save_lock(shop.deployed_lock(), lock)
        with path.open("wb") as out:
            project_backup.backup(shop, out, data=False)
        lock.unlink()
        restore(path)
        assert (there / name).exists()
        shutil.rmtree(there)


def test_a_folder_without_the_project_has_no_backup(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="nothing of project demo"):
        project_backup.backup(workspace, io.BytesIO(), data=False)
