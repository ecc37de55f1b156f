"""Runs the user's program inside its own Python, with OpenTelemetry set up beforehand.

    python launch.py module pkg.mod [function] [-- arguments]
    python launch.py script path.py [function] [-- arguments]
    python launch.py command program [-- arguments]
    python launch.py supplied gunicorn [-- arguments]

`supplied` is a module that this image brings because the program's requirements name none: it and
what it needs are looked for after everything that the program has.

Executed by the app's interpreter, which may be as old as 3.9 and has none of our packages: only
the standard library here until the program's own code runs. The program must see what it would
see under ``python -m pkg.mod`` or ``python path.py``: `__main__`, sys.argv, sys.path, exit codes
and tracebacks. Trouble with OpenTelemetry is one line on stderr, never the program's failure.
"""

# ruff: noqa: PLC0415 - the program must not pay time and memory for what it may not need

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import shutil
import sys
import types
from pathlib import Path

TYPE_CHECKING = False  # the constant that type checkers know, without the cost of typing
if TYPE_CHECKING:
    from typing import Any

TELEMETRY = Path(__file__).with_name("telemetry.py")
"""Not imported by name: the program may have a module of that name."""

SERVERS = Path(__file__).with_name("servers")
"""Servers for web applications, and what they need."""

KINDS = ("module", "script", "command", "supplied")


def main(argv: list[str]) -> Any:
    """Run what `argv` names; returns the value for sys.exit."""
    end = argv.index("--") if "--" in argv else len(argv)
    argv, arguments = argv[:end], argv[end + 1 :]
    if len(argv) not in (2, 3) or argv[0] not in KINDS:
        raise SystemExit(f"usage: launch.py {'|'.join(KINDS)} TARGET [FUNCTION] [-- ARGUMENTS]")
    kind, target = argv[:2]
    function = argv[2] if len(argv) == 3 else None
    sys.excepthook = _print_exception
    root = Path.cwd()
    script = root / target
    if kind == "command":
        script = _command(target, arguments)
        kind = "script"
    sys.argv = [target, *arguments]
    _set_path([str(script.parent)] if kind == "script" else [], root)
    if kind == "supplied":
        sys.path.append(str(SERVERS))
    with _traced(target if not function else f"{target}:{function}"):
        if kind == "script":
            return _run_script(script, function)
        if function:
            return _call_imported(target, function)
        return _run_module(target)


def _command(program: str, arguments: list[str]) -> Path:
    """The Python script behind `program`; anything else is executed and never comes back."""
    path = shutil.which(program)
    if path is None:
        wanted = f"add the package that brings {program} to the requirements"
        raise SystemExit(f"launch: no program {program} in this image: {wanted}")
    with Path(path).open("rb") as file:
        head = file.readline(500)
    if head.startswith(f"#!{Path(sys.executable).parent}/python".encode()):
        return Path(path)
    try:
        return os.execv(path, [program, *arguments])  # noqa: S606 - it is the user's program
    except OSError as error:
        raise SystemExit(f"launch: {_why_not_started(path, head, error)}") from None


def _why_not_started(path: str, head: bytes, error: OSError) -> str:
    """A sentence; the kernel says of a script that there is no such file when it means another."""
    name = Path(path).name
    if head.startswith(b"#!") and head.endswith(b"\r\n"):
        return f"{name} has Windows line ends (CR LF)"
    if head.startswith(b"#!") and isinstance(error, FileNotFoundError):
        wanted = head[2:].decode(errors="replace").strip()
        return f"{name} is for {wanted}, which is not in this image"
    return f"cannot start {path}: {error.strerror}"


def _set_path(first: list[str], root: Path) -> None:
    """Put the program's own folders where Python put this file's folder."""
    source = root / "src"
    wanted = [*first, str(root), *([str(source)] if source.is_dir() else [])]
    sys.path[0:1] = list(dict.fromkeys(wanted))


