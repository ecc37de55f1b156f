#!/usr/bin/env bash
# A provider made with tf forgets what it is creating when Terraform asks it to stop.
#
# Version:  tf 1.2.0 (PyPI tf 1.2.0, grpcio 1.85.1, protobuf 5.29.6, msgpack 1.2.4)
# Expected: StopProvider, which Terraform calls after the first Ctrl-C, is the plugin protocol's
#           graceful shutdown: it is answered, and an ApplyResourceChange on its way comes to its end
#           and returns the new state.
# Seen:     run_provider() stops its gRPC server with no grace before StopProvider has answered. Both
#           calls end as UNAVAILABLE. The resource's create() runs to its end all the same, so what
#           it made exists, and no state says so.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  tf==1.2.0 grpcio==1.85.1 protobuf==5.29.6 msgpack==1.2.4
cd "$dir"

cat > provider.py <<'PYTHON'
import pathlib, time
from tf.iface import Resource
from tf.runner import run_provider
from tf.schema import Attribute, Schema
from tf.types import String

class Slow(Resource):
    def __init__(self, provider): pass
    def create(self, ctx, planned):
        pathlib.Path("begun").touch()
        time.sleep(1)
        pathlib.Path("made").touch()
        return planned
    get_name = classmethod(lambda cls: "slow")
    get_schema = classmethod(lambda cls: Schema(attributes=[Attribute("name", String(), required=True)]))
    read = update = delete = None

class Demo:
    full_name = lambda self: "example.com/demo/demo"
    get_model_prefix = lambda self: "demo_"
    get_provider_schema = lambda self, diagnostics: Schema()
    get_resources = lambda self: [Slow]
    get_data_sources = get_functions = lambda self: []
    new_resource = lambda self, resource: resource(self)

run_provider(Demo())
PYTHON

venv/bin/python - > seen <<'PYTHON'
import pathlib, re, subprocess, sys, time
import grpc, msgpack
from tf.gen import tfplugin_pb2 as pb, tfplugin_pb2_grpc as rpc

def value(python):
    return pb.DynamicValue(msgpack=msgpack.packb(python))

def outcome(call):
    try:
        return "answered" if call.result(timeout=10) else ""
    except grpc.RpcError as error:
        return error.code().name

process = subprocess.Popen([sys.executable, "-u", "provider.py", "--dev"], stdout=subprocess.PIPE, text=True)
try:
    socket = re.search('"String": "([^"]+)"', next(line for line in process.stdout if "REATTACH" in line))[1]
    provider = rpc.ProviderStub(channel := grpc.insecure_channel(f"unix:{socket}"))
    grpc.channel_ready_future(channel).result(timeout=30)
    new = value({"name": "one"})
    apply = provider.ApplyResourceChange.future(pb.ApplyResourceChange.Request(
        type_name="demo_slow", prior_state=value(None), planned_state=new, config=new))
    while not pathlib.Path("begun").exists():
        time.sleep(0.05)
    stop = provider.StopProvider.future(pb.StopProvider.Request())
    print("StopProvider:", outcome(stop))
    print("ApplyResourceChange:", outcome(apply))
    process.wait(timeout=30)
finally:
    process.kill()
print("made:", pathlib.Path("made").exists())
PYTHON

cat seen
diff seen - <<'SEEN'
StopProvider: UNAVAILABLE
ApplyResourceChange: UNAVAILABLE
made: True
SEEN
