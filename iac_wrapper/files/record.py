"""Records as JSON that this machine wrote for itself: read whole, or an error says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from iac_wrapper.errors import ConfigError

T = TypeVar("T")


def read_record(
    path: Path, parse: Callable[[Any], T], *, message: str, expected: str, next_step: str
) -> T:
    """What `parse` makes of the JSON in `path`.

    Args:
        parse: raises KeyError, TypeError, ValueError or AttributeError for what is no such record.
        message, expected, next_step: of the error.

    Raises:
        ConfigError: there is no such file, or it is no such record.
    """
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        found = "no such file"
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        found = str(error)
    raise ConfigError(message, where=str(path), found=found, expected=expected, next_step=next_step)
