from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.options import Options


def _load(tmp_path: Path, text: str, name: str = "repos.yaml") -> list[AppSpec]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return repos_file.load_entries(path)


def _refused(tmp_path: Path, text: str, name: str = "repos.yaml") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text, name)
    return caught.value


def test_all_keys(tmp_path: Path) -> None:
    """An entry with every key becomes a spec; a bare slug gets its name from the repository."""
    first, second = _load(
        tmp_path,
        """# services
- gh:owner/Some_Repo#v1
- slug: ./services/greeter
  name: greeter
  subdir: src
  entrypoint: greeter.server:main
  port: 8080
  env:
    PLAIN: hello
    COUNT: 3
    VERSION: 1.10
    FLAG: yes
    OCTAL: 0123
    EMPTY: ""
    KEY: ${API_KEY}
""",
    )
    assert (first.name, first.slug.ref, first.port, first.env) == ("some-repo", "v1", None, {})
    assert first.where == f"{tmp_path}/repos.yaml:2"
    assert (second.name, second.slug.text) == ("greeter", "./services/greeter#:src")
    assert (second.entrypoint, second.port) == ("greeter.server:main", 8080)
    assert second.env == {
        "PLAIN": "hello",
        "COUNT": "3",
        "VERSION": "1.10",
        "FLAG": "yes",
        "OCTAL": "0123",
        "EMPTY": "",
        "KEY": "${API_KEY}",
    }


def test_options(tmp_path: Path) -> None:
    """How a service runs is read with units; what is not said stays the default."""
    text = """
- slug: gh:owner/repo
  run: web
  rollout: replace
  health: /healthz?full=1
  health_timeout: 2m
  stop_grace: 30
  memory: 1g
  cpus: 0.5
  tmpfs: {/app/tmp: 256m, /data: 64}
  release: "python manage.py migrate && echo done"
  dependencies: requirements/prod.txt
- gh:owner/other
"""
    first, second = _load(tmp_path, text)
    assert first.options == Options(
        "web",
        "replace",
        "/healthz?full=1",
        120,
        30,
        1024,
        0.5,
        {"/app/tmp": 256, "/data": 64},
        release="python manage.py migrate && echo done",
        dependencies="requirements/prod.txt",
    )
    assert second.options == Options()


@pytest.mark.parametrize(
    "line",
    [
        "run: server",
        "health: /up\n  run: worker",
        "health: /up\n  run: job",
        "port: 8080\n  run: job",
        "port: 8080\n  run: worker",
        "rollout: beside\n  run: worker",
        "rollout: beside\n  run: job",
        "rollout: later",
        "health: healthz",
        "health_timeout: 2d",
        "health_timeout: 0",
        "stop_grace: 2h",
        "memory: 5m",
        "memory: lots",
        "cpus: -1",
        "cpus: 0",
        "tmpfs: /tmp",
        "tmpfs: {tmp: 64m}",
        "tmpfs: {/app: 64m}",
        "tmpfs: {/usr: 64m}",
        "tmpfs: {/tmp/: 64m}",
        "tmpfs: {/run/iac/env: 64m}",
        "tmpfs: {/a/../proc: 64m}",
        "volumes: /app/data",
        "volumes: {data: app/data}",
        "volumes: {data: /app}",
        "volumes: {data: /app/data/}",
        "volumes: {da-ta: /app/data}",
        "volumes: {Data: /app/data}",
        "volumes: {data: /tmp}",
        "volumes: {a: /srv, b: /srv}",
        "volumes: {a: /srv/x, b: /srv}",
        "volumes: {a: /srv}\n  tmpfs: {/srv: 1m}",
        "release: ' '",
        "dependencies: ../requirements.txt",
        "dependencies: /requirements.txt",
        "dependencies: pyproject.toml[]",
        "dependencies: [a.txt, b.txt]",
        "dependencies: 'a.txt; rm'",
        "processes: {worker: {command: x, dependencies: a.txt}}",
        'release: "a\\nb"',
        "schedule: 0 3 * * * true",
        "schedule: {backup: 0 3 * * true}",
        "schedule: {backup: 0 3 * * *}",
        'schedule: {backup: "@daily true"}',
        "schedule: {Backup: 0 3 * * * true}",
        "schedule: {backup: 61 3 * * * true}",
        "schedule: {backup: 0 3 30 2 * true}",
        "schedule: {backup: 0 0 */20 * 1L true}",
        'schedule: {backup: "0 3 * * * a\\nb"}',
        "allow: web",
        "allow: [We_b]",
        "allow: [[web]]",
        "allow: {web: [/api/*]}",
        "allow: [{web: []}]",
        "allow: [{web: /api}]",
        "allow: [{web: [api]}]",
        "allow: [{web: ['/a?b']}]",
        "allow: [{web: ['/a*b']}]",
        "allow: [{web: [/a#b]}]",
        "allow: [{web: ['/a b']}]",
        "allow: [{web: ['tcp:0']}]",
        "allow: [{web: ['tcp:70000']}]",
        "allow: [{web: ['udp:53']}]",
    ],
)
def test_bad_options_name_line_and_form(tmp_path: Path, line: str) -> None:
    """A value that is not of the form is refused where it stands, with the form to write."""
    error = _refused(tmp_path, f"- slug: gh:owner/repo\n  {line}\n")
    assert (error.where or "").endswith(":2")
    assert error.expected
    assert error.next_step


