#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Download packages of any Debian release from the archive that this machine's own apt is configured with,
# without installing anything and without touching the system's apt state. Every package list and package is
# checked against Debian's archive keyring.
#
#   usage: debian-fetch.sh DIR RELEASE/ARCH/PACKAGE[=VERSION]...
#   e.g.:  debian-fetch.sh debs trixie/riscv64/busybox-static forky/amd64/binaryen=131-2
#
# The .deb files land in DIR, and a line "RELEASE/ARCH/PACKAGE VERSION FILE" for each goes to standard output.
# A version that the archive no longer has is replaced, with a note, by the release's newest one. RELEASE may be a
# pocket: bookworm-security, bookworm-backports. A source package is ARCH "source" (.dsc and tarballs).
#
# Environment: HARTWOOD_DEBIAN_MIRROR, HARTWOOD_DEBIAN_SECURITY_MIRROR name other mirrors than apt's own.
set -euo pipefail

note() { printf 'debian-fetch: %s\n' "$*" >&2; }
die()  { note "error: $*"; exit 1; }

[ $# -ge 2 ] || die "usage: debian-fetch.sh DIR RELEASE/ARCH/PACKAGE[=VERSION]..."
command -v apt-get >/dev/null || die "apt-get not found: this needs Debian"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || die "$keyring is missing: apt-get install debian-archive-keyring"
mkdir -p "$1"
target=$(cd "$1" && pwd)
shift
specs=("$@")

# What apt was told to use: the site of the index whose Release file carries the given code name.
site_of() {
  apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' | awk -v name="$1" '$1 == name && !seen++ { print $2 }'
}
own_release=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
[ -n "$own_release" ] || die "/etc/os-release names no Debian release"
mirror=${HARTWOOD_DEBIAN_MIRROR:-$(site_of "$own_release")}
[ -n "$mirror" ] || die "apt has no index of $own_release yet (apt-get update), or set HARTWOOD_DEBIAN_MIRROR"
security=${HARTWOOD_DEBIAN_SECURITY_MIRROR:-$(site_of "$own_release-security")}

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state"/lists/partial "$state"/archives/partial
: >"$state/status"

declare -A wanted_lists=() architectures=([amd64]=1)
for spec in "${specs[@]}"; do
  IFS=/ read -r release architecture rest <<<"$spec"
  [ -n "$release" ] && [ -n "$architecture" ] && [ -n "$rest" ] || die "not RELEASE/ARCH/PACKAGE: $spec"
  case $release in
    *-security) [ -n "$security" ] || die "apt has no security mirror; set HARTWOOD_DEBIAN_SECURITY_MIRROR"
                base=$security ;;
    *)          base=$mirror ;;
  esac
  if [ "$architecture" = source ]; then
    wanted_lists["deb-src [signed-by=$keyring] $base $release main"]=1
  else
    wanted_lists["deb [arch=$architecture signed-by=$keyring] $base $release main"]=1
    architectures[$architecture]=1
  fi
done
printf '%s\n' "${!wanted_lists[@]}" | sort >"$state/sources.list"
{
  cat <<CONF
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state";
APT::Architecture "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "5";
// A mirror may be a snapshot whose lists have passed their date; signatures are checked all the same.
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
CONF
  for architecture in "${!architectures[@]}"; do printf 'APT::Architectures:: "%s";\n' "$architecture"; done
} >"$state/apt.conf"
export APT_CONFIG=$state/apt.conf

