#!/usr/bin/env bash
# pipenv writes a package of another platform into its lock without a version.
#
# Version:  pipenv 2026.10.3 (PyPI)
# Expected: Pipfile.lock pins every package of the Pipfile, with hashes, or locking fails.
# Seen:     one with any version whose marker does not hold where the lock is made is written with
#           "version": "*", without hashes and without its own dependencies. A reader that takes
#           what is behind "==" for the version finds none.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pipenv==2026.10.3
export WORKON_HOME="$dir/envs" PIPENV_CACHE_DIR="$dir/cache" PIPENV_IGNORE_VIRTUALENVS=1
mkdir "$dir/board"
cd "$dir/board"
printf '[packages]\nidna = "==3.6"\ncolorama = {version = "*", markers = "sys_platform == '"'win32'"'"}\n' > Pipfile
"$dir/venv/bin/pipenv" lock --quiet > log 2>&1 || { cat log; exit 1; }

python3 - > seen <<'PYTHON'
import json
for name, entry in sorted(json.load(open("Pipfile.lock"))["default"].items()):
    print(name, entry.get("version"), "with hashes" if entry.get("hashes") else "without hashes")
PYTHON

cat seen
diff seen - <<'SEEN'
colorama * without hashes
idna ==3.6 with hashes
SEEN
