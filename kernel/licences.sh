#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Says exactly what the guest files of a page are made of, for its licences page.
#
#   kernel/licences.sh OUTDIR GUESTDIR        GUESTDIR holds what build-kernel.sh and build-initramfs.sh left
#
# Leaves in OUTDIR: licences.json, licences/*.txt (licence and copyright texts), licences/kernel.config.
# licences.json is {"components": [COMPONENT...]}; each COMPONENT has the strings name, version, licence (SPDX
# expression), description, files (array: the served files that it is part of), texts (array of paths in
# OUTDIR), and, where it comes from Debian, source {distribution, package, version}; the kernel also has
# configuration {path, sha256} and compiler; busybox has builtUsing: the source packages whose code is
# linked into the static program.
#
# Environment: HARTWOOD_CACHE, KERNEL_SOURCE as for the builds
set -euo pipefail
umask 022
. "$(dirname "$0")/lib-debian.sh"

[ $# -eq 2 ] || hw_usage
hw_need python3 dpkg-deb dpkg-query tar
guest=$(cd "$2" && pwd)
for file in Image kernel.config initramfs.cpio busybox.version; do
    [ -s "$guest/$file" ] || die "$guest has no $file: build kernel and initramfs first"
done
out=$(mkdir -p "$1/licences" && cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# ---------------------------------------------------------------- Linux
if [ -n "${KERNEL_SOURCE:-}" ]; then
    linux_source="linux unknown"
else
    linux_source=$(dpkg-query -W -f '${source:Package} ${source:Version}' linux-source-6.12)
fi
linux_copyright=/usr/share/doc/linux-source-6.12/copyright
[ -f "$linux_copyright" ] || die "no $linux_copyright (package linux-source-6.12)"
hw_publish "$linux_copyright" "$out/licences/linux-copyright.txt"
hw_publish /usr/share/common-licenses/GPL-2 "$out/licences/GPL-2.txt"
hw_publish /usr/share/common-licenses/LGPL-2.1 "$out/licences/LGPL-2.1.txt"
hw_publish "$hw_kernel_dir/../LICENSE" "$out/licences/Apache-2.0.txt"
hw_publish "$guest/kernel.config" "$out/licences/kernel.config"

# ---------------------------------------------------------------- busybox
busybox=trixie/riscv64/busybox-static
hw_packages "$busybox=$(cat "$guest/busybox.version")"
[ "$(hw_version $busybox)" = "$(cat "$guest/busybox.version")" ] ||
    die "the archive no longer has the busybox that the initramfs was built with: build it again"
deb=$hw_debs/$(hw_field $busybox 3)
hw_unpack $busybox "$scratch/busybox"
hw_publish "$scratch/busybox/usr/share/doc/busybox-static/copyright" "$out/licences/busybox-copyright.txt"

LINUX_SOURCE=$linux_source BUSYBOX_VERSION=$(cat "$guest/busybox.version") \
    BUSYBOX_SOURCE=$(dpkg-deb -f "$deb" Source) BUSYBOX_BUILT_USING=$(dpkg-deb -f "$deb" Built-Using) \
    python3 - "$guest" >"$scratch/licences.json" <<'PYTHON'
import hashlib, json, os, re, sys

guest = sys.argv[1]
environment = os.environ


def content(name):
    with open(os.path.join(guest, name), "rb") as file:
        return file.read()


# "NAME (VERSION)" as in Debian's Source field; an absent version or field means that of the binary package.
def source(field, name, version):
    match = re.fullmatch(r"(\S+)(?: \((.*)\))?", field.strip())
    if match:
        name, version = match.group(1), match.group(2) or version
    return {"distribution": "Debian", "package": name, "version": re.sub(r"\+b\d+$", "", version)}


config = content("kernel.config")
release = re.search(rb"^# Linux/riscv (\S+) ", config, re.M).group(1).decode()
compiler = re.search(rb'^CONFIG_CC_VERSION_TEXT="(.*)"$', config, re.M).group(1).decode()
package, version = environment["LINUX_SOURCE"].split()
built_using = re.findall(r"(\S+) \(= ([^)]+)\)", environment["BUSYBOX_BUILT_USING"])
components = [
    {
        "name": "Linux",
        "version": release,
        "licence": "GPL-2.0-only WITH Linux-syscall-note",
        "description": "Guest kernel, built from Debian's source package with this configuration",
        "files": ["Image"],
        "texts": ["licences/linux-copyright.txt", "licences/GPL-2.txt"],
        "source": {"distribution": "Debian", "package": package, "version": version},
        "configuration": {"path": "licences/kernel.config", "sha256": hashlib.sha256(config).hexdigest()},
        "compiler": compiler,
    },
    {
        "name": "busybox",
        "version": environment["BUSYBOX_VERSION"],
        "licence": "GPL-2.0-only",
        "description": "Shell and commands, the binary of Debian's package busybox-static for riscv64",
        "files": ["initramfs.cpio"],
        "texts": ["licences/busybox-copyright.txt", "licences/GPL-2.txt", "licences/LGPL-2.1.txt"],
        "source": source(environment["BUSYBOX_SOURCE"], "busybox", environment["BUSYBOX_VERSION"]),
        "builtUsing": [{"distribution": "Debian", "package": n, "version": v} for n, v in built_using],
    },
    {
        "name": "Hartwood init",
        "version": hashlib.sha256(content("initramfs.cpio")).hexdigest()[:16],
        "licence": "Apache-2.0",
        "description": "Process 1 and settings, part of this project; the version is the archive's hash",
        "files": ["initramfs.cpio"],
        "texts": ["licences/Apache-2.0.txt"],
    },
]
json.dump({"components": components}, sys.stdout, indent=2)
print()
PYTHON
hw_publish "$scratch/licences.json" "$out/licences.json"
say "done: $out/licences.json"
