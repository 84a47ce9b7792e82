#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the C library of Debian trixie for riscv64 and its split debug file: a real program to look symbols up in.
#
#   kernel/fetch-debug-libc.sh OUTDIR
#
# Leaves in OUTDIR: libc.so.6, and libc.so.6.debug, which has its build-id. The packages' files must have the hashes of
# debug-libc.sha256 beside this script.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood)
# Packages:    apt dpkg binutils
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"
. "$(dirname "$0")/lib-pinned.sh"

[ $# -eq 1 ] || hw_usage
hw_need dpkg-deb readelf sha256sum
out=$(mkdir -p "$1" && cd "$1" && pwd)
wanted=$(awk '{ print "trixie/riscv64/" $1 "=" $2 }' "$hw_kernel_dir/debug-libc.sha256")
hw_packages $wanted
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

hw_check_pinned debug-libc "$scratch"

for spec in $wanted; do hw_unpack "${spec%%=*}" "$scratch/root"; done
library=$scratch/root/usr/lib/riscv64-linux-gnu/libc.so.6
[ -s "$library" ] || die "libc6 has no libc.so.6"
id=$(readelf -n "$library" 2>/dev/null | sed -n 's/.*Build ID: //p')
debug=$scratch/root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
[ -s "$debug" ] || die "libc6-dbg has no debug file of build-id $id"
hw_publish "$library" "$out/libc.so.6"
hw_publish "$debug" "$out/libc.so.6.debug"
say "done: libc6 of build-id $id"
