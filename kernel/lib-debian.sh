# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of this folder: messages, atomic results, and packages of any Debian release as
# plain files. Packages come from the mirror that this machine's apt is configured with, signatures checked
# (tools/debian-fetch.sh). Nothing gets installed. Downloads are kept in $HARTWOOD_CACHE/debs, one folder
# per request, and asked for only once.

hw_cache=${HARTWOOD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hartwood}
hw_kernel_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# hw_usage: shows how the script is called, from the comment at its top.
hw_usage() { sed -n 's|^#   \(kernel/.*\)|usage: \1|p' "$0" >&2; exit 2; }

# hw_need TOOL...: stops with one message that names every tool that is missing.
hw_need() {
    local tool missing=
    for tool in "$@"; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
    [ -z "$missing" ] || die "not found:$missing (see the list of Debian packages at the top of $0)"
}

# hw_packages RELEASE/ARCH/PACKAGE[=VERSION]...: downloads them, unless that was done before. Sets hw_debs
# to the folder, whose file "index" has a line "RELEASE/ARCH/PACKAGE VERSION FILE" for each.
hw_packages() {
    local name partial
    name=$(printf '%s\n' "$@" | sha256sum | cut -c1-16)
    hw_debs=$hw_cache/debs/$name
    mkdir -p "$hw_cache/debs"
    exec 8>"$hw_cache/debs/$name.lock"
    flock 8
    if [ ! -f "$hw_debs/index" ]; then
        partial=$hw_debs.partial
        rm -rf "$hw_debs" "$partial"
        mkdir -p "$partial"
        "$hw_kernel_dir/../tools/debian-fetch.sh" "$partial" "$@" >"$partial/list" || die "cannot get $*"
        mv "$partial/list" "$partial/index"
        mv "$partial" "$hw_debs"
    fi
    exec 8>&-
}

# hw_unpack RELEASE/ARCH/PACKAGE FOLDER: unpacks one package of the last hw_packages into FOLDER.
hw_unpack() {
    mkdir -p "$2"
    dpkg-deb -x "$hw_debs/$(hw_field "$1" 3)" "$2"
}

# hw_version RELEASE/ARCH/PACKAGE: the version that was downloaded.
hw_version() { hw_field "$1" 2; }

hw_field() {
    awk -v spec="$1" -v n="$2" '$1 == spec { print $n; found = 1 } END { exit !found }' "$hw_debs/index"
}

# hw_publish SOURCE TARGET [MODE]: puts a file in place so that a reader sees all of it or the former one.
hw_publish() {
    cp "$1" "$2.part.$$"
    chmod "${3:-644}" "$2.part.$$"
    mv -f "$2.part.$$" "$2"
}
