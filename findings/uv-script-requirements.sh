#!/usr/bin/env bash
# uv installs a script's dependencies as requirements without the script's own settings.
#
# Version:  uv 0.13.8 (PyPI)
# Expected: `uv pip install -r job.py` reads the block of PEP 723, so it installs what `uv run` and
#           `uv sync --script` would.
# Seen:     it takes the dependencies and leaves the tables `[tool.uv]` of the same block: here
#           exclude-newer, and just so indexes and sources. `uv sync --script --active` heeds them.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.8
export UV_CACHE_DIR="$dir/cache" UV_PYTHON_DOWNLOADS=never
cd "$dir"
cat > job.py <<'SCRIPT'
# /// script
# dependencies = ["idna"]
# [tool.uv]
# exclude-newer = "2024-01-01T00:00:00Z"
# ///
SCRIPT

installed() {
  if [ "$("$1/bin/python" -c 'from importlib.metadata import version; print(version("idna"))')" = 3.6 ]; then
    echo "the newest of 2023"
  else
    echo "a newer one"
  fi
}
for name in requirements script; do
  venv/bin/uv venv --quiet --python venv/bin/python "$name"
done
VIRTUAL_ENV=$dir/requirements venv/bin/uv pip install --quiet -r job.py
VIRTUAL_ENV=$dir/script venv/bin/uv sync --quiet --script job.py --active
{
  echo "uv pip install -r job.py: $(installed requirements)"
  echo "uv sync --script job.py: $(installed script)"
} > seen

cat seen
diff seen - <<'SEEN'
uv pip install -r job.py: a newer one
uv sync --script job.py: the newest of 2023
SEEN