def test_what_nobody_would_ask_is_refused_with_the_words_to_write(tmp_path: Path) -> None:
    """A job's port looks as if the verdict rested on it; `rollout: replace` says how it is."""
    error = _refused(tmp_path, "- slug: gh:owner/repo\n  run: job\n  port: 8080\n")
    assert (error.where, error.message, error.found, error.next_step) == (
        f"{tmp_path}/repos.yaml:3",
        "a job answers no requests, so nobody would ask its port",
        "run: job and port: 8080",
        "delete `port: 8080`, or write `run: web` if it answers requests",
    )
    text = "- slug: gh:owner/repo\n  run: worker\n  rollout: replace\n  health_timeout: 90\n"
    assert _load(tmp_path, text)[0].options.rollout == "replace"


def test_a_service_with_a_volume_is_never_two_programs(tmp_path: Path) -> None:
    """What is said of both is refused; a default of `rollout` gives way, one of `volumes` does not:
    nobody would see that the data goes."""
    kept = "slug: gh:a/b, volumes: {data: /app/data}"
    error = _refused(tmp_path, f"- {{{kept}, rollout: beside}}\n")
    assert "two versions would write to one volume" in error.message
    assert error.next_step == "delete `rollout: beside`"
    (spec,) = _load(tmp_path, f"defaults: {{rollout: beside}}\napps: [{{{kept}}}]\n")
    assert spec.options.rollout is None
    assert "the default of `rollout` does not apply" in spec.notes[0]
    text = "defaults: {volumes: {data: /srv}}\napps: [{slug: gh:a/b, rollout: beside}]\n"
    assert "two versions" in _refused(tmp_path, text).message
    text = "defaults: {tmpfs: {/srv: 1m}}\napps: [{slug: gh:a/b, volumes: {data: /srv}}]\n"
    assert "`tmpfs:` has /srv as well" in _refused(tmp_path, text).message


def test_volumes_side_by_side_and_above_memory(tmp_path: Path) -> None:
    """Neighbours, and memory inside a volume, are fine."""
    line = "volumes: {a: /srv/a, b: /srv/ab}, tmpfs: {/srv/a/cache: 1m}"
    (spec,) = _load(tmp_path, "- {slug: gh:a/b, " + line + "}\n")
    assert spec.options.volumes == {"a": "/srv/a", "b": "/srv/ab"}


