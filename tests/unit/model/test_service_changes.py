from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.model import labels
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.options import Options
from iac_wrapper.model.plan import TerraformChange
from iac_wrapper.model.resource_change import (
    ResourceChange,
    others,
    outline,
    resource_changes,
)
from iac_wrapper.model.service_change import ServiceChange
from iac_wrapper.model.service_changes import Observations, service_changes
from iac_wrapper.model.users import Users
from tests.support.deployed import app

WEB = replace(app("web"), env={"GREETING": "hi", "TOKEN": "${TOKEN}"})
REPLACED = ResourceChange("web", "app", "replace", {"image": ("a", None), "env": (["A=1"], None)})


def _only(
    old: Any, new: Any, *resources: ResourceChange, seen: Observations | None = None
) -> ServiceChange:
    (change,) = service_changes([old], [new], resources, seen or Observations())
    return change


def _texts(change: ServiceChange) -> list[str]:
    return [reason.text for reason in change.reasons]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"commit": "b" * 40, "tree": "sha256:c"}, "commit aaaaaaaaaaaa → bbbbbbbbbbbb"),
        ({"tree": "sha256:c"}, "source files changed"),
        ({"slug": "gh:owner/other"}, "slug: gh:owner/repo → gh:owner/other"),
        (
            {"entrypoint": replace(WEB.entrypoint, target="other.py")},
            "entrypoint: main.py → other.py",
        ),
        ({"port": 8080}, "$PORT 50051 → 8080"),
        ({"port": 8080, "port_declared": True}, "port: automatic → 8080"),
        ({"port_declared": True}, "port: automatic → 50051"),
        ({"python": "3.12"}, "python 3.11 → 3.12"),
        ({"python": None}, "python 3.11 → none"),
        ({"run": "worker"}, "run: automatic → automatic (worker)"),
        ({"run": "web", "options": Options(run="web")}, "run: automatic → web"),
        ({"options": Options(rollout="replace")}, "rollout: beside → replace"),
        ({"options": Options(health="/healthz")}, "health: default → /healthz"),
        ({"options": Options(health_timeout=180)}, "health_timeout: default → 3m"),
        ({"options": Options(stop_grace=90)}, "stop_grace: default → 90s"),
        ({"options": Options(memory_mb=256)}, "memory: default → 256m"),
        ({"options": Options(cpus=1.5)}, "cpus: no limit → 1.5"),
        (
            {"options": Options(tmpfs={"/data": 1024, "/app/cache": 65})},
            "tmpfs: default → {/app/cache: 65m, /data: 1g}",
        ),
        (
            {"base": "iac/runtime:3.11-x", "image": "iac/demo-web:x"},
            "KarstKit's runtime image changed",
        ),
        ({"image": "iac/demo-web:x"}, "KarstKit builds the image in another way"),
    ],
)
def test_what_a_person_changed_is_the_reason(facts: dict[str, Any], text: str) -> None:
    """One sentence for it, and none for the attributes of containers that follow from it."""
    change = _only(WEB, replace(WEB, **facts), REPLACED)
    assert (change.action, _texts(change)) == ("replace", [text])


def test_variables_are_named_and_their_values_are_not() -> None:
    """Added, removed and changed ones; a secret's other value counts as well."""
    new = replace(WEB, env={"NEW": "sentinel", "TOKEN": "${TOKEN}"})
    change = _only(WEB, new, REPLACED, seen=Observations(values={"web": ["TOKEN"]}))
    assert _texts(change) == ["env: added NEW and removed GREETING and changed TOKEN"]
    assert "sentinel" not in str(change)


def test_a_new_secret_value_alone_is_a_restart() -> None:
    """No container is replaced for it, and the plan is not empty."""
    change = _only(WEB, WEB, seen=Observations(values={"web": ["TOKEN"]}))
    assert (change.action, change.interrupts) == ("restart", True)
    assert _texts(change) == ["env: changed TOKEN"]


def test_commits_are_counted_where_that_is_known() -> None:
    """Behind the two hashes."""
    new = replace(WEB, commit="b" * 40)
    change = _only(WEB, new, REPLACED, seen=Observations(commits={"web": 3}))
    assert _texts(change) == ["commit aaaaaaaaaaaa → bbbbbbbbbbbb (3 commits)"]


