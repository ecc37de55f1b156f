"""The process that a cdktf app is: which Node it uses, and how an error ends it.

It must not import cdktf: that starts Node.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import host as host_record
from iac_wrapper.files import node

_REFUSED = "Validation failed with the following errors:"
"""How cdktf begins the text of validations that failed (cdktf 0.21, errors.js)."""


def begin() -> None:
    """Let our errors end this process as sentences, and let cdktf find Node. Can be repeated.

    Raises:
        ConfigError: there is no Node for cdktf.
    """
    explain_errors()
    if "cdktf" not in sys.modules and not os.environ.get(node.VARIABLE):
        _find_node(Path.cwd())


def explain_errors() -> None:
    """Let our errors end this process as sentences, unless it is a person's Python shell."""
    if not sys.flags.interactive and not hasattr(sys, "ps1"):
        sys.excepthook = end_with_sentences


def _find_node(folder: Path) -> None:
    try:
        host = host_record.load_host(settings.load_settings(folder).machine_home)
    except ConfigError:
        if node.is_on_path():
            return
        raise
    os.environ.update(node.environment(host))


def end_with_sentences(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """`sys.excepthook`: an error of ours without a traceback, and with its own exit code."""
    if (told := sentences(error)) is None:
        sys.__excepthook__(kind, error, trace)
    else:
        _end(told)


def _end(error: IacError) -> NoReturn:
    print(error.render(), file=sys.stderr)
    raise SystemExit(error.exit_code)


def sentences(error: BaseException) -> IacError | None:
    """`error` if it is one of ours, or what one of ours says; None if it is neither.

    A RuntimeError is how jsii hands over whatever cdktf throws.
    """
    if isinstance(error, IacError):
        return error
    _, refused, text = str(error).partition(_REFUSED)
    if not (isinstance(error, RuntimeError) and refused):
        return None
    # The last paragraph is about switching validation off, which nobody here should.
    detail = text.partition("\n\nIf you wish to ignore")[0].strip("\n")
    return ConfigError(
        "the stack was refused",
        where="main.py",
        next_step="mend repos.yaml and run `iac lock --file repos.yaml`, or mend main.py",
        detail="\n".join(line.strip() for line in detail.splitlines()),
    )
