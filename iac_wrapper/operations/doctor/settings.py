"""Checks of the settings: their form, names that nothing reads, and what cannot be meant together.

Their subject is the project folder, None outside of one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.settings import Settings, load_settings, overridden

_PREFIX = "IAC_"
_CORRECT = "correct them in .env or in the environment"
_PORTS = ("gateway_port", "ingress_port", "http_port", "https_port", "admin_bind", "admin_grpc")


def have_their_form(root: Path | None) -> Seen:
    """Every setting has a value that it can have."""
    chosen = load_settings(root)
    wrong = list(chosen.problems())
    if wrong[1:]:
        raise ConfigError(
            "bad settings",
            found="; ".join(f"{each.where} is {each.found}" for each in wrong),
            expected="; ".join(f"{each.where}: {each.expected}" for each in wrong),
            next_step=_CORRECT,
        )
    chosen.check()
    said = [name for name, each in Settings.by_name.items() if chosen.written(name) != each.default]
    return Seen(f"not as by default: {', '.join(said)}" if said else "all as by default")


def have_a_reader(root: Path | None) -> Seen:
    """No variable looks like a setting and is none, and none of `.env` is overruled."""
    unknown = [
        name
        for name, value in sorted(load_settings(root).environment.items())
        if value and name.startswith(_PREFIX) and name not in Settings.by_name
    ]
    if unknown:
        text = f"no setting of iac: {', '.join(map(_guessed, unknown))}"
        return Seen(text, "correct or remove them; .env.example lists all settings")
    both = overridden(root) if root else []
    if both:
        text = f"the environment says another value than .env: {', '.join(both)}"
        return Seen(f"{text}; .env is ignored there", f"unset {' '.join(both)}, or change .env")
    return Seen("every IAC_… variable is a setting")


def fit_together(root: Path | None) -> Seen:
    """No setting takes the sense from another."""
    found = list(_contradictions(load_settings(root)))
    return Seen("; ".join(found), _CORRECT) if found else Seen("none takes the sense from another")


def _contradictions(chosen: Settings) -> Iterator[str]:
    users: dict[int, list[str]] = {}
    for attribute in _PORTS:
        value = getattr(chosen, attribute)
        port = value[1] if isinstance(value, tuple) else value
        if port:
            users.setdefault(port, []).append(getattr(Settings, attribute).name)
    for port, names in users.items():
        if names[1:]:
            yield f"{' and '.join(names)} are both {port}"
    if not chosen.supabase_url:
        needing = ("supabase_service_role_key", "admin_users", "socket_requires_jwt")
        for name in (getattr(Settings, each).name for each in needing if getattr(chosen, each)):
            yield f"{name} does nothing without SUPABASE_URL"
    environment = chosen.environment
    if environment.get("DOCKER_HOST") and environment.get("DOCKER_CONTEXT"):
        yield "DOCKER_CONTEXT does nothing beside DOCKER_HOST"


def _guessed(name: str) -> str:
    close = difflib.get_close_matches(name, Settings.by_name, n=1)
    return f"{name} ({close[0]}?)" if close else name


CHECKS = (
    Check("settings", have_their_form),
    Check("names", have_a_reader, after=("settings",)),
    Check("together", fit_together, after=("settings",)),
)