def test_due_certificates_are_renewed_without_a_restart() -> None:
    """A service's and the control plane's; on a first deploy all are new anyway."""
    seen = Observations(due={"control-plane": "it ended", "web": "half is over"})
    found = service_changes([WEB], [WEB], [], seen)
    assert [(c.service, c.action, c.interrupts) for c in found] == [
        ("control-plane", "renew", False),
        ("web", "renew", False),
    ]
    assert [_texts(change) for change in found] == [
        ["certificate renewed: it ended"],
        ["certificate renewed: half is over"],
    ]
    first = service_changes([], [WEB], [ResourceChange("web", "app", "create", {})], seen)
    assert [(c.service, c.action) for c in first] == [("web", "add")]


def test_services_come_and_go() -> None:
    """A new one is named with its source; gateway and network are part of a first deploy."""
    resources = [
        ResourceChange("gateway", "gateway", "create", {}),
        ResourceChange("new", "app", "create", {}),
        ResourceChange("web", "app", "delete", {}),
    ]
    found = service_changes([WEB], [app("new")], resources, Observations())
    assert [(c.service, c.action) for c in found] == [
        ("gateway", "add"),
        ("new", "add"),
        ("web", "remove"),
    ]
    assert _texts(found[1]) == ["gh:owner/repo at aaaaaaaaaaaa"]


def test_a_stopped_service_that_goes_for_good_is_removed() -> None:
    """Terraform has nothing of it: no resource tells."""
    seen = Observations(dropped={"db"}, volumes={"db": ["volume demo-db-data stays"]})
    (gone,) = service_changes([WEB], [WEB], [], seen)
    assert (gone.service, gone.action, _texts(gone)) == (
        "db",
        "remove",
        ["volume demo-db-data stays"],
    )


@pytest.mark.parametrize(
    ("resource", "action", "text"),
    [
        (
            ResourceChange("web", "app", "create", {}, gone=True),
            "replace",
            "its app container was removed by hand",
        ),
        (
            ResourceChange(
                "web",
                "app",
                "update",
                {"memory": (300, 512), "memory_swap": (300, 512)},
                edited=frozenset({"memory", "memory_swap"}),
            ),
            "update",
            "memory of its app container was changed by hand",
        ),
        (
            ResourceChange(
                "web", "app", "update", {"memory": (512, 256), "memory_swap": (512, 256)}
            ),
            "update",
            "memory: 512m → 256m (IAC_MEMORY_MB or main.py)",
        ),
        (
            ResourceChange("web", "envoy", "update", {"memory": (64, 96), "memory_swap": (64, 96)}),
            "update",
            "memory of its sidecar 64m → 96m, which KarstKit sets",
        ),
        (
            ResourceChange(
                "web",
                "app",
                "update",
                {"cpu_period": (0, 1), "cpu_quota": (0, 2)},
                edited=frozenset({"cpu_period", "cpu_quota"}),
            ),
            "update",
            "cpus of its app container was changed by hand",
        ),
        (
            ResourceChange("web", "app", "replace", {"ulimit": ([], [1])}),
            "replace",
            "limits of processes and files of its app container changed, which KarstKit or main.py"
            " sets",
        ),
        (
            ResourceChange(
                "web",
                "envoy",
                "replace",
                {"env": (["A=1", "IAC_MAX_HEADERS=100"], ["A=1", "IAC_MAX_HEADERS=200"])},
            ),
            "replace",
            "IAC_MAX_HEADERS: 100 → 200",
        ),
        (
            ResourceChange("web", "envoy", "replace", {"image": ("a", "b")}),
            "replace",
            "KarstKit's sidecar image changed",
        ),
        (
            ResourceChange("web", "envoy", "replace", {"env": (["A=1"], ["A=2"])}),
            "replace",
            "KarstKit's sidecar configuration changed",
        ),
        (
            ResourceChange(
                "web", "app", "replace", {"env": (["OTEL=1", "B=1"], ["OTEL=2", "B=1"])}
            ),
            "replace",
            "env: changed OTEL, which KarstKit or main.py sets",
        ),
        (
            ResourceChange("web", "app", "replace", {"labels": ([], [1])}),
            "replace",
            "labels of its app container changed",
        ),
    ],
)
def test_what_no_lock_tells_is_told_by_the_plan(
    resource: ResourceChange, action: str, text: str
) -> None:
    """Drift, limits and this tool's own part."""
    change = _only(WEB, WEB, resource)
    assert (change.action, _texts(change)) == (action, [text])


