"""`processes:` and `needs:` of repos files: what each makes, and what is refused, by its lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import AppSpec

FILE = Path("repos.yaml")


def read(text: str, path: Path = FILE) -> dict[str, AppSpec]:
    return {spec.name: spec for spec in repos_file.parse_entries(text, path)}


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value


SHOP = """\
- slug: gh:acme/shop#v1
  port: 8080
  health: /up
  memory: 256m
  rollout: replace
  env: {A: "1", B: "2"}
  needs: [db, shop-seed]
  processes:
    worker: celery -A app worker
    beat: [celery, -A, app, beat]
    clock: Procfile
    api: {command: "gunicorn -b :$PORT api", port: 9000, memory: 1g, env: {B: "3"}, needs: [db]}
    seed: {run: job, command: seed.py}
- gh:acme/db
"""


def test_a_process_is_a_service_of_the_same_source() -> None:
    """It has what its entry has, but for what the entry's own program answers by."""
    specs = read(SHOP)
    assert " ".join(specs) == "shop shop-worker shop-beat shop-clock shop-api shop-seed db"
    worker, api = specs["shop-worker"], specs["shop-api"]
    assert (worker.slug, worker.group, worker.process) == (specs["shop"].slug, "shop", "worker")
    assert (worker.entrypoint, worker.port, worker.where) == (
        "celery -A app worker",
        None,
        "repos.yaml:9",
    )
    assert worker.env == {"A": "1", "B": "2"}
    assert worker.options.to_dict() == {"memory_mb": 256, "needs": ("db", "shop-seed")}
    assert specs["shop-beat"].entrypoint == "celery -A app beat"
    assert specs["shop-clock"].entrypoint is None
    assert (api.port, api.env, api.options.to_dict()) == (
        9000,
        {"A": "1", "B": "3"},
        {"memory_mb": 1024, "needs": ("db",)},
    )
    seed = specs["shop-seed"]  # needed by its entry, so it does not wait for itself
    assert (seed.options.run, seed.options.needs) == ("job", ("db",))


def test_a_list_names_lines_of_the_procfile() -> None:
    """The short form, for a repository that has a Procfile."""
    specs = read("- slug: gh:acme/shop\n  processes: [worker, beat]\n")
    assert [(s.name, s.entrypoint) for s in specs.values()] == [
        ("shop", None),
        ("shop-worker", None),
        ("shop-beat", None),
    ]


def test_processes_are_merged_by_name_and_key(tmp_path: Path) -> None:
    """A later file and an environment change one key of one process."""
    (tmp_path / "a.yaml").write_text(
        "- slug: gh:acme/shop\n  processes: {worker: celery worker -A x, beat: celery beat -A x}\n"
    )
    (tmp_path / "b.yaml").write_text(
        "apps: [{name: shop, processes: {worker: {memory: 1g}}}]\n"
        "environments:\n"
        "  staging: {services: {shop: {processes: {worker: {memory: 128m}, beat: Procfile}}}}\n"
    )
    files = (tmp_path / "a.yaml", tmp_path / "b.yaml")
    _, worker, beat = repos_file.load_entries(*files, environment="staging")
    assert (worker.entrypoint, worker.options.memory_mb) == ("celery worker -A x", 128)
    assert beat.entrypoint is None


def test_an_entry_of_the_api_has_processes_as_well() -> None:
    """Errors point into the request."""
    entry = {"slug": "gh:acme/shop", "processes": {"worker": ["celery", "worker"]}}
    shop, worker = repos_file.from_entries([entry])
    assert (worker.name, worker.where, shop.process) == ("shop-worker", "/apps/0", "")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("- slug: gh:a/b\n  processes: {}\n- gh:a/c\n", "", ""),
        ("- slug: gh:a/b\n  processes: worker\n", "2", "processes is not a list"),
        ("- slug: gh:a/b\n  processes: []\n", "2", "processes is not a list"),
        ("- slug: gh:a/b\n  processes:\n    a_b: x y\n", "3", "bad name of a process"),
        ("- slug: gh:a/b\n  processes:\n    w:\n", "3", "bad value of entrypoint"),
        ("- slug: gh:a/b\n  processes:\n    w: {port: 80, run: job}\n", "3", "answers no requests"),
        ("- slug: gh:a/b\n  processes:\n    w: {slug: gh:a/c}\n", "3", "unknown key in process w"),
        (f"- slug: gh:a/b\n  processes:\n    {'w' * 62}: x y\n", "3", "bad service name"),
        ("- slug: gh:a/b\n  needs: b\n", "2", "needs is not a list"),
        ("- slug: gh:a/b\n  needs: [B]\n- gh:a/c\n", "2", "bad service name"),
    ],
)
def test_refusals(text: str, where: str, message: str) -> None:
    """Each names its line."""
    if not message:
        assert list(read(text)) == ["b", "c"]
        return
    error = refused(text)
    assert message in str(error)
    assert error.where == f"repos.yaml:{where}"


def test_two_services_of_one_name_are_refused_with_both_lines() -> None:
    """A process of one entry, and another entry."""
    error = refused(
        "- slug: gh:a/shop\n  processes:\n    worker: x y\n- {slug: gh:a/w, name: shop-worker}\n"
    )
    assert error.message == "two services are called 'shop-worker'"
    assert error.where == "repos.yaml:4"
    assert error.found == "gh:a/w; and gh:a/shop at repos.yaml:3"


def test_an_unknown_need_is_refused() -> None:
    """With its line, and the likeliest name."""
    error = refused("- slug: gh:a/web\n  needs: [dbx]\n- gh:a/db\n")
    assert error.message == "web needs dbx, and there is no such service"
    assert (error.where, error.expected) == ("repos.yaml:2", "'db'; one of db, web")


def test_a_circle_is_refused_with_every_line() -> None:
    """Whichever services are beside it."""
    text = "- gh:a/x\n- slug: gh:a/a\n  needs: [b]\n- slug: gh:a/b\n  needs: [x, c]\n"
    error = refused(text + "- slug: gh:a/c\n  needs: [a]\n")
    assert error.message == "services need each other, so none of them could start first"
    assert error.found == (
        "a needs b at repos.yaml:3; b needs c at repos.yaml:5; c needs a at repos.yaml:7"
    )
    assert refused("- slug: gh:a/a\n  needs: [a]\n").message == "a needs itself"


def test_a_need_that_an_environment_leaves_out_is_refused(tmp_path: Path) -> None:
    """Its services are those that there will be; the other environments are checked as well."""
    path = tmp_path / "repos.yaml"
    path.write_text(
        "apps:\n- slug: gh:a/web\n  needs: [db]\n- gh:a/db\n"
        "environments: {staging: {except: [db]}, production: {}}\n"
    )
    with pytest.raises(ConfigError, match="web needs db, and there is no such service"):
        repos_file.load_entries(path, environment="production")