def _run_script(path: Path, function: str | None) -> Any:
    """Like ``python path``, then `function` in the same `__main__` if one is named."""
    loader = importlib.machinery.SourceFileLoader("__main__", str(path))
    try:
        source = loader.get_data(str(path))
    except OSError as error:
        raise SystemExit(f"launch: cannot read {path}: {error.strerror}") from None
    main_module = _become_main(str(path), None, loader)
    code = compile(source, str(path), "exec", dont_inherit=True)
    exec(code, main_module.__dict__)  # noqa: S102 - the user's program
    result = _call(main_module, function) if function else None
    # Not a console script: a main() that was written to be called may return anything.
    return result if type(result) is int else None


def _run_module(name: str) -> None:
    """Like ``python -m name``."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(name + ".__main__")
    loader = spec.loader if spec else None
    code = None
    if spec and isinstance(loader, importlib.abc.InspectLoader):
        code = loader.get_code(spec.name)
    if spec is None or code is None:
        raise SystemExit(f"launch: no module named {name}, or it is a package without __main__")
    main_module = _become_main(spec.origin or name, spec, loader)
    exec(code, main_module.__dict__)  # noqa: S102 - the user's program


def _call_imported(name: str, function: str) -> Any:
    """Like a console script: ``from name import function; sys.exit(function())``."""
    module = importlib.import_module(name)
    sys.argv[0] = getattr(module, "__file__", None) or name
    return _call(module, function)


def _become_main(
    path: str, spec: importlib.machinery.ModuleSpec | None, loader: Any
) -> types.ModuleType:
    """A fresh `__main__` in place of this one: pickle and multiprocessing look it up by name."""
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__spec__ = spec
    module.__loader__ = loader
    module.__package__ = spec.parent if spec else None
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    sys.argv[0] = path
    return module


def _call(module: types.ModuleType, function: str) -> Any:
    """Call a function by dotted name; a coroutine is run to its end."""
    target: Any = module
    try:
        for part in function.split("."):
            target = getattr(target, part)
    except AttributeError:
        where = getattr(module, "__file__", module.__name__)
        raise SystemExit(f"launch: {where} has no {function}") from None
    result = target()
    if not isinstance(result, types.CoroutineType):
        return result
    import asyncio

    return asyncio.run(result)


def _print_exception(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    error.__traceback__ = _from_program(trace)
    sys.__excepthook__(kind, error, error.__traceback__)


def _from_program(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from the program's first line on, without this file's own frames."""
    while trace and (
        trace.tb_frame.f_code.co_filename in (__file__, contextlib.__file__)
        or trace.tb_frame.f_code.co_filename.startswith("<frozen importlib")
    ):
        trace = trace.tb_next
    return trace


@contextlib.contextmanager
def _traced(name: str) -> Any:
    """Two spans around the program: `start` at once, `run` when it ends.

    A server may run for months and end by SIGKILL, so its one long span may never be exported;
    the short one is, within seconds of the start, in the same trace.
    """
    provider = None
    try:
        provider = _telemetry().tracer_provider()
    except Exception as error:  # whatever it is, the program runs without it
        kind = "" if type(error).__name__ == "NotTraced" else f"{type(error).__name__}: "
        sys.stderr.write(f"launch: no OpenTelemetry: {kind}{error}\n")
    if provider is None:
        yield
        return
    tracer = provider.get_tracer("karstkit.launch")
    attributes = {"code.function.name": name, "process.pid": os.getpid()}
    # Left current, so that what a script does becomes one trace.
    with tracer.start_as_current_span(
        f"run {name}", attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as run:
        tracer.start_span(f"start {name}", attributes=attributes).end()
        try:
            yield
        except BaseException as error:
            _record(run, error)
            raise


def _telemetry() -> Any:
    spec = importlib.util.spec_from_file_location("karstkit_telemetry", TELEMETRY)
    assert spec and spec.loader  # noqa: S101, PT018 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _record(run: Any, error: BaseException) -> None:
    """The end of the program on its span: an exit code, or the exception."""
    from opentelemetry.trace import Status, StatusCode

    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        run.set_attribute("process.exit.code", code)
        if code:
            run.set_status(Status(StatusCode.ERROR, f"exit code {code}"))
        return
    error.__traceback__ = _from_program(error.__traceback__)
    run.record_exception(error)
    run.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
