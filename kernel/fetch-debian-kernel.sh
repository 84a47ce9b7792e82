#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the stock riscv64 kernel of Debian trixie, as it is: proof that we boot kernels not our own.
#
#   kernel/fetch-debian-kernel.sh OUTDIR
#
# Leaves in OUTDIR: Image (uncompressed, with EFI stub), kernel.config, kernel.version. The 8250 console is
# built into it, so that our initramfs needs none of its modules to reach a shell on ttyS0; virtio is not.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood); remove its folder "debs" to look for a newer kernel
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"

[ $# -eq 1 ] || hw_usage
hw_need dpkg-deb
out=$(mkdir -p "$1" && cd "$1" && pwd)

# The metapackage names the package of the current kernel.
meta=trixie/riscv64/linux-image-riscv64
hw_packages "$meta"
image=$(dpkg-deb -f "$hw_debs/$(hw_field "$meta" 3)" Depends | grep -oE 'linux-image-[^ ,]+' | sed -n 1p)
[ -n "$image" ] || die "$meta depends on no kernel"
version="$image $(hw_version "$meta")"
if [ "$(cat "$out/kernel.version" 2>/dev/null)" = "$version" ] && [ -s "$out/Image" ]; then
    say "up to date"
    exit 0
fi

package=trixie/riscv64/$image
hw_packages "$package"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
dpkg-deb --fsys-tarfile "$hw_debs/$(hw_field "$package" 3)" | tar -x -C "$scratch" ./boot
vmlinuz=$(echo "$scratch"/boot/vmlinu*)
[ -f "$vmlinuz" ] || die "$image holds no kernel, or several"
# The kernel's boot header ends with this magic number at offset 56; a compressed file would have none.
[ "$(dd if="$vmlinuz" bs=1 skip=56 count=3 status=none)" = RSC ] ||
    die "$(basename "$vmlinuz") is not an uncompressed Image"
for option in SERIAL_8250_CONSOLE SERIAL_OF_PLATFORM BLK_DEV_INITRD DEVTMPFS; do
    grep -qx "CONFIG_$option=y" "$scratch"/boot/config-* || die "$image does not have $option built in"
done
rm -f "$out/kernel.version"
hw_publish "$vmlinuz" "$out/Image"
hw_publish "$(echo "$scratch"/boot/config-*)" "$out/kernel.config"
echo "$version" >"$scratch/version"
hw_publish "$scratch/version" "$out/kernel.version"
say "done: $version, Image $(stat -c %s "$out/Image") bytes"
