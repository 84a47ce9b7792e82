#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the riscv64 guest kernel from Debian's linux-source-6.12 with one of our configurations.
#
#   kernel/build-kernel.sh OUTDIR [VARIANT]        VARIANT: small (default), or configs/VARIANT.config laid over small
#
# Leaves in OUTDIR: Image (uncompressed), vmlinux, System.map, kernel.config, kernel.key, and in modules/ the modules
# of a variant that has any. The key is a hash of
# everything that the result depends on; with an unchanged key the script returns at once. Each file appears
# complete or not at all. Equal inputs give equal bytes: no time, user, host or path gets into the image.
# Source and object files stay in the cache folder, so that an interrupted build goes on where it stopped.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood), JOBS (default: all cores),
#              KERNEL_SOURCE (tar file, default the one of package linux-source-6.12)
# Packages:    linux-source-6.12 gcc-riscv64-linux-gnu gcc make flex bison bc xz-utils libelf-dev; and
#              ccache if there
set -euo pipefail
umask 022

. "$(dirname "$0")/lib-debian.sh"

[ $# -ge 1 ] && [ $# -le 2 ] || hw_usage
here=$hw_kernel_dir
variant=${2:-small}
[ -f "$here/configs/$variant.config" ] || die "no such configuration: configs/$variant.config"
fragments=("$here/configs/small.config")
[ "$variant" = small ] || fragments+=("$here/configs/$variant.config")
out=$(mkdir -p "$1" && cd "$1" && pwd)
cache=$hw_cache
tar=${KERNEL_SOURCE:-/usr/src/linux-source-6.12.tar.xz}
jobs=${JOBS:-$(nproc)}
cross=riscv64-linux-gnu-

hw_need ${cross}gcc ${cross}ld gcc make flex bison bc xz
[ -f "$tar" ] || die "no $tar (Debian: apt-get install linux-source-6.12)"

# ------------------------------------------------------------------ the key: is there anything to do?
source_hash=$(sha256sum "$tar" | cut -c1-16)
key=$({ echo "$source_hash"; cat "${fragments[@]}" "$here/build-kernel.sh"; ${cross}gcc --version | sed -n 1p
        ${cross}ld --version | sed -n 1p; } | sha256sum | cut -c1-64)
if [ "$(cat "$out/kernel.key" 2>/dev/null)" = "$key" ] && [ -s "$out/Image" ] && [ -s "$out/vmlinux" ] &&
   [ -s "$out/System.map" ] && [ -s "$out/kernel.config" ]; then
    say "up to date"
    exit 0
fi

# ------------------------------------------------------------------ source, in the cache
work=$cache/work
mkdir -p "$work"
exec 9>"$work/kernel-$variant.lock"
flock -n 9 || { say "another build of this kernel is running, waiting for it"; flock 9; }
source=$work/linux-$source_hash
if [ ! -d "$source" ]; then
    say "unpacking $(basename "$tar")"
    unpacking=$(mktemp -d "$work/unpack.XXXXXX")
    trap 'rm -rf "$unpacking"' EXIT
    tar -xf "$tar" -C "$unpacking" --strip-components=1
    chmod 755 "$unpacking"
    mv -T "$unpacking" "$source" 2>/dev/null || [ -d "$source" ] || die "cannot move the source to $source"
fi
object=$work/kernel-$variant-$source_hash
mkdir -p "$object"

# ------------------------------------------------------------------ configure
export LC_ALL=C KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' SOURCE_DATE_EPOCH=1767225600 \
       KBUILD_BUILD_USER=hartwood KBUILD_BUILD_HOST=hartwood KBUILD_BUILD_VERSION=1
map="-ffile-prefix-map=$source=linux -ffile-prefix-map=$object=object"
make_kernel=(make -C "$source" O="$object" ARCH=riscv CROSS_COMPILE=$cross -j"$jobs"
             KCFLAGS="$map" KAFLAGS="$map")
if command -v ccache >/dev/null; then
    export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache}
    make_kernel+=(CC="ccache ${cross}gcc" HOSTCC="ccache gcc")
fi
fragment=$object/fragment.new
cat "${fragments[@]}" >"$fragment"
if ! cmp -s "$fragment" "$object/fragment" || [ ! -f "$object/.config" ]; then
    rm -f "$object/fragment"
    "${make_kernel[@]}" KCONFIG_ALLCONFIG="$fragment" allnoconfig >"$object/config.log" 2>&1 ||
        { cat "$object/config.log" >&2; die "configuration failed"; }
    cp "$fragment" "$object/fragment"
fi
# An option of the fragment that Kconfig did not take is reported: its dependencies are not met, or it has
# gone.
not_taken=$(grep -E '^CONFIG_[A-Za-z0-9_]+=' "$fragment" | grep -vxFf "$object/.config" || true)
still_on=$(sed -n 's/^# \(CONFIG_[A-Za-z0-9_]*\) is not set$/\1=y/p' "$fragment" |
    grep -xFf "$object/.config" || true)
for option in $not_taken; do say "warning: not in the configuration: $option"; done
for option in $still_on; do say "warning: on all the same: $option"; done

# ------------------------------------------------------------------ build
say "building '$variant' with $jobs jobs, log in $object/build.log"
started=$SECONDS
targets=(Image vmlinux)
if grep -q '=m$' "$object/.config"; then targets+=(modules); fi
"${make_kernel[@]}" "${targets[@]}" 2>&1 | tee "$object/build.log" |
    awk '/^ +(CC|AS) / && ++n % 200 == 0 { print "build-kernel: " n " files compiled"; fflush() }' >&2 ||
    { grep -nE 'error|Error' "$object/build.log" | tail -20 >&2; tail -20 "$object/build.log" >&2
      die "build failed"; }

# ------------------------------------------------------------------ result: the key comes last
rm -rf "$out/kernel.key" "$out/modules"
hw_publish "$object/arch/riscv/boot/Image" "$out/Image"
hw_publish "$object/vmlinux" "$out/vmlinux"
hw_publish "$object/System.map" "$out/System.map"
hw_publish "$object/.config" "$out/kernel.config"
if [ -s "$object/modules.order" ]; then
    mkdir "$out/modules"
    while read -r module; do
        hw_publish "$object/${module%.o}.ko" "$out/modules/$(basename "${module%.o}").ko"
    done <"$object/modules.order"
fi
echo "$key" >"$object/key"
hw_publish "$object/key" "$out/kernel.key"
say "done in $((SECONDS - started)) s: Image $(stat -c %s "$out/Image") bytes," \
    "$(grep -cE '^ +(CC|AS) ' "$object/build.log" || true) files compiled"
