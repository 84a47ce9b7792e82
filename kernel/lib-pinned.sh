# SPDX-License-Identifier: Apache-2.0
# Sourced after lib-debian.sh by the scripts whose packages must be of certain versions and content.

# hw_check_pinned NAME SCRATCH: the packages of the last hw_packages must be those of kernel/NAME.sha256, which has a line
# "PACKAGE VERSION SHA256" for each. The mirror may have replaced a version by a newer one; then this says so, and which one.
hw_check_pinned() {
    local pinned=$hw_kernel_dir/$1.sha256
    while read -r spec version file; do
        echo "${spec##*/} $version $(sha256sum <"$hw_debs/$file" | cut -d' ' -f1)"
    done <"$hw_debs/index" | LC_ALL=C sort >"$2/packages"
    cmp -s "$2/packages" "$pinned" && return
    diff "$pinned" "$2/packages" >&2 || true
    die "packages are not those of kernel/$1.sha256; look at the difference, then put it there"
}
