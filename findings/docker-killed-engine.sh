#!/usr/bin/env bash
# Docker takes its own stop of a container for a person's when it finds it running after a crash.
#
# Version:  Docker Engine 20.10.24 (Debian docker.io 20.10.24+dfsg1)
# Needs:    that package on this machine, and root; the machine's own engine is left alone
# Expected: "unless-stopped" is "always" but for containers that somebody stopped, so after a crash of
#           the engine both start again, as they do after its orderly stop.
# Seen:     containers outlive an engine that is killed. At its next start it stops what still runs
#           (unless it has --live-restore, with which it goes on) and notes this as a person's stop.
#           So "always" starts again, and "unless-stopped" does not, now or at any later start.
set -euo pipefail

version=$(dpkg-query --show --showformat '${Version}' docker.io)
echo "docker.io $version"
[[ $version == 20.10.24+dfsg1-* ]] || { echo "expected docker.io 20.10.24+dfsg1" >&2; exit 1; }

dir=$(mktemp -d)
export DOCKER_HOST=unix://$dir/docker.sock
cleanup() {
  [ -z "${engine:-}" ] || { kill "$engine" && wait "$engine"; } 2> /dev/null || true
  for task in $(ctr --address "$dir/containerd.sock" --namespace moby tasks list --quiet 2> /dev/null); do
    ctr --address "$dir/containerd.sock" --namespace moby tasks delete --force "$task" > /dev/null 2>&1 || true
  done
  [ -z "${containerd:-}" ] || { kill "$containerd" && wait "$containerd"; } 2> /dev/null || true
  awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort --reverse | xargs --no-run-if-empty umount
  rm -rf "$dir"
}
trap cleanup EXIT
cd "$dir"

apt-get download -qq -o APT::Sandbox::User=root busybox-static=1:1.35.0-4+deb12u1+b1
dpkg-deb --extract busybox-static_*.deb root
echo '{}' > docker.json
echo 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' > containerd.toml
containerd --config containerd.toml --root "$dir/containerd" --state "$dir/state" \
  --address "$dir/containerd.sock" > containerd.log 2>&1 &
containerd=$!

start() {  # options of dockerd; without a network of its own it would remove the other engine's docker0
  unshare --net dockerd --config-file docker.json --containerd "$dir/containerd.sock" --host "$DOCKER_HOST" \
    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" --storage-driver vfs \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false "$@" > docker.log 2>&1 &
  engine=$!
  for _ in $(seq 150); do
    docker version > /dev/null 2>&1 && return
    sleep 0.2
  done
  tail docker.log >&2
  return 1
}

end() {  # a signal to the engine
  kill "-$1" "$engine"
  wait "$engine" 2> /dev/null || true
}

look() {
  sleep 2  # it starts containers a moment after it answers
  for policy in always unless-stopped; do
    echo "  $policy: $(docker inspect --format '{{.State.Status}}' $policy)," \
      "$(grep -o '"HasBeenManuallyStopped":[a-z]*' data/containers/"$(docker inspect --format '{{.Id}}' $policy)"/config.v2.json)"
  done
}

start
tar --create --directory root bin | docker import - program > /dev/null
for policy in always unless-stopped; do
  docker run --detach --name $policy --restart $policy --network none program \
    /bin/busybox sh -c 'trap exit TERM; while busybox sleep 0.1; do :; done' > /dev/null
done
{
  echo "after an orderly stop"
  end TERM
  start
  look
  echo "after kill -9, with --live-restore"
  end KILL
  start --live-restore
  look
  echo "after kill -9"
  end KILL
  start
  look
  echo "after one more orderly stop"
  end TERM
  start
  look
} > seen
cat seen
diff seen - <<'SEEN'
after an orderly stop
  always: running, "HasBeenManuallyStopped":false
  unless-stopped: running, "HasBeenManuallyStopped":false
after kill -9, with --live-restore
  always: running, "HasBeenManuallyStopped":false
  unless-stopped: running, "HasBeenManuallyStopped":false
after kill -9
  always: running, "HasBeenManuallyStopped":false
  unless-stopped: exited, "HasBeenManuallyStopped":true
after one more orderly stop
  always: running, "HasBeenManuallyStopped":false
  unless-stopped: exited, "HasBeenManuallyStopped":true
SEEN