@pytest.mark.parametrize(
    ("old", "new", "attributes", "text"),
    [
        (
            {"memory_mb": 64},
            {"memory_mb": 65},
            {"memory": (64, 65), "memory_swap": (64, 65)},
            "memory: 64m → 65m",
        ),
        (
            {"memory_mb": 1024},
            {},
            {"memory": (1024, 512), "memory_swap": (1024, 512)},
            "memory: 1g → default",
        ),
        (
            {},
            {"cpus": 2.0},
            {"cpu_period": (0, 1), "cpu_quota": (0, 2), "labels": ([], [1])},
            "cpus: no limit → 2",
        ),
        (
            {"stop_grace": 30},
            {"stop_grace": 60},
            {"stop_timeout": (31, 61), "destroy_grace_seconds": (31, 61), "env": ([], [1])},
            "stop_grace: 30s → 1m",
        ),
        (
            {},
            {"tmpfs": {"/data": 65}},
            {"tmpfs": ({}, {"/data": "size=65m"}), "labels": ([], [1])},
            "tmpfs: default → {/data: 65m}",
        ),
    ],
)
def test_an_option_is_said_once_as_its_author_writes_it(
    old: dict[str, Any], new: dict[str, Any], attributes: Any, text: str
) -> None:
    """Whatever of the container follows from it."""
    before, after = (replace(WEB, options=Options(**said)) for said in (old, new))
    resource = ResourceChange("web", "app", "replace", attributes)
    assert _texts(_only(before, after, resource)) == [text]


def test_a_limit_of_this_tool_is_a_reason_beside_an_option() -> None:
    """An option settles its own attribute only."""
    resource = ResourceChange("web", "app", "update", {"memory": (512, 256), "cpu_quota": (1, 2)})
    change = _only(WEB, replace(WEB, options=Options(cpus=2)), resource)
    assert _texts(change) == [
        "cpus: no limit → 2",
        "memory: 512m → 256m (IAC_MEMORY_MB or main.py)",
    ]


def test_another_slug_is_no_change_of_the_sidecar() -> None:
    """Though its labels name it; a new sidecar image is one whatever a person changed."""
    attributes = {"labels": ([], [1]), "image": ("a", "b")}
    sidecar = ResourceChange("web", "envoy", "replace", attributes)
    change = _only(WEB, replace(WEB, slug="gh:owner/other"), REPLACED, sidecar)
    assert _texts(change)[1:] == ["KarstKit's sidecar image changed"]
    change = _only(WEB, replace(WEB, options=Options(memory_mb=9)), REPLACED, sidecar)
    assert "KarstKit's sidecar image changed" in _texts(change)


def test_gateway_and_network_have_their_own_words() -> None:
    """They are not services, but all of them depend on these."""
    resources = [
        ResourceChange("gateway", "gateway", "replace", {"ports": ([], [1])}),
        ResourceChange("network", "network", "create", {}, gone=True),
    ]
    gateway, network = service_changes([WEB], [WEB], resources, Observations())
    assert (gateway.action, _texts(gateway)) == ("replace", ["port changed"])
    assert (network.action, _texts(network)) == ("replace", ["it was removed by hand"])


def test_a_new_sidecar_is_a_reason_beside_a_new_commit() -> None:
    """What follows from another port is none."""
    sidecar = ResourceChange("web", "envoy", "replace", {"image": ("a", "b"), "env": ([], ["A=1"])})
    commit = _only(WEB, replace(WEB, commit="b" * 40), REPLACED, sidecar)
    assert _texts(commit)[1:] == [
        "KarstKit's sidecar image changed",
        "KarstKit's sidecar configuration changed",
    ]
    declared = replace(WEB, port=8080, port_declared=True)
    lines = (["IAC_PORT=1", "IAC_PORT_DECLARED=0"], ["IAC_PORT=2", "IAC_PORT_DECLARED=1"])
    follows = ResourceChange("web", "envoy", "replace", {"env": lines})
    assert _texts(_only(WEB, declared, REPLACED, follows)) == ["port: automatic → 8080"]
    assert _texts(_only(declared, WEB, REPLACED, follows)) == ["port: 8080 → automatic"]
    other = replace(declared, port=9090)
    assert _texts(_only(declared, other, REPLACED, follows)) == ["port: 8080 → 9090"]
    assert _texts(_only(WEB, declared, REPLACED, sidecar))[1:] == _texts(commit)[1:]


def test_what_is_stopped_is_started() -> None:
    """Though nothing of it is to be changed."""
    change = _only(WEB, WEB, seen=Observations(stopped={("web", "envoy")}))
    assert (change.action, _texts(change)) == ("restart", ["its sidecar is stopped"])


def test_another_commit_with_the_same_files_touches_no_container() -> None:
    """Only the record moves."""
    change = _only(WEB, replace(WEB, commit="b" * 40))
    assert (change.action, change.interrupts) == ("record", False)


