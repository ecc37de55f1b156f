"""`python -m iac_wrapper.bootstrap`: progress on stderr, the summary on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.bootstrap import machine, setup
from iac_wrapper.bootstrap.console import Progress
from iac_wrapper.bootstrap.context import Context
from iac_wrapper.errors import IacError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.text_table import text_table


def main(root: Path) -> int:
    """Set up the machine for the project folder `root`; return the exit code."""
    chosen = settings.load(root)
    redact = Redactor(chosen.secrets)
    context = Context(
        layout=Layout(root),
        settings=chosen,
        environ=chosen.environment,
        machine=machine.inspect(),
        progress=Progress(lambda line: print(redact(line), file=sys.stderr, flush=True)),
    )
    try:
        report = setup.run(context)
    except IacError as error:
        print("make bootstrap: " + redact(error.render()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(text_table(report.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
