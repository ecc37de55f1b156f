#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis .
    exec setpriv --reuid redis --regid redis --init-groups "$0" "$@"
fi
exec "$@" --protected-mode no
