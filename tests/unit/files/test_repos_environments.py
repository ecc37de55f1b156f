"""Defaults, environments and several files: what a service gets in the end, and from where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import AppSpec

ROOT = Path(__file__).parents[3]


def _load(tmp_path: Path, *texts: str, environment: str | None = None) -> dict[str, AppSpec]:
    """The services of files f0.yaml, f1.yaml … with `texts`, by name."""
    paths = []
    for number, text in enumerate(texts):
        path = tmp_path / f"f{number}.yaml"
        path.write_text(text)
        paths.append(path)
    return {spec.name: spec for spec in repos_file.load_entries(*paths, environment=environment)}


def _refused(tmp_path: Path, *texts: str, environment: str | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, *texts, environment=environment)
    return caught.value


def test_an_entry_wins_over_the_defaults(tmp_path: Path) -> None:
    """Key by key; `env` and `tmpfs` are merged by name."""
    found = _load(
        tmp_path,
        """
defaults:
  env: {LOG_LEVEL: info, REGION: eu}
  tmpfs: {/cache: 64m, /scratch: 1m}
  memory: 256m
  port: 8080
apps:
- gh:acme/a
- slug: gh:acme/b
  env: {LOG_LEVEL: debug, OWN: "1"}
  tmpfs: {/cache: 1g}
  memory: 1g
  port: 80
""",
    )
    a, b = found["a"], found["b"]
    assert a.env == {"LOG_LEVEL": "info", "REGION": "eu"}
    assert b.env == {"LOG_LEVEL": "debug", "REGION": "eu", "OWN": "1"}
    assert (a.port, a.options.memory_mb, a.options.tmpfs) == (
        8080,
        256,
        {"/cache": 64, "/scratch": 1},
    )
    assert (b.port, b.options.memory_mb, b.options.tmpfs) == (
        80,
        1024,
        {"/cache": 1024, "/scratch": 1},
    )


def test_a_default_that_contradicts_an_entry_does_not_apply(tmp_path: Path) -> None:
    """A page may be the default of many services of which one is a worker; it is said."""
    found = _load(
        tmp_path,
        """
defaults: {health: /up, port: 8080, memory: 64m}
apps:
- gh:acme/web
- {slug: gh:acme/queue, run: worker}
""",
    )
    queue = found["queue"]
    assert (queue.port, queue.options.health, queue.options.memory_mb) == (None, None, 64)
    assert queue.notes == (
        "the default of `port` does not apply: a worker answers no requests, so nobody would ask"
        " its port",
        "the default of `health` does not apply: a worker answers no requests, so nobody would"
        " ask for a page",
    )
    assert found["web"].notes == ()
    found = _load(tmp_path, "defaults: {run: worker}\napps: [{slug: gh:a/web, port: 80}, gh:a/q]\n")
    assert (found["web"].options.run, found["q"].options.run) == (None, "worker")


def test_a_default_of_no_meaning_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The line is that of the key."""
    for key in ("slug", "name", "subdir", "entrypoint"):
        error = _refused(tmp_path, f"apps: [gh:a/b]\ndefaults:\n  memory: 1g\n  {key}: x\n")
        assert error.where == f"{tmp_path}/f0.yaml:4"
        assert f"{key} cannot be a default: " in error.message
        assert "memory" in (error.expected or "")
    error = _refused(tmp_path, "apps: [gh:a/b]\ndefaults:\n  memroy: 1g\n")
    assert (error.where, "'memory'" in (error.expected or "")) == (f"{tmp_path}/f0.yaml:3", True)


FILE = """
defaults:
  memory: 256m
  env: {LOG_LEVEL: info, REGION: eu}
apps:
- gh:acme/orders
- {slug: gh:acme/shop, memory: 1g}
- {slug: gh:acme/tools, run: job}
environments:
  staging:
    defaults: {memory: 128m, env: {LOG_LEVEL: debug}}
    services:
      shop: {memory: 512m, slug: "gh:acme/shop#main", env: {DEBUG: "1"}}
  production:
    except: [tools]
  bare:
  one: {only: [shop]}
"""


