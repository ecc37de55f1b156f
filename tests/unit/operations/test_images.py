from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from iac_wrapper import settings
from iac_wrapper.model.event import Event
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import images, releases
from iac_wrapper.operations.releases import Releases
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer

NOW = datetime.now(UTC)


def _name(number: int, service: str = "web", project: str = "demo") -> str:
    return f"iac/{project}-{service}:{number:012x}"


def _add(engine: Daemon, name: str, *, hours: float, service: str = "web") -> None:
    """An image that was last used so many hours ago."""
    project = name.removeprefix("iac/").partition("-")[0]
    labels = {"org.karstkit.project": project, "org.karstkit.service": service}
    used = NOW - timedelta(hours=hours)
    engine.images.append(
        {
            "RepoTags": [name],
            "Labels": labels,
            "Created": int((used - timedelta(days=100)).timestamp()),
            "LastTagTime": used.isoformat(),
            "Size": 1_000_000,
        }
    )


def _left(engine: Daemon) -> set[str]:
    return {name for image in engine.images for name in image["RepoTags"]}


def _with(workspace: Workspace, **more: str) -> Workspace:
    return replace(workspace, settings=settings.load_settings(None, more))


def _whys(rows: Iterable[images.KeptImage]) -> dict[str, str]:
    return {row.image.name: row.why for row in rows}


@pytest.fixture
def shop(workspace: Workspace, engine_double: Daemon) -> Workspace:
    """A deployed version, one to go back to, two that failed, and one of a removed service."""
    deployed(workspace.layout, replace(app("web"), image=_name(3)))
    known = Releases().proven([replace(app("web"), image=_name(2))], keep=3)
    releases.save_releases(workspace, known)
    for number in (1, 2, 3, 4):
        _add(engine_double, _name(number), hours=10 - number)
    _add(engine_double, _name(1, "gone"), hours=5, service="gone")
    return workspace


def test_each_image_says_why_it_is_there(shop: Workspace) -> None:
    """Of what nothing needs, the last one of each service is kept for a next deploy."""
    rows = images.list_images(shop)
    assert _whys(rows) == {
        _name(3): "deployed",
        _name(2): "proven",
        _name(4): "spare",
        _name(1): "surplus",
        _name(1, "gone"): "spare",
    }
    assert [row.image.name for row in rows][:2] == [_name(1, "gone"), _name(4)]
    assert rows[0].to_dict()["size_bytes"] == 1_000_000


def test_a_deploy_leaves_what_the_next_one_would_build(
    shop: Workspace, engine_double: Daemon
) -> None:
    """What nothing needs goes, but for the last one of a service."""
    settled = images.settle(shop, shop.applied_lock())
    assert settled.removed == [_name(1)]
    assert set(settled.spare) == {_name(4), _name(1, "gone")}
    assert _left(engine_double) == {*(_name(n) for n in (2, 3, 4)), _name(1, "gone")}


def test_a_destroy_leaves_the_last_deployed_image_of_each_service(
    shop: Workspace, engine_double: Daemon
) -> None:
    """It was in use until now, so it is the newest, whatever was built after it."""
    settled = images.settle(shop, None, before=shop.applied_lock())
    assert _name(3) in settled.spare
    assert _left(engine_double) == {_name(3), _name(1, "gone")}


@pytest.mark.parametrize("setting", ["IAC_SPARE_IMAGES", "IAC_SPARE_DAYS"])
def test_nothing_is_kept_where_none_is_wanted(
    shop: Workspace, engine_double: Daemon, setting: str
) -> None:
    """0 of either means: what nothing needs goes at once."""
    lock = shop.applied_lock()
    images.settle(_with(shop, **{setting: "0"}), lock)
    assert _left(engine_double) == {_name(3), _name(2)}
    images.settle(_with(shop, **{setting: "0"}), None, before=lock)
    assert _left(engine_double) == set()