def test_terraforms_plan_is_read_by_labels() -> None:
    """Service and role from the labels; unknown and empty values of a new container are none of the
    differences, what forces it is; drift says what was changed by hand."""
    marks = [{"label": labels.SERVICE, "value": "web"}, {"label": labels.ROLE, "value": "app"}]
    before = {"labels": marks, "memory": 300, "image": "a", "runtime": "runc", "hostname": "x"}
    after = {"labels": marks, "memory": 512, "hostname": None}
    change = {
        "actions": ["delete", "create"],
        "before": before,
        "after": after,
        "after_unknown": {"image": True, "runtime": True},
        "replace_paths": [["image"]],
    }
    drift = {"before": {**before, "memory": 512}, "after": before, "actions": ["update"]}
    item = {"address": "docker_container.a", "type": "docker_container"}
    image = {"address": "docker_image.a", "type": "docker_image", "change": change}
    shown = {
        "resource_changes": [{**item, "change": change}, image],
        "resource_drift": [{**item, "change": drift}],
    }
    (found,) = resource_changes(shown)
    assert (found.service, found.role, found.action) == ("web", "app", "replace")
    assert found.attributes == {"image": ("a", None), "memory": (300, 512)}
    assert (set(found.edited), found.gone) == ({"memory"}, False)
    gone = resource_changes(
        {**shown, "resource_drift": [{**item, "change": {**drift, "after": None}}]}
    )
    assert gone[0].gone


def _routes(action: str, before: list[str] | None, after: list[str] | None) -> dict[str, Any]:
    """A planned change of the ingress's routes."""

    def body(urls: list[str] | None) -> dict[str, Any] | None:
        marks = {labels.SERVICE: "ingress", labels.ROLE: "routes"}
        return None if urls is None else {"input": {**marks, "urls": dict.fromkeys(urls, "web")}}

    actions = ["delete", "create"] if action == "replace" else [action]
    change = {"actions": actions, "before": body(before), "after": body(after)}
    return {"address": "terraform_data.r", "type": "terraform_data", "change": change}


@pytest.mark.parametrize(
    ("before", "after", "action", "said"),
    [
        (
            ["http://a.localhost:1/"],
            ["http://b.localhost:1/"],
            "update",
            "-a.localhost, +b.localhost",
        ),
        (["http://a.localhost:1/"], ["http://a.localhost:1/"], "update", "written anew"),
        (["https://a.b/x/"], ["https://a.b/x/", "https://a.b/"], "update", "+a.b"),
    ],
)
def test_routes_are_said_in_words(
    before: list[str], after: list[str], action: str, said: str
) -> None:
    """As a change of the ingress in place, which interrupts nothing."""
    shown = {"resource_changes": [_routes("replace", before, after)]}
    (change,) = service_changes((WEB,), (WEB,), resource_changes(shown), Observations())
    assert (change.service, change.action, change.interrupts) == ("ingress", action, False)
    assert [reason.text for reason in change.reasons] == [f"routes: {said}"]
    assert others(shown, record="lock") == ()


def test_the_first_and_the_last_route_come_and_go_with_the_ingress() -> None:
    """Nothing more is said, though its certificate is due."""
    container = ResourceChange("ingress", "ingress", "create", {})
    shown = {"resource_changes": [_routes("create", None, ["http://a.localhost:1/"])]}
    resources = (container, *resource_changes(shown))
    (change,) = service_changes(
        (WEB,), (WEB,), resources, Observations(due={"ingress": "it ended"})
    )
    assert (change.action, change.reasons) == ("add", ())
    shown = {"resource_changes": [_routes("delete", ["http://a.localhost:1/"], None)]}
    resources = (replace(container, action="delete"), *resource_changes(shown))
    (change,) = service_changes((WEB,), (WEB,), resources, Observations())
    assert change.action == "remove"
    (change,) = service_changes((WEB,), (WEB,), (), Observations(due={"ingress": "it ended"}))
    assert (change.service, change.action) == ("ingress", "renew")
    (change,) = service_changes((WEB,), (WEB,), (), Observations(public_due=("a.b",)))
    assert (change.service, change.action) == ("ingress", "renew")
    assert [reason.text for reason in change.reasons] == ["new certificate for a.b"]