def test_an_environment_wins_over_the_rest(tmp_path: Path) -> None:
    """Its keys of a service, then the entry, then its defaults, then those of the file."""
    staging = _load(tmp_path, FILE, environment="staging")
    production = _load(tmp_path, FILE, environment="production")
    assert [*staging] == ["orders", "shop", "tools"]
    assert [*production] == ["orders", "shop"]
    assert [*_load(tmp_path, FILE, environment="one")] == ["shop"]
    assert _load(tmp_path, FILE, environment="bare").keys() == staging.keys()
    assert [s.options.memory_mb for s in staging.values()] == [128, 512, 128]
    assert [s.options.memory_mb for s in production.values()] == [256, 1024]
    assert staging["shop"].env == {"LOG_LEVEL": "debug", "REGION": "eu", "DEBUG": "1"}
    assert staging["shop"].slug.ref == "main"
    assert production["shop"].env == {"LOG_LEVEL": "info", "REGION": "eu"}
    assert staging["shop"].where == f"{tmp_path}/f0.yaml:7"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (None, ["which environment?", "staging, production, bare, one", "--env staging"]),
        ("stagign", ["no environment stagign", "'staging'"]),
    ],
)
def test_an_environment_has_to_be_named(
    tmp_path: Path, environment: str | None, words: list[str]
) -> None:
    """The error lists those there are."""
    error = str(_refused(tmp_path, FILE, environment=environment))
    assert all(each in error for each in words), error


def test_a_file_without_environments_has_none(tmp_path: Path) -> None:
    """To name one is a mistake, not a project like another."""
    error = _refused(tmp_path, "- gh:a/b\n", environment="staging")
    assert "without `environments:`" in (error.found or "")
    assert "write `environments: {staging: {}}`" in (error.next_step or "")


@pytest.mark.parametrize(
    ("production", "line", "words"),
    [
        ("{services: {ordres: {memory: 1g}}}", 5, "'orders'"),
        ("{only: [ordres]}", 5, "'orders'"),
        ("{except: [x]}", 5, "one of orders, b"),
        ("{except: [orders, b]}", 5, "leaves no service"),
        ("{except: [b], services: {b: {memory: 1g}}}", 5, "leaves b out"),
        ("{only: [orders], except: [b]}", 5, "both only and except"),
        ("{services: {orders: {run: job}}}", 2, "nobody would ask its port"),
        ("{services: {orders: {name: x}}}", 5, "another name"),
        ("{service: {}}", 5, "'services'"),
        ("[]", 5, "not a mapping"),
    ],
)
def test_a_mistake_in_one_environment_is_told_in_every(
    tmp_path: Path, production: str, line: int, words: str
) -> None:
    """With file and line, before it is deployed for the first time."""
    apps = "apps:\n- {slug: gh:a/orders, port: 80}\n- gh:a/b\n"
    text = f"{apps}environments: {{staging: {{}},\n production: {production}}}\n"
    error = _refused(tmp_path, text, environment="staging")
    assert error.where == f"{tmp_path}/f0.yaml:{line}"
    assert words in str(error)
    assert error.next_step


def test_a_later_file_wins_by_service_name(tmp_path: Path) -> None:
    """Key by key; a new service comes last; one without slug is one of an earlier file."""
    (tmp_path / "sub").mkdir()
    first, second = tmp_path / "repos.yaml", tmp_path / "sub" / "more.yaml"
    first.write_text(
        "- {slug: ./a, memory: 1g, env: {A: '1', B: '1'}}\n"
        "- {slug: 'gh:x/y', name: b, subdir: s, port: 80}\n"
    )
    second.write_text("- {name: a, env: {B: '2', C: '3'}}\n- {slug: ./b, cpus: 2}\n- ./c\n")
    a, b, c = repos_file.load_entries(first, second)
    assert (a.env, a.options.memory_mb, a.base) == ({"A": "1", "B": "2", "C": "3"}, 1024, tmp_path)
    assert (b.slug.text, b.port, b.options.cpus, b.base) == ("./b", 80, 2, tmp_path / "sub")
    assert (c.name, c.base) == ("c", tmp_path / "sub")
    assert [a.where, b.where, c.where] == [f"{first}:1", f"{first}:2", f"{second}:3"]


