# Installs Debian packages in a step of an image's build: sh apt.sh PACKAGE...
# Mirrors, proxies and CA of this machine are secrets of the step, and lie in memory only. What apt
# notes down of its run is removed, so that equal packages make equal files.
set -eu
. /etc/os-release
memory=/dev/shm
wanted="$*"

# With a compiler, also Python's headers, where the base has none.
case " $wanted " in *" build-essential "*)
    include="$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')"
    [ -e "$include/Python.h" ] || wanted="$wanted python3-dev" ;;
esac
# Packages of libraries that the first stage found its modules to need.
if [ -e /run/libraries ]; then
    for name in $(cat /run/libraries); do
        dpkg -s "$name" > /dev/null 2>&1 || wanted="$wanted $name"
    done
fi
[ -n "$wanted" ] || exit 0

if [ -s /run/secrets/env ]; then . /run/secrets/env; fi
{
    echo 'APT::Sandbox::User "root"; APT::Get::List-Cleanup "false";'
    printf '%s\n' "${IAC_APT_OPTIONS:-}"
    if [ -s /run/secrets/ca ]; then echo 'Acquire::https::CAInfo "/run/secrets/ca";'; fi
    if [ -n "${IAC_APT_SOURCES:-}" ]; then
        printf '%s\n' "$IAC_APT_SOURCES" | sed "s/SUITE/$VERSION_CODENAME/" > "$memory/apt.list"
        echo "Dir::Etc::SourceList \"$memory/apt.list\"; Dir::Etc::SourceParts \"-\";"
    fi
} > "$memory/apt.conf"
export APT_CONFIG="$memory/apt.conf" DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Its many lines are of interest only when it fails.
apt-get install -qq -y --no-install-recommends $wanted > "$memory/apt.log" 2>&1 || {
    code=$?
    cat "$memory/apt.log"
    exit "$code"
}
rm -rf /var/log/apt /var/log/*.log /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig
