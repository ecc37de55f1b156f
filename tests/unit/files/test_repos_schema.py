"""`repos.schema.json` takes what the parser takes, and both follow from the declared keys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.repos_keys import KEYS
from iac_wrapper.model.repos_schema import json_schema
from tests.unit.files import test_repos_entries, test_repos_file, test_repos_images
from tests.unit.model import test_slug

ROOT = Path(__file__).parents[3]
SCHEMA = Draft7Validator(json_schema())

NOT_IN_A_SCHEMA = {
    "is a comment in YAML": "comments are no values",
    "two services are called": "names of services are no keys of the file",
    "no service name can be made": "a name that is made of a slug",
    "two different subdirectories": "two places of one value",
    "is given twice": "a value has lost its duplicates",
    "an app without slug\n  found:    name:": "whether a file before this one has the service",
    "no apps": "as above",
    "too long for an environment variable": "a length in bytes",
    "looks like a key, token or password": "the shapes of secrets",
    "valid Unicode": "no text for a schema",
    "expands to too much": "aliases are resolved",
    "there is no such service": "names of services are no keys of the file",
    "needs itself": "as above",
    "no environment": "which environment is asked for",
    "which environment": "as above",
    "names a service that the file does not have": "names of services are no keys of the file",
    "leaves no service": "as above",
    "leaves orders out": "as above",
    "cannot be at": "paths of two keys that meet",
    "cannot be both `port:` and `tcp:`": "two values that must differ",
    "with `tcp:` is too long": "a name may be made of a slug",
    "a quote of this command does not end": "quotes come in pairs",
    "has a meaning for images only": "another mapping may make the service an image",
    "no source can be made of this address": "pages of hosts have no grammar",
    "no time of a crontab": "a date of a calendar",
    "not valid": "no YAML",
    "nested too deep": "no YAML",
}
"""Words of the parser's refusals that no schema of values can give, and why."""


class _Core(yaml.SafeLoader):
    """YAML 1.2, as editors read it: ``yes`` and ``2024-01-01`` are texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Core.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )
_Core.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def _cases(test: Any) -> list[Any]:
    """The parameters of another test."""
    mark: pytest.Mark
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return list(mark.args[1])


def _refusal(text: str, name: str = "repos.yaml") -> str | None:
    """Why the parser refuses a file; None if it does not."""
    try:
        repos_file.parse_entries(text, Path(name))
    except ConfigError as error:
        return str(error)
    return None


def _agree(text: str, value: Any, name: str = "repos.yaml") -> None:
    refusal, fits = _refusal(text, name), SCHEMA.is_valid(value)
    said = refusal and next((words for words in NOT_IN_A_SCHEMA if words in refusal), None)
    assert fits == (refusal is None or said is not None), (text, refusal)


_BAD = [text for text, *_ in _cases(test_repos_file.test_errors_name_the_line)]
_BAD += [text for text, *_ in _cases(test_repos_images.test_what_does_not_go_together)]
_BAD += [
    f"- slug: gh:o/r\n  {line}\n"
    for line in _cases(test_repos_file.test_bad_options_name_line_and_form)
]
_BAD += [
    f"- slug: gh:a/b\n  env:\n    DB_URL: {value}\n"
    for value in _cases(test_repos_file.test_a_credential_is_refused_where_it_is_written)
]
_BAD += [
    json.dumps([entry]) for entry, _ in _cases(test_repos_entries.test_a_bad_entry_is_pointed_at)
]


@pytest.mark.slow
@pytest.mark.parametrize("text", _BAD)
def test_what_the_parser_refuses_fits_no_editor_either(text: str) -> None:
    """Every bad file of the parser's own tests, unless no schema of values could tell."""
    assert _refusal(text)
    try:
        value = yaml.load(text, Loader=_Core)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError):
        return
    _agree(text, value)


_SLUGS = [text for text, *_ in _cases(test_slug.test_forms)]
_SLUGS += [
    *_cases(test_slug.test_bad_location),
    *_cases(test_slug.test_credentials_are_refused_and_not_repeated),
]
_SLUGS += [f"gh:a/b#{ref}" for ref in _cases(test_slug.test_bad_ref)]
_SLUGS += [f"gh:a/b#:{subdir}" for subdir in _cases(test_slug.test_bad_subdir)]
_SLUGS += [text for text, _ in _cases(test_slug.test_near_miss)]
_SLUGS += [text for text, _ in _cases(test_slug.test_label)]
_SLUGS += [text for text, _ in _cases(test_slug.test_pasted_addresses)]
_SLUGS += [text for text, _ in _cases(test_slug.test_pasted_addresses_that_are_not_one_source)]


@pytest.mark.parametrize(
    "slug", [*_SLUGS, "#:x", "/", "~", "gh:a/.git", "gh:a/b.git/", "gh:a/b#x:"]
)
def test_slugs_are_told_apart_alike(slug: str) -> None:
    """Every slug of the grammar's own tests."""
    _agree(json.dumps([slug]), [slug], "repos.json")


TEXTS = [
    "",
    " ",
    "x",
    "X",
    "x-",
    "-x",
    "x.y",
    "gateway",
    "127",
    "0x7f",
    "x" * 63,
    "x" * 64,
    "1x",
    "a b",
    "a\nb",
    "a/b",
    "../x",
    "a/../b",
    "/",
    "/x",
    "/x/",
    "/x?y=1",
    "/x#y",
    "/ü",
    "//x",
    ".",
    "~x",
    "a\\b",
    "0",
    "1",
    "5",
    "6",
    "06",
    "10",
    "80",
    "8080",
    "9901",
    "15001",
    "65535",
    "65536",
    "3600",
    "3601",
    "12345678",
    "1s",
    "60m",
    "61m",
    "1h",
    "2h",
    "1H",
    "5m",
    "6m",
    "6MB",
    "1g",
    "0g",
    "1gib",
    "1t",
    "0.5",
    "0.001",
    "1.25",
    "1.255",
    ".5",
    "0.00",
    "00.01",
    "1e3",
    "web",
    "worker",
    "job",
    "beside",
    "replace",
    "later",
    "module:function",
    "path/to.py",
    "\x1b",
    "gh:a/b",
]
OTHERS: list[Any] = [
    0,
    1,
    5,
    6,
    80,
    8080,
    15020,
    65535,
    65536,
    3600,
    3601,
    10**8,
    -1,
    0.5,
    0.001,
    1.25,
    12345.5,
    True,
    False,
    None,
    [],
    ["x"],
    {},
    {"X": 1},
    {"PORT": "1"},
    {"X-Y": "1"},
    {"X": "a"},
    {"X": ""},
    {"X": True},
    {"X": None},
    {"X": "${Y}"},
    {"X": "${Y}z"},
    {"X": "${Y}:${Z}$$$1"},
    {"X": "$${"},
    {"X": "$$${"},
    {"X": "${1}"},
    {"X": "a${Y"},
    ["x", "y"],
    ["x y", ""],
    ["x", 1, None],
    {"x": {"command": "python -m x", "memory": "1g"}, "y": "Procfile", "z": ["a", "b"]},
    {"x": {"command": "x", "port": 80, "run": "worker"}},
    {"x": {"entrypoint": "x"}},
    {"x": {"memory": "lots"}},
    {"x": {}},
    {"x_y": "x"},
    {"x": ["y"]},
    {"X": "a\0"},
    {"X": "two\nlines ${"},
    {"/x": 1},
    {"/x": "0"},
    {"/x": "1g", "/data": 64},
    {"/x/": 1},
    {"/app": 1},
    {"/app/x": 1},
    {"/venv/x": 1},
    {"/opt/iac/x": 1},
    {"/opt/x": "1m"},
    {"/a/../b": 1},
    {"tmp": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_every_key_takes_the_same_values(key: str) -> None:
    """Some hundred values for each key: of its own form, of another key's, and of other types."""
    for value in (*TEXTS, *OTHERS):
        entry = {"slug": "gh:o/r", key: value}
        if _has_a_number(key, value):
            assert not SCHEMA.is_valid([entry])  # texts are to be written as texts for an editor
        else:
            _agree(json.dumps([entry]), [entry], "repos.json")


def _has_a_number(key: str, value: Any) -> bool:
    """Whether it is a number, or has one, where only a text makes sense."""
    if key == "processes" and isinstance(value, dict):
        return any(isinstance(each, int) for each in value.values())
    is_text = KEYS[key].form.schema.get("type") in ("string", ["string", "array"])
    return is_text and isinstance(value, bool | int | float)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["web", "worker", "job"])
@pytest.mark.parametrize("key", [key for key in KEYS if key not in ("run", "slug")])
def test_what_contradicts_run_is_known(run: str, key: str) -> None:
    """Also between defaults, and within the keys that an environment has for a service."""
    value = yaml.safe_load(KEYS[key].example)
    for said in ({"run": run, key: value}, {"run": run, "rollout": "beside"}):
        entry = {"slug": "gh:o/orders", **said}
        for file in (
            [entry],
            {"apps": ["gh:o/r"], "defaults": said},
            {"apps": ["gh:o/orders"], "environments": {"x": {"services": {"orders": said}}}},
        ):
            _agree(json.dumps(file), file, "repos.json")


@pytest.mark.parametrize(
    "text",
    [
        "apps: [gh:o/orders]\n",
        "apps: [gh:o/orders]\ndefaults: {}\n",
        "apps: [gh:o/orders]\ndefaults:\n",
        "apps: [gh:o/orders]\ndefaults: []\n",
        "apps: [gh:o/orders]\ndefaults: {memory: 1g, env: {A: 1}, port: 80}\n",
        "apps: [gh:o/orders]\ndefaults: {memory: lots}\n",
        "apps: [gh:o/orders]\ndefaults: {name: x}\n",
        "apps: [gh:o/orders]\ndefaults: {slug: gh:a/b}\n",
        "apps: [gh:o/orders]\ndefaults: {subdir: x}\n",
        "apps: [gh:o/orders]\ndefaults: {entrypoint: x}\n",
        "apps: [gh:o/orders]\nother: 1\n",
        "defaults: {}\n",
        "{}\n",
        "- name: orders\n  memory: 1g\n",
        "- memory: 1g\n",
        "- image: postgres:16\n",
        "- {image: 'r:5000/a/b', name: x, command: [a, '', 1], capabilities: [], writable: true}\n",
        "- {image: pg, command: a b, capabilities: 'CAP_KILL, chown', user: 999, run: worker}\n",
        "- {image: pg, subdir: x}\n",
        "- {image: pg, slug: gh:o/r}\n",
        "- {slug: gh:o/r, build: docker/Dockerfile, user: 'a:b', entrypoint: x}\n",
        "- image:postgres:16\n",
        "- image:Postgres\n",
        "apps: [{name: x, slug: gh:o/r}]\nenvironments: {e: {services: {x: {image: pg}}}}\n",
        "apps: [gh:o/orders]\nenvironments:\n",
        "apps: [gh:o/orders]\nenvironments: {}\n",
        "apps: [gh:o/orders]\nenvironments: []\n",
        *(
            f"apps: [gh:o/orders, gh:o/b]\nenvironments: {{staging: {text}}}\n"
            for text in (
                "",
                "{}",
                "[]",
                "x",
                "{other: 1}",
                "{defaults: {memory: 1g}}",
                "{defaults: }",
                "{defaults: {name: x}}",
                "{services: }",
                "{services: {}}",
                "{services: [orders]}",
                "{services: {orders: }}",
                "{services: {orders: {memory: 1g}}}",
                "{services: {orders: {slug: 'gh:o/orders#v1', subdir: x}}}",
                "{services: {orders: {name: x}}}",
                "{services: {orders: {memory: lots}}}",
                "{services: {Orders: {}}}",
                "{services: {ordres: {}}}",
                "{only: [orders]}",
                "{only: }",
                "{only: []}",
                "{only: orders}",
                "{only: [Orders]}",
                "{only: [x]}",
                "{except: [orders]}",
                "{except: [orders, b]}",
                "{only: [orders], except: [b]}",
                "{except: [orders], services: {orders: {}}}",
            )
        ),
        *(
            f"apps: [gh:o/r]\nenvironments: {{{name}: {{}}}}\n"
            for name in ("a", "A", "a-", "-a", "1a", "a" * 20, "a" * 21, "a_b", "a.b", "''")
        ),
        "apps: [gh:o/r]\nenvironments: {" + ", ".join(f"e{n}: " for n in range(21)) + "}\n",
    ],
)
def test_defaults_and_environments_are_told_apart_alike(text: str) -> None:
    """The mapping form."""
    _agree(text, yaml.load(text, Loader=_Core))  # noqa: S506 - it is a SafeLoader


def test_too_many_entries_fit_neither() -> None:
    """The bound is the same one."""
    for count in (500, 501):
        entries = [{"slug": "gh:o/r", "name": f"x{n}"} for n in range(count)]
        assert SCHEMA.is_valid(entries) == (_refusal(json.dumps(entries), "r.json") is None)


def test_what_is_generated_is_up_to_date() -> None:
    """`make schema` has nothing to write: README, the schema and the API say the declared keys."""
    command = [sys.executable, "scripts/schema.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_key_says_what_an_editor_shows() -> None:
    """A meaning without Markdown links, and an example that fits."""
    for key in KEYS.values():
        shown = json_schema()["definitions"][f"key-{key.name}"]
        assert "](" not in shown["description"]
        own = {**key.form.schema, "definitions": json_schema()["definitions"]}
        assert all(Draft7Validator(own).is_valid(each) for each in shown["examples"])


@pytest.mark.parametrize("name", ["repos.yaml", "examples/repos.yaml"])
def test_files_of_the_project_name_the_schema(name: str) -> None:
    """An editor finds it, and the file fits."""
    text = (ROOT / name).read_text()
    found = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert found
    schema = (ROOT / name).parent / found[1]
    Draft7Validator(json.loads(schema.read_text())).validate(yaml.safe_load(text))
