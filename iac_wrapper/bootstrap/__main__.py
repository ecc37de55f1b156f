"""`python -m iac_wrapper.bootstrap`: progress on stderr, the summary on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.bootstrap import setup
from iac_wrapper.errors import IacError
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.text_table import text_table


def main(root: Path) -> int:
    """Set up the machine for the checkout `root`; return the exit code."""
    chosen = settings.load_settings(root)
    redact = Redactor(chosen.secrets)
    try:
        report = setup.run(setup.context(chosen, root, lambda line: _say(redact(line))))
    except IacError as error:
        print("make bootstrap: " + redact(error.render()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(text_table(report.rows))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