def test_apps_key_anchors_and_json(tmp_path: Path) -> None:
    """The list may lie under `apps`, share an anchor, or be JSON indented with tabs."""
    text = "apps:\n- {slug: gh:a/b, env: &e {X: 1}}\n- {slug: gh:a/c, env: *e}\n"
    assert [spec.env for spec in _load(tmp_path, text)] == [{"X": "1"}, {"X": "1"}]
    json = '[\n\t"gh:a/b",\n\t{"slug": "gh:a/c", "port": 80, "env": {"T": "a\\tb"}}\n]\n'
    specs = _load(tmp_path, json, "repos.json")
    assert [(spec.name, spec.port) for spec in specs] == [("b", None), ("c", 80)]
    assert specs[1].env == {"T": "a\tb"}
    assert specs[1].where.endswith("repos.json:3")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "empty"),
        ("# nothing\n", None, "empty"),
        ("[]\n", 1, "empty"),
        ("apps:\n", 1, "empty"),
        ("just text\n", 1, "not a list"),
        ("services:\n- gh:a/b\n", 1, "unknown key"),
        ("- gh:a/b\n  - x: [\n", 2, "not valid YAML"),
        ("- gh:a/b\n\t- gh:a/c\n", 2, "not valid YAML"),
        ("- gh:a/b\n---\n- gh:a/c\n", 2, "not valid YAML"),
        ("- *nothing\n", 1, "not valid YAML"),
        ("- gh:a/b\n-\n", 2, "nothing"),
        ("- gh:a/b\n- [gh:a/c]\n", 2, "a list"),
        ("- gh:a/b\n- github:a/c\n", 2, "gh:a/c"),
        ("- gh:a/b #main\n", 1, "gh:a/b#main"),
        ("- name: x\n", 1, "without slug"),
        ("- slug: gh:a/b\n  nmae: x\n", 2, "'name'"),
        ("- slug: gh:a/b\n  zzz: x\n", 2, "unknown key"),
        ("- slug: gh:a/b\n  name: x\n  name: y\n", 3, "line 2 and line 3"),
        ("- slug: gh:a/b\n  name:\n", 2, "nothing"),
        ("- slug: gh:a/b\n  name: Foo_Bar\n", 2, "foo-bar"),
        ("- slug: gh:a/b\n  name: x.y\n", 2, "x-y"),
        ("- slug: gh:a/b\n  name: 127\n", 2, "not a number"),
        ("- slug: gh:a/b\n  name: 0x7f\n", 2, "not a number"),
        ("- slug: gh:a/b\n  name: -x\n", 2, "bad service name"),
        ("- slug: gh:a/b\n  name: " + "x" * 64 + "\n", 2, "bad service name"),
        ("- slug: gh:a/b\n  name: gateway\n", 2, "reserved"),
        ("- gh:a/control-plane\n", 1, "name: another-name"),
        ("- gh:a/_._\n", 1, "no service name"),
        ("- gh:a/b\n- gh:c/b\n", 2, "repos.yaml:1"),
        ("- slug: gh:a/b\n  port: http\n", 2, "1 to 65535"),
        ("- slug: gh:a/b\n  port: 0\n", 2, "1 to 65535"),
        ("- slug: gh:a/b\n  port: 65536\n", 2, "1 to 65535"),
        ("- slug: gh:a/b\n  port: 15001\n", 2, "outbound"),
        ("- slug: gh:a/b\n  port: 15020\n", 2, "reserved for the sidecar"),
        ("- slug: gh:a/b\n  tcp: [5432, 15001]\n", 2, "outbound"),
        ("- slug: gh:a/b\n  tcp: [5432, 5432]\n", 2, "different ports"),
        ("- slug: gh:a/b\n  tcp: []\n", 2, "1 to 32"),
        ("- slug: gh:a/b\n  tcp: {5432: x}\n", 2, "5432"),
        ("- slug: gh:a/b\n  port: 80\n  tcp: 80\n", 3, "for HTTP and gRPC"),
        ("- slug: gh:a/b\n  run: worker\n  tcp: 80\n", 3, "run: web"),
        (f"- slug: gh:a/b\n  name: {'x' * 60}\n  tcp: 80\n", 3, "at most 59"),
        ("- slug: gh:a/b\n  entrypoint: ''\n", 2, "bad value of entrypoint"),
        ("- slug: gh:a/b\n  entrypoint: [x]\n", 2, "a list"),
        ("- slug: gh:a/b\n  subdir: ../x\n", 2, "bad subdirectory"),
        ("- slug: gh:a/b#:x\n  subdir: y\n", 2, "two different"),
        ("- slug: gh:a/b\n  env: [X]\n", 2, "not a mapping"),
        ("- slug: gh:a/b\n  env:\n    X:\n", 3, "if empty"),
        ("- slug: gh:a/b\n  env:\n    X: [1]\n", 3, "a list"),
        ("- slug: gh:a/b\n  env:\n    X: 1\n    X: 2\n", 4, "twice"),
        ("- slug: gh:a/b\n  env:\n    1X: 1\n", 3, "variable name"),
        ("- slug: gh:a/b\n  env:\n    PORT: 1\n", 3, "port:"),
        ("- slug: gh:a/b\n  env:\n    IAC_X: 1\n", 3, "cannot be changed"),
        ("- slug: gh:a/b\n  env:\n    X: a-${B\n", 3, "without the name of a variable"),
        ('- slug: gh:a/b\n  env:\n    X: "a\\0b"\n', 3, "NUL"),
        ('- slug: gh:a/b\n  env:\n    X: "\\ud83d"\n', 3, "Unicode"),
        (f"- slug: gh:a/b\n  env:\n    X: {'x' * 131_070}\n", 3, "131073 bytes"),
        ("- slug: gh:a/b\n  <<: {port: 1}\n", 2, "unknown key"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    """Every mistake is answered with file, line, what would be right and what to do."""
    error = _refused(tmp_path, text)
    assert error.next_step
    assert error.where == f"{tmp_path}/repos.yaml" + (f":{line}" if line else "")
    assert words in str(error)


@pytest.mark.parametrize(
    "value", ["ghp_" + "s3cret" * 6, "postgres://app:s3cret@db/x", "https://s3cret@host/x"]
)
def test_a_credential_is_refused_where_it_is_written(tmp_path: Path, value: str) -> None:
    """Long before Terraform sees it, and without repeating it."""
    error = _refused(tmp_path, f"- slug: gh:a/b\n  env:\n    DB_URL: {value}\n")
    assert error.where == f"{tmp_path}/repos.yaml:3"
    assert "write DB_URL: ${DB_URL}" in (error.next_step or "")
    assert "s3cret" not in str(error)


def test_a_user_in_a_url_is_no_credential(tmp_path: Path) -> None:
    """Only what lets somebody in is one."""
    text = "- slug: gh:a/b\n  env:\n    DB_URL: postgres://app@db/x\n"
    assert _load(tmp_path, text)[0].env == {"DB_URL": "postgres://app@db/x"}


def test_a_comment_is_not_a_lost_ref(tmp_path: Path) -> None:
    """A real comment after a slug, or after one with a ref, is fine."""
    text = "- gh:a/b # the first\n- gh:a/c#v1 #pinned\n"
    assert [spec.slug.ref for spec in _load(tmp_path, text)] == [None, "v1"]


def test_missing_file_names_a_neighbour(tmp_path: Path) -> None:
    """A missing file is answered with the one that is there under another ending."""
    with pytest.raises(ConfigError, match=r"- gh:owner/repo"):
        repos_file.load_entries(tmp_path / "repos.yaml")
    (tmp_path / "repos.yml").write_text("- gh:a/b\n")
    with pytest.raises(ConfigError, match=r"--file .*repos\.yml"):
        repos_file.load_entries(tmp_path / "repos.yaml")


def test_missing_file_names_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of a project, the file that its project folder has."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "repos.yaml").write_text("- gh:a/b\n")
    (tmp_path / "web" / "src").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "web" / "src")
    with pytest.raises(ConfigError) as caught:
        repos_file.load_entries(Path("repos.yaml"))
    assert caught.value.next_step == "pass --file ../../repos.yaml"


