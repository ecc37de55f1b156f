"""Small locks of every tool, each of idna 3.6 as its tool writes it, and their projects."""

from __future__ import annotations

from pathlib import Path

HASHES = (
    "sha256:9ecdbbd083b06798ae1e86adcbfe8ab1479cf864e4ee30fe4e46a003d12491ca",
    "sha256:c05567e9c24a6b9faaa835c4821bad0590fbb9d5779e7caa6e1cc4978e7eb24f",
)
"""Of the two files of idna 3.6."""

LINE = "idna==3.6 \\\n" + " \\\n".join(f"    --hash={one}" for one in HASHES) + "\n"

_FILES = "".join(
    f'    {{file = "{name}", hash = "{one}"}},\n'
    for name, one in zip(("idna-3.6.tar.gz", "idna-3.6-py3-none-any.whl"), HASHES, strict=True)
)

POETRY_PROJECT = """\
[tool.poetry]
name = "board"
version = "0.1.0"
package-mode = false

[tool.poetry.dependencies]
python = "^3.11"
idna = "^3.6"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

POETRY = f"""\
[[package]]
name = "idna"
version = "3.6"
optional = false
python-versions = ">=3.5"
groups = ["main"]
files = [
{_FILES}]

[metadata]
lock-version = "2.1"
python-versions = "^3.11"
content-hash = "931e595e2dc56ef3504dca8f537f8ad26fc7295570efe8218aa42dff6d67cbd6"
"""

PDM_PROJECT = """\
[project]
name = "board"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["idna~=3.6"]

[tool.pdm]
distribution = false
"""

PDM = f"""\
[metadata]
groups = ["default"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"

[[package]]
name = "idna"
version = "3.6"
requires_python = ">=3.5"
groups = ["default"]
files = [
{_FILES}]
"""

PIPFILE = '[packages]\nidna = "~=3.6"\n'

PIPENV = f"""\
{{"_meta": {{"hash": {{}}, "pipfile-spec": 6, "requires": {{}}, "sources": []}},
 "default": {{"idna": {{"hashes": ["{HASHES[0]}", "{HASHES[1]}"],
                     "markers": "python_version >= '3.5'", "version": "==3.6"}}}},
 "develop": {{}}}}
"""

PYLOCK = f"""\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "board"
directory = {{ path = ".", editable = true }}

[[packages]]
name = "idna"
version = "3.6"
wheels = [{{ name = "idna-3.6-py3-none-any.whl", hashes = {{ sha256 = "{HASHES[1][7:]}" }} }}]
"""

FLASK_OF_POETRY = Path(__file__).parents[1] / "data" / "locks" / "flask-poetry.lock"
"""A lock of Flask 3.1.0 with all that it needs, as Poetry writes it."""


def write(root: Path, **files: str) -> None:
    """Write files; ``_`` in a name is its dot, ``__`` a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
