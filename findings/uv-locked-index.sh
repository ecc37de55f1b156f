#!/usr/bin/env bash
# uv takes a lock for outdated when its index is spelt another way.
#
# Version:  uv 0.13.8 (PyPI)
# Expected: `uv lock --check` and `--locked` tell whether uv.lock is of pyproject.toml. Where the same
#           index is configured with a slash at its end, as pip takes it, nothing has changed.
# Seen:     the lock "needs to be updated", as it is with the address of any mirror. So these options
#           cannot be used where locks come from other people's machines; `--frozen` accepts all locks.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.8
export UV_CACHE_DIR="$dir/cache"
cd "$dir"
printf '[project]\nname = "board"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna==3.6"]\n' > pyproject.toml
venv/bin/uv lock --quiet

index=$(sed -n 's/.*registry = "\([^"]*\)".*/\1/p' uv.lock | head -1)
other=${index%/}
if [ "$other" = "$index" ]; then other=$index/; fi
check() {
  if venv/bin/uv lock --check --quiet --default-index "$1" 2> /dev/null; then echo "up to date"; else echo "outdated"; fi
}
{
  echo "the index of the lock: $(check "$index")"
  echo "the same with or without a slash: $(check "$other")"
} > seen

cat seen
diff seen - <<'SEEN'
the index of the lock: up to date
the same with or without a slash: outdated
SEEN
