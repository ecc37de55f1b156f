"""Which package index, proxy and CA bundle this machine uses: read once, handed on everywhere.

pip reads its own files and variables, uv others; a build container has neither. Nothing here
names an index: without settings the tools' own defaults hold.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import private_directory
from iac_wrapper.program import apt_settings

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PASSED_ON = (
    *_PROXIES,
    *(name.upper() for name in _PROXIES),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST"),
    *("UV_INDEX_STRATEGY", "UV_PRERELEASE", "UV_EXCLUDE_NEWER", "UV_HTTP_TIMEOUT"),
)
"""Variables that image builds need to reach the same places as this machine."""

_INDEX_LOGIN = re.compile("UV_INDEX_[A-Z0-9_]+_(?:USERNAME|PASSWORD)")
"""Who one is at the index that a project calls by a name."""

_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, RHEL
    Path("/etc/ssl/cert.pem"),  # macOS, Alpine
)


def write_build_secrets(folder: Path, environ: Mapping[str, str], *, ca_bundle: str = "") -> None:
    """Write the two files that image builds mount as BuildKit secrets, mode 0600.

    ``ca`` is the CA bundle (empty if this machine has none), ``env`` a sh file of exports.

    Args:
        folder: where; it is 0700 afterwards.
        environ: this process's environment.
        ca_bundle: the setting IAC_CA_BUNDLE.

    Raises:
        ConfigError: IAC_CA_BUNDLE names no file.
        CertificateError: the folder cannot be closed to other users (0700).
    """
    private_directory(folder)
    bundle = find_ca_bundle(environ, ca_bundle)
    write_bytes(folder / "ca", bundle.read_bytes() if bundle else b"", mode=0o600)
    variables = build_variables(environ) | apt_settings.build_variables()
    write_bytes(folder / "env", os.fsencode(exports(variables)), mode=0o600)


def find_ca_bundle(
    environ: Mapping[str, str], setting: str, system: Iterable[Path] = _SYSTEM_BUNDLES
) -> Path | None:
    """The CA bundle: the setting, the usual variables, the system's file; None if there is none.

    Raises:
        ConfigError: the setting names no file. (A variable that names none is passed over: tools
            disagree about those, and a build must not fail for a variable it does not need.)
    """
    if setting and not Path(setting).is_file():
        raise ConfigError(
            "no such CA bundle",
            where="IAC_CA_BUNDLE",
            found=setting,
            expected="a PEM file",
            next_step="set IAC_CA_BUNDLE in .env or the environment, or remove it",
        )
    named = [setting, *(environ.get(name, "") for name in _BUNDLE_VARIABLES)]
    candidates = [*(Path(name) for name in named if name), *system]
    return next((path for path in candidates if path.is_file()), None)


def build_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `PASSED_ON` that are set, and pip's settings for uv, which reads none."""
    chosen = {
        name: text
        for name, text in environ.items()
        if text and (name in PASSED_ON or _INDEX_LOGIN.fullmatch(name))
    }
    index = pip_setting(environ, "index-url")
    if index:
        chosen.setdefault("PIP_INDEX_URL", index)
        if "UV_INDEX_URL" not in chosen:
            chosen.setdefault("UV_DEFAULT_INDEX", index)
    elif "UV_DEFAULT_INDEX" in chosen:
        chosen["PIP_INDEX_URL"] = chosen["UV_DEFAULT_INDEX"]
    return chosen | _uv_like_pip(environ, chosen)


def _uv_like_pip(environ: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Further indexes with pip's meaning: of all of them the best version. Hosts without TLS."""
    said: dict[str, str] = {}
    extra = pip_setting(environ, "extra-index-url")
    if extra and not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & chosen.keys():
        said["UV_INDEX"] = " ".join(extra.split())
        said["PIP_EXTRA_INDEX_URL"] = said["UV_INDEX"]
        if "UV_INDEX_STRATEGY" not in chosen:
            said["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    hosts = pip_setting(environ, "trusted-host")
    if hosts and "UV_INSECURE_HOST" not in chosen:
        said["UV_INSECURE_HOST"] = " ".join(hosts.split())
    return said


def exports(variables: Mapping[str, str]) -> str:
    """A sh file that exports `variables`, whatever characters their values hold."""
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


def pip_setting(
    environ: Mapping[str, str], name: str, files: Iterable[Path] | None = None
) -> str | None:
    """A setting as pip would find it: its variable, else its files, the last one wins.

    Args:
        environ: may hold the variable (``PIP_INDEX_URL``) and ``PIP_CONFIG_FILE``.
        name: as it is in pip's files, such as ``index-url``.
        files: instead of pip's own files (tests).
    """
    if said := environ.get(f"PIP_{name.upper().replace('-', '_')}"):
        return said
    parser = configparser.RawConfigParser()
    try:
        parser.read(_pip_files(environ) if files is None else files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return None  # pip itself says what is wrong with its file
    for section in ("install", "global"):
        value = parser.get(section, name, fallback="").strip()
        if value:
            return value
    return None


def uv_environment(environ: Mapping[str, str], ca_bundle: str = "") -> dict[str, str]:
    """What uv must be told of pip's settings: it reads neither its files nor its variables."""
    added = {"UV_PYTHON_DOWNLOADS": "never"}
    index = pip_setting(environ, "index-url")
    if index and not environ.get("UV_DEFAULT_INDEX") and not environ.get("UV_INDEX_URL"):
        added["UV_DEFAULT_INDEX"] = index
    bundle = find_ca_bundle(environ, ca_bundle)
    if bundle:
        added["SSL_CERT_FILE"] = str(bundle)
    return added


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, lowest precedence first (as its own documentation orders them)."""
    home = Path(environ.get("HOME", "/"))
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", user, Path(sys.prefix) / "pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        files.append(Path(environ["PIP_CONFIG_FILE"]))
    return files