note "reading the package lists of $(printf '%s\n' "${specs[@]%%/*}" | sort -u | tr '\n' ' ')"
# A release by its code name and by its suite's name is the same, but a mirror that is being updated, or a cache before
# it, may have one of the two whole and the other not. `called` says by which name a release was read.
declare -A called=() suites=([bookworm]=oldstable [trixie]=stable [forky]=testing)
if ! apt-get -qq update >"$state/update.log" 2>&1; then
  cp "$state/update.log" "$state/first.log"
  for release in "${!suites[@]}"; do
    grep -q "/dists/$release/" "$state/update.log" || continue
    sed -i "s# $release main# ${suites[$release]} main#" "$state/sources.list"
    called[$release]=${suites[$release]}
  done
  [ ${#called[@]} -ne 0 ] && rm -rf "$state/lists" && mkdir -p "$state/lists/partial" &&
    apt-get -qq update >"$state/update.log" 2>&1 || { cat "$state/first.log" >&2; die "apt-get update failed"; }
  for release in "${!called[@]}"; do
    grep -qx "Codename: $release" "$state"/lists/*_dists_"${called[$release]}"_*Release ||
      { cat "$state/first.log" >&2; die "the mirror's lists of $release do not agree with each other; try again later"; }
    note "the mirror's lists of $release do not agree with each other; reading it as ${called[$release]}"
  done
fi

# All versions on offer, newest first: PACKAGE VERSION RELEASE ARCH, from one call per kind of package.
names=() source_names=()
for spec in "${specs[@]}"; do
  IFS=/ read -r _ architecture rest <<<"$spec"
  if [ "$architecture" = source ]; then source_names+=("${rest%%=*}"); else names+=("${rest%%=*}:$architecture"); fi
done
on_offer=$(
  for group in names source_names; do
    declare -n list=$group
    [ ${#list[@]} -eq 0 ] || apt-cache madison "${list[@]}"
  done | awk -F' *[|] *' '{ gsub(/^ +| +$/, "", $1); sub(/:.*/, "", $1); n = split($3, at, " "); suite = at[2]; sub("/.*", "", suite)
                            print $1, $2, suite, at[n - 1] == "" ? "-" : at[n - 1], at[n] }')

downloads=() sources=() report=()
for spec in "${specs[@]}"; do
  IFS=/ read -r release architecture rest <<<"$spec"
  package=${rest%%=*} version=
  kind=Packages
  [ "$architecture" != source ] || kind=Sources
  [ "$package" = "$rest" ] || version=${rest#*=}
  versions=$(awk -v p="$package" -v r="${called[$release]:-$release}" -v k="$kind" -v a="$architecture" \
    '$1 == p && $3 == r && $5 == k && (k == "Sources" || $4 == a || $4 == "all") && !seen[$2]++ { print $2 }' <<<"$on_offer")
  [ -n "$versions" ] || die "$release has no package $package ($architecture)"
  if [ -z "$version" ] || ! grep -qxF "$version" <<<"$versions"; then
    newest=$(sed -n 1p <<<"$versions")
    [ -z "$version" ] || note "$package $version is no longer in the archive; taking $newest"
    version=$newest
  fi
  if [ "$kind" = Sources ]; then sources+=("$package=$version"); else downloads+=("$package:$architecture=$version"); fi
  report+=("$release/$architecture/$package $version")
done

mkdir "$state/out"
cd "$state/out"
[ ${#downloads[@]} -eq 0 ] || { note "downloading ${#downloads[@]} packages"; apt-get -qq download "${downloads[@]}" >&2; }
[ ${#sources[@]} -eq 0 ] || { note "downloading ${#sources[@]} source packages"; apt-get -qq source --download-only "${sources[@]}" >&2; }
for line in "${report[@]}"; do
  read -r spec version <<<"$line"
  IFS=/ read -r _ architecture package <<<"$spec"
  epochless=${version#*:}
  file=
  for candidate in "${package}_${version/:/%3a}_$architecture.deb" "${package}_${version/:/%3a}_all.deb" "${package}_$epochless.dsc"; do
    [ ! -f "$candidate" ] || file=$candidate
  done
  [ -n "$file" ] || die "$package was downloaded under an unexpected name"
  printf '%s %s %s\n' "$spec" "$version" "$file"
done
mv -f -- * "$target/"
