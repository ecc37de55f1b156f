"""`egress:` of repos files: what it means, where it comes from, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.egress_remarks import remarks
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.options import Options
from tests.support.deployed import app, deployed


def read(text: str) -> dict[str, AppSpec]:
    return {spec.name: spec for spec in repos_file.parse_entries(text, Path("repos.yaml"))}


def test_a_destination_is_kept_in_one_form() -> None:
    """Nothing is a word of its own, and not the same as nothing said."""
    text = "- {slug: gh:a/api, egress: [a.example.com, '10.0.0.5/32:53', a.example.com]}\n"
    found = read(text + "- {slug: gh:a/web, egress: deny}\n- gh:a/db\n")
    assert found["api"].options.egress == ("a.example.com", "10.0.0.5:53")
    assert found["web"].options.egress == ()
    assert found["db"].options.egress is None


def test_a_process_has_what_its_entry_has() -> None:
    """And a default holds for all; a stronger list takes the place of a weaker one."""
    text = "- slug: gh:a/shop\n  egress: deny\n  processes:\n    one: x y\n"
    found = read(text + "    two: {command: x y, egress: [b.example.com]}\n")
    assert found["shop-one"].options.egress == ()
    assert found["shop-two"].options.egress == ("b.example.com",)
    assert read("defaults: {egress: deny}\napps: [gh:a/web]\n")["web"].options.egress == ()


@pytest.mark.parametrize(
    ("egress", "found", "expected"),
    [
        ("[]", "''", "`deny`, or a list"),
        ("[web]", "'web'", "a host name with a dot"),
        ("[A.example.com]", "'A.example.com'", "in lower case"),
        ("['https://a.example.com/']", "'https://a.example.com/'", "a host name"),
        ("['a.example.com:0']", "'a.example.com:0'", "`:PORT`"),
        ("[10.0.0.1/8]", "'10.0.0.1/8'", "10.0.0.0/8, the network"),
        ("[127.0.0.1]", "'127.0.0.1'", "outside of the container"),
        (f"[{'a.' * 130}example]", f"'{'a.' * 130}example'", "at most 253"),
    ],
)
def test_a_refusal_names_its_line(egress: str, found: str, expected: str) -> None:
    """What was found there, and what is expected."""
    with pytest.raises(ConfigError) as caught:
        read(f"- slug: gh:a/api\n  egress: {egress}\n")
    assert (caught.value.where, caught.value.found) == ("repos.yaml:2", found)
    assert expected in str(caught.value.expected)


def test_telemetry_that_does_not_get_out_is_told(tmp_path: Path) -> None:
    """Unless its receiver is allowed, is a service, or nothing is said."""

    def told(egress: tuple[str, ...] | None, endpoint: str) -> list[str]:
        one = replace(app("web"), options=Options(egress=egress))
        return list(remarks(deployed(Layout(tmp_path), one), endpoint))

    (line,) = told(("a.example.com",), "https://otel.example.com")
    assert line.startswith("web: its `egress:` does not allow otel.example.com:443")
    assert told((), "http://10.0.0.7:4318")
    assert told(("otel.example.com:4318",), "http://otel.example.com:4318") == []
    assert told(("10.0.0.0/8",), "http://10.0.0.7:4318") == []
    assert told((), "http://collector:4318") == told((), "") == []
    assert told(None, "https://otel.example.com") == []


@pytest.mark.parametrize(
    ("uid", "capabilities", "egress", "told"),
    [
        (0, None, ("a.example.com",), ["starts as root", "may become any user"]),
        (0, "", ("a.example.com",), ["starts as root"]),
        (999, "SETUID", ("a.example.com",), ["may become any user"]),
        (999, None, ("a.example.com",), []),
        (0, None, ("10.0.0.0/8",), []),
        (0, None, (), []),
    ],
)
def test_an_image_that_can_get_around_it_is_named(
    tmp_path: Path,
    uid: int,
    capabilities: str | None,
    egress: tuple[str, ...],
    told: list[str],
) -> None:
    """Where host names are listed, the sidecar's user reaches what others do not."""
    foreign = ForeignImage("sha256:1", uid, uid, "image")
    options = Options(egress=egress, capabilities=capabilities)
    one = replace(app("db"), foreign=foreign, options=options)
    lines = list(remarks(deployed(Layout(tmp_path), one), ""))
    assert [line.startswith(f"db {words}") for line, words in zip(lines, told, strict=True)] == [
        True for _ in told
    ]
