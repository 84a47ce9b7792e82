#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian userland that the benchmark's workloads run in: shell, tools, interpreters and a C compiler of trixie
# for riscv64, as a plain cpio archive with a folder /debian for chroot, to be put behind an initramfs.
#
#   kernel/build-workloads.sh OUTDIR
#
# Leaves workloads.cpio and workloads.packages (a line for each package: name, version, sha256 of its file) in OUTDIR.
# Equal inputs give equal bytes; the packages' files must have the hashes of workloads.sha256 beside this script. Needs
# neither root nor riscv64 emulation. What packages do when they are installed is not done: Python keeps its compiled
# modules when it first runs, which is not timed.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood)
# Packages:    python3 apt dpkg binutils
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"
. "$(dirname "$0")/lib-pinned.sh"

[ $# -eq 1 ] || hw_usage
hw_need python3 dpkg-deb readelf sha256sum
out=$(mkdir -p "$1" && cd "$1" && pwd)
epoch=1767225600
packages="
    bc=1.07.1-4
    binutils-riscv64-linux-gnu=2.44-3
    bzip2=1.0.8-6
    coreutils=9.7-3
    cpp-14-riscv64-linux-gnu=14.2.0-19
    dash=0.5.12-12
    findutils=4.10.0-3
    gcc-14-riscv64-linux-gnu=14.2.0-19
    git=1:2.47.3-0+deb13u1
    grep=3.11-4
    gzip=1.13-1+deb13u1
    jq=1.7.1-6+deb13u3
    libacl1=2.3.2-2+b1
    libattr1=1:2.5.2-3
    libbinutils=2.44-3
    libbz2-1.0=1.0.8-6
    libc6=2.41-12+deb13u4
    libc6-dev=2.41-12+deb13u4
    libcrypt1=1:4.4.38-1
    libctf-nobfd0=2.44-3
    libctf0=2.44-3
    libexpat1=2.8.3-1~deb13u1
    libffi8=3.4.8-2
    libgcc-14-dev=14.2.0-19
    libgcc-s1=14.2.0-19
    libgmp10=2:6.3.0+dfsg-3
    libisl23=0.27-1
    libjansson4=2.14-2+b3
    libjq1=1.7.1-6+deb13u3
    liblz4-1=1.10.0-4
    liblzma5=5.8.1-1+deb13u1
    libmpc3=1.3.1-1+b3
    libmpfr6=4.2.2-1
    libonig5=6.9.9-1+b1
    libpcre2-8-0=10.46-1~deb13u2
    libpython3.13-minimal=3.13.5-2+deb13u5
    libpython3.13-stdlib=3.13.5-2+deb13u5
    libreadline8t64=8.2-6
    libselinux1=3.8.1-1
    libsframe1=2.44-3
    libsqlite3-0=3.46.1-7+deb13u2
    libssl3t64=3.5.7-1~deb13u2
    libstdc++6=14.2.0-19
    libtinfo6=6.5+20250216-2
    libuuid1=2.41.5-0+deb13u1
    libxxhash0=0.8.3-2
    libzstd1=1.5.7+dfsg-1
    all/linux-libc-dev=6.12.107-1
    lua5.4=5.4.7-1+b2
    make=4.4.1-2
    mawk=1.3.4.20250131-1
    openssl=3.5.7-1~deb13u2
    perl-base=5.40.1-6+deb13u1
    python3.13=3.13.5-2+deb13u5
    python3.13-minimal=3.13.5-2+deb13u5
    sed=4.9-2+deb13u1
    sqlite3=3.46.1-7+deb13u2
    vim-tiny=2:9.1.1230-2
    xz-utils=5.8.1-1+deb13u1
    zlib1g=1:1.3.dfsg+really1.3.1-1+b1
    zstd=1.5.7+dfsg-1
"

wanted=
for package in $packages; do
    case $package in
        all/*) wanted="$wanted trixie/$package" ;;
        *) wanted="$wanted trixie/riscv64/$package" ;;
    esac
done
hw_packages $wanted
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

hw_check_pinned workloads "$scratch"

root=$scratch/root
tree=$root/debian
mkdir -p "$tree"/{dev,proc,tmp,etc,workloads,usr/bin,usr/lib}
chmod 1777 "$tree/tmp"
for link in bin lib; do ln -s "usr/$link" "$tree/$link"; done
for spec in $wanted; do
    dpkg-deb --fsys-tarfile "$hw_debs/$(hw_field "${spec%%=*}" 3)" | tar -x -C "$tree" --keep-directory-symlink \
        --exclude='./usr/share/*' --exclude='./usr/lib/*/*.a' --exclude='./usr/lib/*/perl*' --exclude='./usr/lib/*/gconv' \
        --exclude='./usr/lib/git-core' --exclude='*lto-dump*' --exclude='*/lto1' --exclude='*san.a' \
        --exclude='*/libgomp.a' --exclude='*/plugin' \
        --exclude='./usr/lib/python3.13/test' --exclude='./usr/lib/python3.13/idlelib' --exclude='./usr/lib/python3.13/pydoc_data'
done
# As the package binutils has it.
for program in as ld; do ln -s "riscv64-linux-gnu-$program" "$tree/usr/bin/$program"; done
# Git runs its own commands by the name git.
mkdir -p "$tree/usr/lib/git-core"
ln -s ../../bin/git "$tree/usr/lib/git-core/git"

# Every library that a program asks for is there.
lacking=$(find "$tree/usr/bin" "$tree/usr/libexec" "$tree/usr/lib" -type f \( -perm -u+x -o -name '*.so*' \) -print0 |
    { xargs -0 readelf -d 2>/dev/null || true; } | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u |
    while read -r name; do
        if [ -z "$(find "$tree/usr/lib" -name "$name" -print -quit)" ]; then printf ' %s' "$name"; fi
    done)
[ -z "$lacking" ] || say "not there, and not needed by what the workloads do:$lacking"

python3 -B "$hw_kernel_dir/initramfs/make_cpio.py" "$root" "$scratch/workloads.cpio" $epoch
hw_publish "$scratch/workloads.cpio" "$out/workloads.cpio"
hw_publish "$scratch/packages" "$out/workloads.packages"
say "done: $(stat -c %s "$out/workloads.cpio") bytes"