def test_what_somebody_added_is_told_apart() -> None:
    """Resources without our labels, of any kind, and outputs but the record; only what changes."""
    marks = [{"label": labels.SERVICE, "value": "web"}]

    def item(address: str, action: str, **body: Any) -> dict[str, Any]:
        change = {"actions": [action], "before": None, "after": body}
        return {"address": address, "type": address.partition(".")[0], "change": change}

    shown = {
        "resource_changes": [
            item("docker_container.web", "create", labels=marks),
            item("docker_image.web", "create", name="iac/demo-web:1"),
            item("docker_network.extra", "create", labels=[]),
            item("docker_network.same", "no-op", labels=[]),
            item("terraform_data.x", "update"),
            item("terraform_data.y", "read"),
        ],
        "output_changes": {
            "lock": {"actions": ["update"]},
            "url": {"actions": ["delete"]},
            "nothing": {"actions": ["no-op"]},
        },
    }
    assert others(shown, record="lock") == (
        TerraformChange("docker_network.extra", "create"),
        TerraformChange("terraform_data.x", "update"),
        TerraformChange("output.url", "delete"),
    )


def test_an_image_is_told_by_what_it_is_pinned_by() -> None:
    """A new service with it, a tag that moved with both; a repository in its place by its slug."""
    foreign = ForeignImage("postgres@sha256:aa", 999, 999, "image")
    old = replace(WEB, slug="image:postgres:16", commit=None, tree="sha256:aa", foreign=foreign)
    created = [ResourceChange("web", "app", "create", {})]
    (new,) = service_changes([], [old], created, Observations())
    assert _texts(new) == ["image:postgres:16, pinned to postgres@sha256:aa"]
    moved = replace(old, tree="sha256:bb", foreign=replace(foreign, pinned="postgres@sha256:bb"))
    change = _only(old, moved, REPLACED)
    assert _texts(change) == ["image: postgres@sha256:aa → postgres@sha256:bb"]
    assert "image: gh:owner/repo → postgres@sha256:aa" in _texts(_only(WEB, old, REPLACED))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (None, "the name iac/a:1 of its image was removed by hand"),
        ({"image_id": "b"}, "the name iac/a:1 of its image was given to another image by hand"),
    ],
)
def test_a_name_that_its_image_lost_is_no_change_of_the_tool(
    after: dict[str, str] | None, said: str
) -> None:
    """The container is found by the id of the image that it runs."""
    marks = [{"label": labels.SERVICE, "value": "web"}, {"label": labels.ROLE, "value": "app"}]
    change = {
        "actions": ["delete", "create"],
        "before": {"labels": marks, "image": "a"},
        "after": {"labels": marks},
        "after_unknown": {"image": True},
        "replace_paths": [["image"]],
    }
    lost = {"before": {"name": "iac/a:1", "image_id": "a"}, "after": after}
    shown = {
        "resource_changes": [{"address": "c.a", "type": "docker_container", "change": change}],
        "resource_drift": [{"address": "i.a", "type": "docker_image", "change": lost}],
    }
    only = _only(WEB, WEB, *resource_changes(shown))
    assert [(reason.what, reason.text) for reason in only.reasons] == [("drift", said)]


def test_what_terraform_does_not_see_has_its_line() -> None:
    """A limit that the engine alone knows, and data that is gone."""
    change = _only(WEB, WEB, seen=Observations(bounded={("web", "app")}))
    assert (change.action, _texts(change)) == (
        "update",
        ["limit of processes of its app container was changed by hand"],
    )
    gone = ResourceChange("web", "app", "create", {}, gone=True)
    change = _only(WEB, WEB, gone, seen=Observations(lost={"web": ["demo-web-data"]}))
    assert _texts(change)[0] == "volume demo-web-data was removed by hand and comes back empty"
    assert change.drifted


def test_two_plans_that_do_the_same_have_one_outline() -> None:
    """Whatever ran before and whichever uids are free; what is made is in it."""

    def plan(uid: int, memory: int, before: str) -> dict[str, Any]:
        change = {
            "actions": ["update"],
            "before": {"ip": before},
            "after": {"user": f"{uid}:10001", "memory": memory},
        }
        quiet = {"actions": ["no-op"], "before": {}, "after": {"ip": before}}
        changes = [{"address": "c.a", "change": change}, {"address": "c.b", "change": quiet}]
        return {"resource_changes": changes, "timestamp": before}

    first = outline(plan(30004, 1, "x"), {"web": Users(30004)})
    assert outline(plan(30108, 1, "y"), {"web": Users(30108)}) == first
    assert outline(plan(30108, 1, "y"), {"web": Users(30004)}) != first
    assert outline(plan(30004, 2, "x"), {"web": Users(30004)}) != first
