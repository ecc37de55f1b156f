"""What `iac detect` takes for a repository of 2,000 files, beside git's own look at the same files.

    python -m bench.detect            # `make bench` does not run it; a minute

The second repository is the worst case: many files that could be the program import one another.
`git` is a ``git clone`` of all objects and a ``git grep`` in it for what a program needs: a copy
that is hashed, and a look into each file, as detection needs them. Both run warm, one after the
other, and the best of the rounds counts; the last lines split `iac detect` into its parts, in
seconds of processor time, cold and warm.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

FILES, WOVEN, ROUNDS = 2000, 100, 7

IAC = str(Path(sys.executable).with_name("iac"))

PARTS = """
import sys, time
from pathlib import Path
begun = time.process_time()
def part(name):
    global begun
    now = time.process_time()
    print(f"{name} {now - begun:.2f}", end="  ")
    begun = now
import iac_wrapper.cli, iac_wrapper.operations.detect as operation
part("import")
from iac_wrapper.operations.app_plan import plan_app
from iac_wrapper.files.layout import Layout
from iac_wrapper.settings import Settings
from iac_wrapper.sources.resolve import resolve
cache = Path(sys.argv[2])
(checkout,) = resolve(operation.entry_of_text(sys.argv[1], Path()), Settings(), cache=cache)
part("copy and hash")
host, _ = operation._host(Settings())
plan_app(checkout, host=host, layout=Layout(cache), settings=Settings(), project="x")
part("detection")
print()
"""


def repository(root: Path) -> None:
    """A package of many modules and templates, with a web application deep in it."""
    body = "".join(
        f"def part_{n}(a, b=None):\n    '''The main thing, {n}.'''\n    return [a, b]\n\n\n"
        for n in range(25)
    )
    for number in range(FILES - 3):
        folder = root / "shop" / f"part{number % 40}"
        folder.mkdir(parents=True, exist_ok=True)
        if number % 3:
            (folder / f"module{number}.py").write_text(f"import os\n\n{body}")
        else:
            (folder / f"page{number}.html").write_text("<p>text</p>\n" * 100)
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "web.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    (root / "requirements.txt").write_text("flask\ngunicorn\n")
    _commit(root)


def woven(root: Path) -> None:
    """A package whose modules import one another in circles, each with a `__main__` guard."""
    (root / "shop").mkdir()
    (root / "shop" / "__init__.py").touch()
    start = "from shop.part0 import work0\nif __name__ == '__main__':\n    work0()\n"
    (root / "shop" / "main.py").write_text(start)
    (root / "requirements.txt").write_text("flask\n")
    for number in range(WOVEN):
        others = [(number + step) % WOVEN for step in (1, 7, 19, 31)]
        lines = ["import os", "import flask"]
        lines += [f"from shop.part{other} import work{other}" for other in others]
        for part in range(30):
            lines += [f"def part{part}(a, b=None):", "    if a:", "        os.stat(str(a.rows))"]
            lines += [f"    return [a, b, os.environ.get(str({part}))]"]
        lines += [f"def work{number}(a=1, b=None):"]
        lines += [f"    part{part}(a, b) or work{others[part % 4]}(a)" for part in range(30)]
        lines += ["if __name__ == '__main__':", f"    work{number}()"]
        (root / "shop" / f"part{number}.py").write_text("\n".join(lines) + "\n")
    _commit(root)


def _commit(root: Path) -> None:
    for command in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "-m", "x"),
    ):
        subprocess.run(["git", *command], cwd=root, check=True)


def seconds(folder: Path, commands: Sequence[Sequence[str]]) -> float:
    """How long commands take in all."""
    begun = time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # installed programs have their bytecode
    for name, make in (("many files", repository), ("files that import one another", woven)):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            root = Path(folder) / "shop"
            root.mkdir()
            make(root)
            print(f"{name}: {_compared(root)}", flush=True)
            cache = str(Path(folder) / "cache")
            for _ in range(2):
                subprocess.run([sys.executable, "-c", PARTS, str(root), cache], check=True)


def _compared(root: Path) -> str:
    """The best round of either."""
    words = ("-e", "__main__", "-e", "Flask(", "-e", "def main")
    clone = ["git", "clone", "--quiet", "--no-local", str(root), "copy"]
    git = [clone, ["git", "-C", "copy", "grep", "-lF", *words], ["rm", "-r", "copy"]]
    detect = [[IAC, "detect", str(root)]]
    seconds(root.parent, detect)
    rounds = [(seconds(root.parent, detect), seconds(root.parent, git)) for _ in range(ROUNDS)]
    ours, theirs = (min(column) for column in zip(*rounds, strict=True))
    return f"detect {ours:.2f} s, git {theirs:.2f} s, {ours / theirs:.1f} times; best of {ROUNDS}"


if __name__ == "__main__":
    main()
