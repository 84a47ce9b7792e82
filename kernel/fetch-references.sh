#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches what our tests compare with: OpenSBI firmware and QEMU builds newer than Debian 12's own.
#
#   kernel/fetch-references.sh OUTDIR [PART...]     PART: opensbi qemu-system qemu-user (default: all)
#
# Leaves in OUTDIR:
#   opensbi-1.6/, opensbi-1.9/     fw_dynamic.bin, fw_jump.bin and both as .elf (trixie's and forky's)
#   bin/qemu-system-riscv64        QEMU 10.0 from bookworm-backports, a wrapper for qemu-system/
#   bin/qemu-riscv64               user-mode QEMU 10.0 from trixie, one static program
#   README.md                      how to call each
# qemu-system needs the libraries of Debian 12's qemu-system-misc. Spike is in no Debian release that we
# know.
#
# Environment: HARTWOOD_CACHE (default ~/.cache/hartwood)
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"

[ $# -ge 1 ] || hw_usage
hw_need dpkg-deb tar ldd
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- opensbi qemu-system qemu-user
mkdir -p "$out/bin"
scratch=$(mktemp -d "$out/.partial.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# replace NEW OLD: puts a folder in the place of another.
replace() { rm -rf "$2"; mv -T "$1" "$2"; }
done_before() { [ "$(cat "$out/.$1.key" 2>/dev/null)" = "$2" ] && [ -e "$3" ]; }

fetch_opensbi() {
    local trixie=trixie/all/opensbi forky=forky/all/opensbi spec version wanted
    wanted="$trixie=1.6-1 $forky=1.9-1"
    done_before opensbi "$wanted" "$out/opensbi-1.9/fw_dynamic.bin" && return
    hw_packages $wanted
    for spec in $trixie $forky; do
        version=$(hw_version $spec)
        rm -rf "$scratch/opensbi"
        hw_unpack $spec "$scratch/opensbi"
        replace "$scratch/opensbi/usr/lib/riscv64-linux-gnu/opensbi/generic" "$out/opensbi-${version%%-*}"
    done
    echo "$wanted" >"$out/.opensbi.key"
}

fetch_qemu_system() {
    local version=1:10.0.2+ds-2+deb13u1~bpo12+1 from=bookworm-backports/amd64 wanted= name lacking
    for name in riscv common data; do wanted="$wanted $from/qemu-system-$name=$version"; done
    done_before qemu-system "$wanted" "$out/qemu-system/usr/bin/qemu-system-riscv64" && return
    hw_packages $wanted
    for name in riscv common data; do hw_unpack $from/qemu-system-$name "$scratch/system"; done
    rm -rf "$scratch/system/usr/share/doc" "$scratch/system/usr/share/man"
    lacking=$(ldd "$scratch/system/usr/bin/qemu-system-riscv64" |
        awk '/not found/ { print $1 }' | tr '\n' ' ')
    [ -z "$lacking" ] || die "QEMU lacks $lacking: install Debian 12's qemu-system-misc for its libraries"
    replace "$scratch/system" "$out/qemu-system"
    cat >"$scratch/wrapper" <<'WRAPPER'
#!/bin/sh
# The modules and firmware of this build, not those of the machine's own QEMU.
here=$(dirname "$(readlink -f "$0")")/../qemu-system/usr
QEMU_MODULE_DIR=$here/lib/x86_64-linux-gnu/qemu
export QEMU_MODULE_DIR
exec "$here/bin/qemu-system-riscv64" -L "$here/share/qemu" "$@"
WRAPPER
    hw_publish "$scratch/wrapper" "$out/bin/qemu-system-riscv64" 755
    echo "$wanted" >"$out/.qemu-system.key"
}

fetch_qemu_user() {
    local spec=trixie/amd64/qemu-user wanted
    wanted=$spec=1:10.0.13+ds-0+deb13u1
    done_before qemu-user "$wanted" "$out/bin/qemu-riscv64" && return
    hw_packages $wanted
    # One program out of forty.
    dpkg-deb --fsys-tarfile "$hw_debs/$(hw_field $spec 3)" | tar -x -C "$scratch" ./usr/bin/qemu-riscv64
    hw_publish "$scratch/usr/bin/qemu-riscv64" "$out/bin/qemu-riscv64" 755
    echo "$wanted" >"$out/.qemu-user.key"
}

for part in "$@"; do
    case $part in
        opensbi) fetch_opensbi ;;
        qemu-system) fetch_qemu_system ;;
        qemu-user) fetch_qemu_user ;;
        *) die "no such part: $part" ;;
    esac
    say "$part is there"
done

# Each program must run here before anyone relies on it.
for program in qemu-system-riscv64 qemu-riscv64; do
    [ ! -e "$out/bin/$program" ] || "$out/bin/$program" --version >/dev/null || die "$program does not run"
done

cat >"$scratch/README.md" <<'README'
# References for differential tests

Made by `kernel/fetch-references.sh`; nothing here is part of Hartwood.

- `bin/qemu-system-riscv64`: as QEMU; `-cpu max` has every extension. A bare-metal ELF: `-M virt -bios none
  -nographic -kernel test.elf`. Linux: with `-bios opensbi-1.6/fw_dynamic.bin`, newer than the machine's
  own; virtio of version 2 with `-global virtio-mmio.force-legacy=false`.
  Messages about modules of another build are harmless.
- `bin/qemu-riscv64`: user mode, one static program: `bin/qemu-riscv64 -cpu max program`. With `-one-insn-per-tb
  -d cpu,nochain` it logs the registers before each instruction.
- `opensbi-*/fw_dynamic.bin`: loaded at 0x80000000; a0 = hart, a1 = device tree, a2 = `struct fw_dynamic_info`.
- `opensbi-*/fw_jump.bin`: the same without a2; the next stage lies at 0x80200000.
README
hw_publish "$scratch/README.md" "$out/README.md"
