#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    chown -R keeper /data
    exec setpriv --reuid=keeper --regid=keeper --clear-groups "$0" "$@"
fi
exec "$@"
