#!/usr/bin/env bash
# Docker's DNS stops asking other servers for one-label names when ndots is set to what it was.
#
# Version:  Docker Engine 20.10.24 (Debian docker.io 20.10.24+dfsg1)
# Needs:    that engine on this machine, and root, to answer on port 53 of a bridge of its own
# Expected: on a user-defined network Docker writes "options ndots:0" to a container's resolv.conf.
#           A container with --dns-option ndots:0, and so with the same file, resolves the same names.
# Seen:     the files are equal, and Docker's own server behaves differently: without the option it
#           hands a name of one label that no container has on to the next server; with it, it gives
#           an empty answer itself, and names that only that server knows are not found.
set -euo pipefail

dir=$(mktemp -d)
name=finding-ndots-$$
cleanup() {
  kill "${server:-}" 2> /dev/null || true
  docker network rm "$name" > /dev/null 2>&1 || true
  docker rmi "$name" > /dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root busybox-static=1:1.35.0-4+deb12u1+b1
dpkg-deb --extract busybox-static_*.deb root
tar --create --directory root bin | docker import - "$name" > /dev/null
docker network create "$name" > /dev/null
gateway=$(docker network inspect --format '{{(index .IPAM.Config 0).Gateway}}' "$name")

# The next server: every name is 192.0.2.1 (an address for documentation).
python3 - "$gateway" <<'PYTHON' &
import socket, sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    address = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1" if query[end - 3] == 1 else b""
    counts = bytes([0, 1, 0, bool(address), 0, 0, 0, 0])
    server.sendto(query[:2] + b"\x81\x80" + counts + query[12:end] + address, client)
PYTHON
server=$!

ask() {  # where to leave the container's resolv.conf, then options of docker run
  local file=$1
  shift
  docker run --rm --network "$name" --dns "$gateway" "$@" "$name" /bin/busybox sh -c '
    busybox cat /etc/resolv.conf >&2
    for name in printer printer.example; do
      busybox nslookup -type=a $name 127.0.0.11 2>&1 | busybox grep -A1 ^Name: || echo "$name: no address"
    done' < /dev/null 2> "$file"
}

docker version --format 'Docker Engine {{.Server.Version}}'
{
  echo "without the option"
  ask without
  echo "with it"
  ask with --dns-option ndots:0
  cmp --silent without with && echo "the same resolv.conf: $(grep ^options with)"
} | tee seen
diff seen - <<'SEEN'
without the option
Name:	printer
Address: 192.0.2.1
Name:	printer.example
Address: 192.0.2.1
with it
printer: no address
Name:	printer.example
Address: 192.0.2.1
the same resolv.conf: options ndots:0
SEEN
