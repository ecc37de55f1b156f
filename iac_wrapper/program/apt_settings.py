"""How this machine reaches Debian's packages: its mirrors and proxies, for builds elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command

_ETC = Path("/etc")
_SUITE = "SUITE"
"""What stands for the release where the build knows its own (``apt.sh``)."""


def build_variables(etc: Path = _ETC) -> dict[str, str]:
    """What the steps of a build that install packages are told, as variables.

    ``IAC_APT_SOURCES`` are the lines of a sources.list with ``SUITE`` in place of the release, only
    on Debian; ``IAC_APT_OPTIONS`` are lines of apt's configuration.
    """
    codename = _codename(etc)
    sources = host_sources(source_texts(etc), codename, _SUITE) if codename else []
    # Files of this machine (a CA) are not there in the build, which has the CA bundle by itself.
    options = [line + ";" for line in apt_options() if not re.search(r"::CA(Info|Path)\b", line)]
    found = {"IAC_APT_SOURCES": sources, "IAC_APT_OPTIONS": options}
    return {name: "\n".join(lines) for name, lines in found.items() if lines}


def source_texts(etc: Path = _ETC) -> list[str]:
    """The contents of sources.list and of the files of sources.list.d."""
    folder = etc / "apt" / "sources.list.d"
    files = [etc / "apt" / "sources.list", *sorted(folder.glob("*.list"))]
    files += sorted(folder.glob("*.sources"))
    return [path.read_text(errors="replace") for path in files if path.is_file()]


def apt_options() -> list[str]:
    """The lines of apt's configuration that say how this machine reaches its mirrors."""
    if not shutil.which("apt-config"):
        return []
    return proxy_options(process.run(Command(("apt-config", "dump"))).stdout)


def host_sources(texts: Iterable[str], codename: str, wanted: str) -> list[str]:
    """This machine's Debian mirrors as sources.list lines for another (or the same) release.

    ``bookworm-security`` becomes ``trixie-security`` and so on; sources of third parties (any
    whose suite is not of this machine's release, or that lack ``main``) are left out.

    Args:
        texts: contents of sources.list and sources.list.d, of either format.
        codename: the release of this machine.
        wanted: the release to build.
    """
    lines = dict.fromkeys(
        f"deb {uri} {suite_name.replace(codename, wanted, 1)} main"
        for text in texts
        for uri, suite_name, components in (*_one_line(text), *_deb822(text))
        if "main" in components and suite_name in _suites_of(codename)
    )
    return list(lines)


def proxy_options(dump: str) -> list[str]:
    """The lines of ``apt-config dump`` that say how this machine reaches its mirrors."""
    return [
        line.rstrip(";")
        for line in dump.splitlines()
        if re.match(r"Acquire::https?::(\S+::)?(Proxy|CAInfo|CAPath|Verify-\w+)\b", line)
    ]


def _codename(etc: Path) -> str:
    """The release of a machine with Debian, empty on another one."""
    path = etc / "os-release"
    text = path.read_text(errors="replace") if path.is_file() else ""
    facts = dict(re.findall(r'^(ID|VERSION_CODENAME)="?([^"\n]*)"?$', text, re.MULTILINE))
    return facts.get("VERSION_CODENAME", "") if facts.get("ID") == "debian" else ""


def _suites_of(codename: str) -> tuple[str, ...]:
    return (codename, f"{codename}-updates", f"{codename}-security")


def _one_line(text: str) -> Iterable[tuple[str, str, list[str]]]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
        if match:
            yield match[1], match[2], match[3].split()


def _deb822(text: str) -> Iterable[tuple[str, str, list[str]]]:
    for stanza in re.split(r"\n\s*\n", text):
        pairs = re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE)
        fields = {key.lower(): value.split() for key, value in pairs}
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for uri in fields.get("uris", []):
            for name in fields.get("suites", []):
                yield uri, name, fields.get("components", [])
