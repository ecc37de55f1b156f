from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files


def test_references_alone_and_within_text_count() -> None:
    """``${NAME}`` is a reference, ``$${NAME}`` and ``$NAME`` are text."""
    env = {"A": "${TOKEN}", "B": "${U}:${TOKEN}@${U}", "C": "plain", "D": "$TOKEN $${TOKEN}"}
    assert env_files.referring(env) == {"A": ("TOKEN",), "B": ("U", "TOKEN")}


def test_text_around_references_stays() -> None:
    """A value is inserted as it is; ``$${`` is a literal ``${``, and ``$$`` stays what it is."""
    url = "postgresql://app:${PASSWORD}@db/app?$$=$1&x=$${PASSWORD}"
    assert _resolve({"URL": url}, {"PASSWORD": "s3/cr${et}"}) == {
        "URL": "postgresql://app:s3/cr${et}@db/app?$$=$1&x=${PASSWORD}"
    }


def test_what_goes_into_text_is_known_as_a_secret(tmp_path: Path) -> None:
    """A log may show the password without the URL around it, also one that was replaced since."""
    env = {"URL": "redis://:${PASSWORD}@cache", "TOKEN": "${TOKEN}", "MODE": "${MODE}-1"}
    for password in ("sentinel-1", "sentinel-2"):
        environ = {"PASSWORD": password, "TOKEN": "sentinel-3", "MODE": "fast"}
        env_files.keep_parts(tmp_path / "web.parts", env, environ)
    assert sorted(env_files.values(tmp_path)) == ["sentinel-1", "sentinel-2"]
    assert {f.stat().st_mode & 0o777 for f in (tmp_path / "web.parts").iterdir()} == {0o400}


def test_values_that_were_replaced_are_forgotten_in_the_end(tmp_path: Path) -> None:
    """The folder does not grow with every rotation."""
    for number in range(env_files.KEPT_PARTS + 5):
        environ = {"PASSWORD": f"sentinel-{number}"}
        env_files.keep_parts(tmp_path, {"URL": "redis://:${PASSWORD}@cache"}, environ)
    assert len(list(tmp_path.iterdir())) == env_files.KEPT_PARTS


def test_a_reference_takes_its_value_from_the_environment() -> None:
    """The value comes from the deploy's environment, literals are left out."""
    values = env_files.resolve(
        {"A": "${T}", "B": "b"}, {"T": "s3cret"}, where="x", env_file=Path(".env")
    )
    assert values == {"A": "s3cret"}


def test_an_unset_reference_names_variable_and_service() -> None:
    """The error says which variable refers to what, and which .env would have been read."""
    with pytest.raises(ConfigError, match="env A refers to") as caught:
        env_files.resolve({"A": "${T}"}, {}, where="service web", env_file=Path("/srv/shop/.env"))
    assert caught.value.expected == "T in the environment of this command or in /srv/shop/.env"
    assert caught.value.where == "service web"
    assert "export T" in (caught.value.next_step or "")


def _resolve(env: dict[str, str], environ: dict[str, str]) -> dict[str, str]:
    return env_files.resolve(env, environ, where="service web", env_file=Path(".env"))


def test_a_value_is_no_longer_than_linux_takes(tmp_path: Path) -> None:
    """The limit is the kernel's own, to the byte; the error has key, size and limit, no value."""
    longest = "é" + "x" * (131_072 - len("A=é\0".encode()))
    program = [sys.executable, "-c", ""]
    subprocess.run(program, env=_resolve({"A": "${T}"}, {"T": longest}), check=True)
    with pytest.raises(OSError, match="too long"):
        subprocess.run(program, env={"A": longest + "x"}, check=True)
    with pytest.raises(ConfigError, match="the value of A is too long") as caught:
        _resolve({"A": "${T}"}, {"T": longest + "x"})
    error = caught.value
    assert (error.where, error.found) == ("service web", "131073 bytes, with the name")
    assert "131072" in (error.expected or "")
    assert "file of the repository" in (error.next_step or "")
    assert "xxx" not in error.render()


def test_values_together_are_no_longer_than_linux_takes() -> None:
    """Literal ones and those from the environment count; the longest are named."""
    env = {f"V{n}": "${T}" for n in range(15)}
    most = _resolve(env, {"T": "x" * 131_000})
    subprocess.run([sys.executable, "-c", ""], env=most, check=True)
    with pytest.raises(ConfigError, match="too long together") as caught:
        _resolve({**env, "MORE": "y" * 1000}, {"T": "x" * 131_000})
    assert "V10 (131005)" in (caught.value.found or "")


