#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the guest's first userland: Debian's static busybox for riscv64, our process 1 and our agent in a
# plain cpio archive.
#
#   kernel/build-initramfs.sh OUTDIR [PATH[:TARGET]...]
#
# Leaves initramfs.cpio, initramfs.key (a hash of all inputs; with an unchanged key nothing is done) and
# busybox.version in OUTDIR. PATH is a file or folder to add, by default as NAME in root's home, else as TARGET in
# the guest; an added /etc/rc runs before the shell. Equal inputs give equal bytes. Needs neither root nor
# riscv64 emulation.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood)
# Packages:    gcc-riscv64-linux-gnu libc6-dev-riscv64-cross python3 apt dpkg
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"

[ $# -ge 1 ] || hw_usage
cross=riscv64-linux-gnu-
hw_need ${cross}gcc python3 dpkg-deb
busybox=trixie/riscv64/busybox-static
wanted=$busybox=1:1.37.0-6+b9
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
here=$hw_kernel_dir/initramfs
epoch=1767225600

# The key covers names, modes and contents of what is added.
key=$({ echo "$wanted"; cat "$hw_kernel_dir/build-initramfs.sh"; ${cross}gcc --version | sed -n 1p
        for path in "$here" "${@%%:*}"; do
            [ -e "$path" ] || die "no such file or folder: $path"
            (cd "$path" 2>/dev/null || cd "$(dirname "$path")"
             [ -d "$path" ] && start=. || start=./$(basename "$path")
             find "$start" -name __pycache__ -prune -o -printf '%p %m %l\n' | LC_ALL=C sort
             find "$start" -name __pycache__ -prune -o -type f -print0 | LC_ALL=C sort -z |
                 xargs -0r sha256sum)
        done; echo "$@"; } | sha256sum | cut -c1-64)
if [ "$(cat "$out/initramfs.key" 2>/dev/null)" = "$key" ] && [ -s "$out/initramfs.cpio" ] &&
   [ -s "$out/busybox.version" ]; then
    say "up to date"
    exit 0
fi

hw_packages "$wanted"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
hw_unpack "$busybox" "$scratch/busybox"

root=$scratch/root
mkdir -p "$root"/{dev,etc,mnt,proc,root,run,sys,tmp,usr/bin,var/log}
chmod 1777 "$root/tmp"
chmod 700 "$root/root"
# One folder of commands under all four names.
ln -s usr/bin "$root/bin"
ln -s usr/bin "$root/sbin"
ln -s bin "$root/usr/sbin"
install -m 755 "$scratch/busybox/usr/bin/busybox" "$root/usr/bin/busybox"
python3 -B "$here/applets.py" "$root/usr/bin/busybox" >"$scratch/applets"
while read -r name; do
    [ "$name" = busybox ] || [ "$name" = linuxrc ] || ln -s busybox "$root/usr/bin/$name"
done <"$scratch/applets"
install -m 644 "$here"/etc/* "$root/etc/"
ln -s /proc/self/mounts "$root/etc/mtab"
program() {
    ${cross}gcc -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -march=rv64gc -mabi=lp64d \
        -fno-pic -no-pie -static -nostdlib -nostartfiles -fno-asynchronous-unwind-tables -fno-stack-protector \
        -ffile-prefix-map="$here"=. -Wl,--build-id=none,-s -o "$1" "$2"
}
program "$root/init" "$here/init.c"
program "$root/usr/bin/hartwood-agent" "$here/agent.c"

for addition in "$@"; do
    path=${addition%%:*}
    target=/root/$(basename "$path")
    [ "$path" = "$addition" ] || target=${addition#*:}
    mkdir -p "$root/$(dirname "$target")"
    cp -a --no-preserve=ownership -T "$path" "$root/$target"
done

python3 -B "$here/make_cpio.py" "$root" "$scratch/initramfs.cpio" $epoch
rm -f "$out/initramfs.key"
hw_publish "$scratch/initramfs.cpio" "$out/initramfs.cpio"
hw_version "$busybox" >"$scratch/version"
hw_publish "$scratch/version" "$out/busybox.version"
echo "$key" >"$scratch/key"
hw_publish "$scratch/key" "$out/initramfs.key"
say "done: $(stat -c %s "$out/initramfs.cpio") bytes, $(wc -l <"$scratch/applets") commands"
