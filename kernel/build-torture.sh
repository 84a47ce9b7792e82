#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds what a machine boots to be tortured: our kernel with its torture modules, and an initramfs that has these,
# stress-ng of Debian trixie for riscv64 with its libraries, and the script that runs them.
#
#   kernel/build-torture.sh OUTDIR INITRAMFS KERNELDIR      an initramfs to put it behind, and build-kernel.sh's "torture"
#
# Leaves Image, initramfs.cpio and torture.packages (a line for each package: name, version, sha256 of its file) in
# OUTDIR. Equal inputs give equal bytes; the packages' files must have the hashes of torture.sha256 beside this script.
# Needs neither root nor riscv64 emulation.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood)
# Packages:    python3 apt dpkg binutils
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"
. "$(dirname "$0")/lib-pinned.sh"

[ $# -eq 3 ] || hw_usage
hw_need python3 dpkg-deb readelf sha256sum
out=$(mkdir -p "$1" && cd "$1" && pwd)
initramfs=$2
kernel=$3
epoch=1767225600
modules="torture rcutorture locktorture"
packages="
    libacl1=2.3.2-2+b1
    libapparmor1=4.1.0-1
    libbsd0=0.12.2-2
    libc6=2.41-12+deb13u5
    libcrypt1=1:4.4.38-1
    libdrm2=2.4.124-2
    libegl1=1.7.0-1+b2
    libexpat1=2.9.0-1~deb13u1
    libgbm1=25.0.7-2+deb13u1
    libgcc-s1=14.2.0-19
    libgles2=1.7.0-1+b2
    libglvnd0=1.7.0-1+b2
    libgmp10=2:6.3.0+dfsg-3
    libjpeg62-turbo=1:2.1.5-4
    libjudydebian1=1.0.5-5.1+b1
    libkmod2=34.2-2
    libmd0=1.1.0-2+b1
    libmpfr6=4.2.2-1
    libsctp1=1.0.21+dfsg-1
    libssl3t64=3.5.9-1~deb13u1
    libstdc++6=14.2.0-19
    libxxhash0=0.8.3-2
    libzstd1=1.5.7+dfsg-1
    stress-ng=0.19.02-1
    zlib1g=1:1.3.dfsg+really1.3.1-1+deb13u1
"

wanted=
for package in $packages; do wanted="$wanted trixie/riscv64/$package"; done
hw_packages $wanted
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

hw_check_pinned torture "$scratch"

# Of the packages, stress-ng and the libraries that it is linked with, and theirs.
unpacked=$scratch/unpacked
for spec in $wanted; do hw_unpack "${spec%%=*}" "$unpacked"; done
root=$scratch/root
libraries=usr/lib/riscv64-linux-gnu
mkdir -p "$root/usr/bin" "$root/$libraries" "$root/root/modules"
ln -s usr/lib "$root/lib"
add_libraries() {
    local name
    for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        [ ! -e "$root/$libraries/$name" ] || continue
        [ -e "$unpacked/$libraries/$name" ] || die "no package has $name"
        install -m 755 "$unpacked/$libraries/$name" "$root/$libraries/$name"
        add_libraries "$root/$libraries/$name"
    done
}
install -m 755 "$unpacked/usr/bin/stress-ng" "$root/usr/bin/stress-ng"
add_libraries "$root/usr/bin/stress-ng"
loader=ld-linux-riscv64-lp64d.so.1
ln -s "riscv64-linux-gnu/$loader" "$root/usr/lib/$loader"
for module in $modules; do install -m 644 "$kernel/modules/$module.ko" "$root/root/modules/"; done
install -m 755 "$hw_kernel_dir/../tests/torture/torture.sh" "$root/root/torture"

# The kernel unpacks one archive after the other; each begins at a multiple of its block size.
python3 -B "$hw_kernel_dir/initramfs/make_cpio.py" "$root" "$scratch/torture.cpio" $epoch
{
    cat "$initramfs"
    head -c $((-$(stat -Lc %s "$initramfs") & 511)) /dev/zero
    cat "$scratch/torture.cpio"
} >"$scratch/initramfs.cpio"
hw_publish "$scratch/initramfs.cpio" "$out/initramfs.cpio"
hw_publish "$kernel/Image" "$out/Image"
hw_publish "$scratch/packages" "$out/torture.packages"
say "done: initramfs $(stat -c %s "$out/initramfs.cpio") bytes"