def test_all_unset_references_are_one_error() -> None:
    """Of every service, with the one command that sets them."""
    envs = {
        "repos.yaml:1: service web": {"A": "${T}", "B": "${SET}", "C": "c"},
        "service jobs": {"KEY": "${T}", "DB": "${DB_URL}"},
    }
    with pytest.raises(ConfigError) as caught:
        env_files.require(envs, {"SET": "1"}, env_file=Path("/srv/.env"))
    assert caught.value.render().splitlines() == [
        "`env:` refers to variables that are not set: DB_URL, T",
        "  expected: DB_URL, T in the environment of this command or in /srv/.env",
        "  next:     export DB_URL=… T=…, then run the command again;"
        " or store it: iac env set SERVICE --secret DB_URL",
        "  | repos.yaml:1: service web: env A refers to ${T}",
        "  | service jobs: env DB refers to ${DB_URL}",
        "  | service jobs: env KEY refers to ${T}",
    ]
    env_files.require(envs, {"SET": "1", "T": "", "DB_URL": "x"}, env_file=Path("/srv/.env"))


def test_what_a_write_would_change_is_known_before(tmp_path: Path) -> None:
    """Other values and new ones; nothing is written."""
    env_files.write_values(tmp_path / "web", {"A": "1", "B": "2"})
    assert env_files.changed_names(tmp_path / "web", {"A": "1", "B": "9", "C": "3"}) == {"B", "C"}
    assert env_files.changed_names(tmp_path / "web", {"A": "1"}) == set()
    assert env_files.changed_names(tmp_path / "none", {"A": "1"}) == {"A"}
    assert not (tmp_path / "none").exists()


def test_files_follow_the_values(tmp_path: Path) -> None:
    """Values appear, change and vanish; equal values are not written again."""
    folder = tmp_path / "web"
    assert env_files.changed_at(folder) is None
    env_files.write_values(folder, {"A": "1", "B": "2"})
    first = env_files.changed_at(folder)
    env_files.write_values(folder, {"A": "1", "B": "2"})
    assert env_files.changed_at(folder) == first
    time.sleep(0.01)
    env_files.write_values(folder, {"A": "9"})
    changed = env_files.changed_at(folder)
    assert first
    assert changed
    assert changed > first
    assert {f.name: f.read_text() for f in folder.iterdir()} == {"A": "9"}
    assert (folder / "A").stat().st_mode & 0o777 == 0o444
    env_files.write_values(folder, {})
    assert not folder.exists()
    env_files.write_values(folder, {})


BYTES = {
    "CR": b"a\rb\r",
    "CRLF": b"a\r\nb\r\n",
    "LATIN1": b"caf\xe9-\xff",
    "NEL": "a\x85b\u2028".encode(),
    "EMPTY": b"",
}


def test_values_are_bytes(tmp_path: Path) -> None:
    """Every byte of an environment arrives, and an unchanged value is not written again."""
    environ = {name: os.fsdecode(value) for name, value in BYTES.items()}
    values = env_files.resolve(
        {n: f"${{{n}}}" for n in BYTES}, environ, where="x", env_file=Path(".env")
    )
    env_files.write_values(tmp_path / "web", values)
    first = env_files.changed_at(tmp_path / "web")
    env_files.write_values(tmp_path / "web", values)
    assert env_files.changed_at(tmp_path / "web") == first
    assert {f.name: f.read_bytes() for f in (tmp_path / "web").iterdir()} == BYTES


def test_a_nul_is_refused(tmp_path: Path) -> None:
    """No program can get it; the error does not hold the value."""
    with pytest.raises(ConfigError, match="T holds a NUL") as caught:
        env_files.resolve({"A": "${T}"}, {"T": "sentinel\0"}, where="x", env_file=Path(".env"))
    assert "sentinel" not in str(caught.value)


def test_values_to_mask(tmp_path: Path) -> None:
    """Only what has the shape of a secret is masked."""
    env_files.write_values(tmp_path / "web", {"A": "production", "B": "s3cret-value"})
    assert env_files.values(tmp_path) == ["s3cret-value"]


def test_proven_values_are_kept_while_others_are_tried(tmp_path: Path) -> None:
    """Byte by byte, until they are restored; a second try does not take the first for proven."""
    own, previous = tmp_path / "web", tmp_path / "web.previous"
    env_files.write_values(own, {"A": "proven\r\n\udcff"})
    env_files.stash(own, previous)
    env_files.write_values(own, {"A": "tried", "B": "new"})
    env_files.stash(own, previous)

    env_files.restore(own, previous)

    assert env_files.read_values(own) == {"A": "proven\r\n\udcff"}
    assert not previous.exists()


def test_having_had_no_values_is_restored_too(tmp_path: Path) -> None:
    """Nothing is what was proven."""
    own, previous = tmp_path / "web", tmp_path / "web.previous"
    env_files.stash(own, previous)
    env_files.write_values(own, {"A": "tried"})
    env_files.restore(own, previous)
    assert env_files.read_values(own) == {}