def test_number_and_age_bound_what_is_kept(workspace: Workspace, engine_double: Daemon) -> None:
    """The newest stay; those of projects that are no more go as well, but not a young one: it may
    be of a deploy under way."""
    _add(engine_double, _name(1, project="old"), hours=8 * 24)
    _add(engine_double, _name(1, project="lately"), hours=6 * 24)
    _add(engine_double, _name(1, project="third"), hours=3)
    _add(engine_double, _name(1, project="second"), hours=2)
    _add(engine_double, _name(1), hours=1)

    images.settle(_with(workspace, IAC_SPARE_IMAGES="2"), None)

    young = {_name(1), _name(1, project="second"), _name(1, project="third")}
    assert _left(engine_double) == young


def test_what_another_folder_may_need_stays(workspace: Workspace, engine_double: Daemon) -> None:
    """Its records are not here: only that the project has containers is known."""
    engine_double.add(FakeContainer("e", "theirs", "web", "envoy"))
    _add(engine_double, _name(1, project="theirs"), hours=1000)
    assert images.settle(workspace, None).removed == []
    assert images.idle(workspace, everything=True) == []
    assert _whys(images.list_images(workspace, everything=True)) == {
        _name(1, project="theirs"): "elsewhere"
    }


def test_another_project_of_this_folder_keeps_its_own(
    shop: Workspace, engine_double: Daemon
) -> None:
    """Its lock and its proven versions are here, also where its containers are gone."""
    other = replace(shop, project="other")
    images.settle(_with(other, IAC_SPARE_IMAGES="0", DOCKER_HOST=engine_double.host), None)
    assert {_name(3), _name(2)} <= _left(engine_double)


def test_a_prune_removes_what_no_version_needs(shop: Workspace, engine_double: Daemon) -> None:
    """Spare ones as well; of other projects only if that is said, and not what a deploy that is
    under way has just built."""
    _add(engine_double, _name(1, project="gone"), hours=1)
    _add(engine_double, _name(1, project="coming"), hours=0)
    gone = images.prune(shop)
    assert {row.image.name for row in gone} == {_name(1), _name(4), _name(1, "gone")}
    coming = _name(1, project="coming")
    assert _left(engine_double) == {_name(2), _name(3), _name(1, project="gone"), coming}
    images.prune(shop, everything=True)
    assert _left(engine_double) == {_name(2), _name(3), coming}


def test_a_prune_leaves_alone_what_another_command_is_at_work_on(
    shop: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """However old the image is that a deploy of another project of the folder will use again; when
    that is done, the prune finds out anew what is needed."""
    other = replace(shop, project="other")
    _add(engine_double, _name(1, project="other"), hours=100)
    with other.hold("iac deploy"):
        images.prune(shop, everything=True)
    assert _name(1, project="other") in _left(engine_double)
    assert any(
        "images of project other stay: busy with `iac deploy`" in event.message for event in events
    )
    images.prune(shop, everything=True)
    assert _name(1, project="other") not in _left(engine_double)


def test_what_a_deploy_will_use_again_counts_as_used(
    shop: Workspace, engine_double: Daemon
) -> None:
    """A project that only another folder knows: nothing else tells its deploy from its past."""
    coming = replace(shop, project="coming")
    web = replace(app("web"), image=_name(1, project="coming"))
    for number in (1, 2):
        _add(engine_double, _name(number, project="coming"), hours=100)
    images.note_use(coming, LockFile("coming", "n", "10.0.0.0/24", 1, (web,)))
    images.prune(shop, everything=True)
    left = {name for name in _left(engine_double) if "coming" in name}
    assert left == {_name(1, project="coming")}


def test_a_pulled_image_is_known_by_its_name(workspace: Workspace, engine_double: Daemon) -> None:
    """It has no label of ours; the tool's own base images are no service's."""
    for name in ("iac/demo/db:0123456789ab", "iac/runtime:3.11-0123456789ab"):
        made = {"RepoTags": [name], "Labels": None, "Created": int(NOW.timestamp())}
        engine_double.images.append(made)
    (row,) = images.list_images(workspace)
    assert (row.image.project, row.image.service, row.why) == ("demo", "db", "spare")