def test_unreadable(tmp_path: Path) -> None:
    """A directory, other bytes than UTF-8 and a huge file are refused with a sentence."""
    with pytest.raises(ConfigError, match="cannot read"):
        repos_file.load_entries(tmp_path)
    (tmp_path / "latin").write_bytes(b"- gh:a/b # caf\xe9\n")
    with pytest.raises(ConfigError, match="cannot read"):
        repos_file.load_entries(tmp_path / "latin")
    (tmp_path / "huge").write_bytes(b"#" * (repos_file.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="too large"):
        repos_file.load_entries(tmp_path / "huge")


@pytest.mark.slow
def test_hostile_files_end_quickly(tmp_path: Path) -> None:
    """Nesting, many entries and alias bombs end in an error, not in a crash."""
    assert "too deep" in str(_refused(tmp_path, "[" * 5_000))
    assert "too many" in str(_refused(tmp_path, "- gh:a/b\n" * 501))
    big = "- slug: gh:a/a0\n  env: &e\n" + "".join(f"    V{i}: x\n" for i in range(500))
    aliases = "".join(f"- {{slug: gh:a/a{i}, env: *e}}\n" for i in range(1, 400))
    assert "too large when its aliases are expanded" in str(_refused(tmp_path, big + aliases))


def test_from_slugs(tmp_path: Path) -> None:
    """Slugs given as arguments become specs; `.` is named after the directory."""
    folder = tmp_path / "My_App"
    folder.mkdir()
    specs = repos_file.from_slugs(["gh:a/b#v1", ".", "./sub"], base_dir=folder)
    assert [(spec.name, spec.where) for spec in specs] == [
        ("b", "argument"),
        ("my-app", "argument"),
        ("sub", "argument"),
    ]


@pytest.mark.parametrize("slugs", [[], ["nope:x"], ["gh:a/b", "gh:c/b"], ["gh:a/gateway"]])
def test_from_slugs_refuses(slugs: list[str]) -> None:
    """Bad arguments are refused with the same rules as a file."""
    with pytest.raises(ConfigError) as caught:
        repos_file.from_slugs(slugs)
    assert caught.value.where == "argument"
    assert caught.value.next_step
