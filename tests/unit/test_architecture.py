"""What modules may reach, read from the source: each rule also shows that it can fail.

Who may import whom is in pyproject.toml (import-linter), checked by `make lint`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from iac_wrapper.bootstrap.images import SIDECAR_SHARES

ROOT = Path(__file__).parents[2]
COMMAND_SIDE = ("iac_wrapper", "admin", "runner", "provider")
SYNTH_SIDE = ("constructs_lib", "stacks")


def modules(root: Path, *packages: str) -> dict[str, ast.Module]:
    """Dotted name -> syntax tree of every module of the packages; generated code is left out."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            if path.stem.endswith(("_pb2", "_pb2_grpc")):
                continue
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = _tree(path.read_text(encoding="utf-8"))
    return found


@cache
def _tree(text: str) -> ast.Module:
    """Each rule asks for the same modules again. ``os.environ.setdefault(…)`` as a statement is
    left out: a hint to a library, not a setting."""
    tree = ast.parse(text)
    return _WithoutDefaults().visit(tree) if "os.environ.setdefault(" in text else tree


class _WithoutDefaults(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        call = node.value
        is_hint = isinstance(call, ast.Call) and ast.unparse(call.func) == "os.environ.setdefault"
        return None if is_hint else node


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All of a module: each rule looks through the same ones again."""
    return tuple(ast.walk(tree))


@cache
def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported, inside functions as well; ``from a import b`` is a, a.b."""
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")  # ".x": of the package itself
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def below(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@cache
def uses(tree: ast.Module) -> set[str]:
    """Dotted names that are read: ``os.environ`` for ``os.environ["X"]``, ``print`` for print()."""
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def reads_environment(root: Path) -> list[str]:
    """Modules of iac_wrapper other than settings that read the environment."""
    # The process adapter hands the whole environment on and looks nothing up.
    allowed = ("iac_wrapper.settings", "iac_wrapper.adapters.process")
    names = {"os.environ", "os.getenv", "os.environb"}
    return _users(modules(root, "iac_wrapper"), names, but=allowed)


def starts_processes(root: Path) -> list[str]:
    """Modules of iac_wrapper other than the process adapter that can start a program."""
    doors = {"subprocess", "os.system", "os.popen", "os.fork", "os.posix_spawn", "multiprocessing"}
    trees = modules(root, "iac_wrapper")
    direct = [
        f"{name} imports {door}"
        for name, tree in trees.items()
        if name != "iac_wrapper.adapters.process"
        for door in sorted(doors & imports(tree))
    ]
    return direct + _users(trees, doors, but=("iac_wrapper.adapters.process",))


def locks_files(root: Path) -> list[str]:
    """Modules other than the one for it that lock files."""
    trees = modules(root, "iac_wrapper", "admin")
    return [
        f"{name} imports fcntl"
        for name, tree in trees.items()
        if name != "iac_wrapper.files.file_lock" and "fcntl" in imports(tree)
    ]


def prints(root: Path) -> list[str]:
    """Modules below the command line that write to the terminal."""
    # The process of a cdktf app ends with an error's sentences, as the command line does.
    # A volume's program runs in a container. What Terraform runs speaks to who started that.
    allowed = (
        *("iac_wrapper.cli", "iac_wrapper.bootstrap", "constructs_lib.app_process"),
        *("iac_wrapper.adapters.volume_program", "iac_wrapper.operations.push_policies"),
    )
    names = {"print", "sys.stdout", "sys.stderr", "click.echo", "click.secho"}
    return _users(modules(root, "iac_wrapper", *SYNTH_SIDE), names, but=allowed)


def synth_side_effects(root: Path) -> list[str]:
    """Imports by which constructs or stacks could reach the network, a clock or a process."""
    forbidden = (
        *("datetime", "docker", "grpc", "http", "random", "requests", "secrets", "shutil"),
        *("socket", "subprocess", "tempfile", "time", "urllib", "uuid"),
        *("admin", "provider", "runner"),
        *(f"iac_wrapper.{part}" for part in ("adapters", "operations", "cli", "bootstrap")),
    )
    return [
        f"{name} imports {target}"
        for name, tree in modules(root, *SYNTH_SIDE).items()
        for target in sorted(imports(tree))
        if below(target, *forbidden)
    ]


def sidecar_stands_alone(root: Path) -> list[str]:
    """What runs in the sidecar's image imports the standard library and what is copied there."""
    shared = [f"runner.{name}" for name in SIDECAR_SHARES if name != "__init__"]
    copied = ("runner.sidecar", *shared)
    return [
        f"{name} imports {target}"
        for name, tree in modules(root, "runner").items()
        if below(name, *copied)
        for target in sorted(imports(tree))
        if target.split(".")[0] not in sys.stdlib_module_names
        and target != "runner"
        and not below(target, *copied)
    ]


def branches_on_prose(root: Path) -> list[str]:
    """Comparisons with a sentence for people, or parts of one; Docker's own, in `provider`, may be.

    What code needs to know is a field of its own: a sentence may change.
    """
    return [
        f"{name} line {node.lineno} reads a sentence: {ast.unparse(node)}"
        for name, tree in modules(root, "iac_wrapper", "admin", *SYNTH_SIDE).items()
        for node in nodes(tree)
        if isinstance(node, ast.Compare | ast.Call) and any(map(_is_prose, _read_by(node)))
    ]


def _read_by(node: ast.Compare | ast.Call) -> list[ast.expr]:
    """What a comparison compares, or a call of a method such as `startswith` takes apart."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    apart = ("startswith", "endswith", "partition", "rpartition", "find", "index")
    is_method = isinstance(node.func, ast.Attribute) and node.func.attr in apart
    return [node.func.value] if is_method and isinstance(node.func, ast.Attribute) else []


def _is_prose(node: ast.expr) -> bool:
    sentences = ("message", "reason", "note", "evidence", "next_step")
    return isinstance(node, ast.Attribute) and node.attr in sentences


def provider_stands_alone(root: Path) -> list[str]:
    """The provider is a distribution too, under another name: what it imports goes with it."""
    metadata = tomllib.loads((ROOT / "provider" / "pyproject.toml").read_text(encoding="utf-8"))
    required = {re.split(r"[^a-z]", text)[0] for text in metadata["project"]["dependencies"]}
    names = {"grpcio": "grpc", "protobuf": "google"}
    allowed = {*sys.stdlib_module_names, "", *(names.get(name, name) for name in required)}
    return [
        f"{name} imports {target}"
        for name, tree in modules(root, "provider").items()
        for target in sorted(imports(tree))
        if target.split(".")[0] not in allowed
    ]


def _users(trees: dict[str, ast.Module], names: set[str], *, but: tuple[str, ...]) -> list[str]:
    return [
        f"{name} uses {used}"
        for name, tree in trees.items()
        if not below(name, *but)
        for used in sorted(names & uses(tree))
    ]


RULES: dict[Callable[[Path], list[str]], tuple[str, str]] = {
    reads_environment: ("iac_wrapper/x.py", "import os\nA = os.environ['A']"),
    starts_processes: ("iac_wrapper/x.py", "from subprocess import run"),
    locks_files: ("admin/x.py", "import fcntl"),
    prints: ("iac_wrapper/operations/x.py", "print('done')"),
    synth_side_effects: ("stacks/x.py", "import time"),
    sidecar_stands_alone: ("runner/sidecar/x.py", "from runner import server"),
    branches_on_prose: ("admin/x.py", "A = found.reason not in ('because',)"),
    provider_stands_alone: ("provider/x.py", "from provider import schema"),
}
"""Every rule with a module that breaks it."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_source_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    """No module points the wrong way."""
    assert rule(ROOT) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_notices_a_breach(rule: Callable[[Path], list[str]], tmp_path: Path) -> None:
    """The same rule on a tree with one wrong module names that module."""
    name, text = RULES[rule]
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")

    found = rule(tmp_path)

    wrong = ".".join(Path(name).with_suffix("").parts)
    assert found
    assert all(line.startswith(wrong) for line in found)


def test_the_map_shows_every_folder() -> None:
    """ARCHITECTURE.md has a row for each package of the source, and for none that is not there."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    shown = {name for row in rows for name in re.findall(r"`([a-z_/]+)/?`", row)}
    packages = {
        str(path.parent.relative_to(ROOT))
        for top in (*COMMAND_SIDE, *SYNTH_SIDE)
        for path in (ROOT / top).glob("**/__init__.py")
        if len(path.relative_to(ROOT).parts) <= 3
    }
    rooms = {name for name in packages if "/" not in name or name.startswith("iac_wrapper/")}
    assert rooms - {"iac_wrapper", "iac_wrapper/grpc_pb"} <= shown
    named = {name for name in shown if name.startswith("iac_wrapper/")}
    assert [name for name in named if not (ROOT / name).exists()] == []