def test_defaults_and_environments_of_files_are_merged(tmp_path: Path) -> None:
    """As though all were written in one file."""
    first = (
        "apps: [gh:a/x, gh:a/y]\ndefaults: {memory: 1g, env: {A: '1'}}\n"
        "environments: {staging: {only: [x]}}\n"
    )
    second = (
        "defaults: {env: {B: '2'}}\nenvironments: {staging: {services: {x: {cpus: 1}}}, live: {}}\n"
    )
    staging = _load(tmp_path, first, second, environment="staging")
    assert [*staging] == ["x"]
    assert staging["x"].options.cpus == 1
    assert _load(tmp_path, first, second, environment="live")["y"].env == {"A": "1", "B": "2"}
    again = "environments: {staging: {except: [x]}}\n"
    assert [*_load(tmp_path, first, again, environment="staging")] == ["y"]


@pytest.mark.parametrize(
    ("second", "line", "words"),
    [
        ("- {name: ordres, memory: 1g}\n", 1, "'orders'"),
        ("- name: orders\n  memory: lots\n", 2, "bad value of memory"),
        ("- name: orders\n  run: job\n", None, "nobody would ask its port"),
        ("- name: orders\n- name: orders\n", 2, "two services are called 'orders'"),
        ("- {name: orders, subdir: x}\n- {name: b, prot: 1}\n", 2, "'port'"),
    ],
)
def test_errors_name_the_file_that_is_wrong(
    tmp_path: Path, second: str, line: int | None, words: str
) -> None:
    """Two that contradict each other are told where the one stands that has no meaning."""
    error = _refused(tmp_path, "- {slug: gh:a/orders, port: 80}\n- gh:a/b\n", second)
    assert error.where == f"{tmp_path}/" + (f"f1.yaml:{line}" if line else "f0.yaml:1")
    assert words in str(error)
    assert error.next_step


def test_files_without_any_app_are_refused(tmp_path: Path) -> None:
    """A list must come from one of them."""
    error = _refused(
        tmp_path, "defaults: {memory: 1g}\n", "environments: {x: {}}\n", environment="x"
    )
    assert (error.message, error.where) == ("no apps", f"{tmp_path}/f0.yaml")


def _examples() -> list[str]:
    text = (ROOT / "docs" / "repos-yaml.md").read_text()
    return re.findall(r"^```yaml\n# repos\.yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_example_of_the_readme_is_right(tmp_path: Path) -> None:
    """Both of its environments."""
    text = (ROOT / "README.md").read_text().partition("### Defaults and environments")[2]
    example = text.partition("```yaml\n")[2].partition("```")[0]
    staging, production = (
        _load(tmp_path, example, environment=e) for e in ("staging", "production")
    )
    assert (staging["orders"].slug.ref, production["orders"].slug.ref) == ("main", "v1.4.2")
    assert (len(staging), len(production)) == (2, 1)
    assert staging["tools"].options.memory_mb == 256


def test_staging_and_production_of_forty_services_differ_in_ten_lines(tmp_path: Path) -> None:
    """The example of the documentation, with forty services, is what it says there."""
    (example,) = _examples()
    head, _, environments = example.partition("environments:\n")
    assert len(environments.splitlines()) == 10
    more = "".join(f"- gh:acme/service-{n}\n" for n in range(40 - head.count("\n- ")))
    file = head.rstrip() + "\n" + more + "environments:\n" + environments
    staging = _load(tmp_path, file, environment="staging")
    production = _load(tmp_path, file, environment="production")
    assert (len(staging), len(production)) == (40, 39)
    assert {name for name in staging if name not in production} == {"mail-catcher"}
    assert staging["orders"].slug.ref == "main"
    assert production["orders"].slug.ref == "v1.4.2"
    assert staging["service-1"].env["LOG_LEVEL"] == "debug"
    assert production["service-1"].env["LOG_LEVEL"] == "info"
    assert {s.options.memory_mb for n, s in staging.items() if n != "search"} == {128}
    assert staging["search"].options.memory_mb == 512
    assert production["search"].options.memory_mb == 4096
