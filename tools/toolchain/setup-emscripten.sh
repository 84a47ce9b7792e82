#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Install Emscripten 6 privately on Debian 12 (amd64), out of Debian packages alone: no root, nothing outside the
# cache folder. tools/debian-fetch.sh downloads the packages of emscripten-packages.txt and checks their signatures;
# they are unpacked side by side, never installed.
#
#   usage: setup-emscripten.sh [DIR]      prints the path of env.sh, which puts emcc, em++ and emcmake on PATH
#
# DIR defaults to $HARTWOOD_CACHE/emscripten-KEY, where KEY is a hash of this recipe: another recipe never disturbs
# a tree that an older checkout still uses. Everything is unpacked and patched in DIR.new, then renamed. The system
# libraries follow in place (Emscripten ties its library cache to the path); env.sh is written last, so its
# existence means that the tree is complete. An interrupted run resumes; concurrent ones wait for each other.
set -euo pipefail

self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
note() { printf 'emscripten: %s\n' "$*" >&2; }
die()  { note "error: $*"; exit 1; }

packages=$self/emscripten-packages.txt
# The tests link this as well; see its head.
single_thread=$self/../../tests/support/wasm_single_thread.c
key=$(cat "$packages" "$self/setup-emscripten.sh" "$self/link-probe.cpp" | sha256sum | cut -c1-12)
tree=${1:-${HARTWOOD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hartwood}/emscripten-$key}
mkdir -p "$(dirname "$tree")"
tree=$(cd "$(dirname "$tree")" && pwd)/$(basename "$tree")
[ ! -e "$tree/env.sh" ] || { echo "$tree/env.sh"; exit 0; }

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || die "Debian on amd64 is needed; elsewhere put emcc on PATH"
# Not a version manager's wrapper: Emscripten starts it at every call.
python=/usr/bin/python3
[ -x $python ] || python=$(command -v python3) || die "python3 not found"
for tool in dpkg-deb flock node; do command -v $tool >/dev/null || die "$tool not found"; done
exec 9>"$tree.lock"
flock -n 9 || { note "another run is at it, waiting"; flock 9; }
[ ! -e "$tree/env.sh" ] || { echo "$tree/env.sh"; exit 0; }

# LLVM tools that Emscripten calls, or that are handy on its output. The package has 80 MB more.
llvm_tools='clang clang++ wasm-ld llvm-ar llvm-ranlib llvm-nm llvm-objcopy llvm-strip llvm-objdump llvm-dwarfdump
            llvm-cxxfilt llvm-size llvm-profdata llvm-cov'

# expose FOLDER COMMAND: a bin/ entry for each program in FOLDER/libexec that runs it with the libraries in FOLDER/lib.
expose() {
  local folder=$1 program
  mkdir -p "$folder/bin"
  printf '#!/bin/sh\nhome=${0%%/*}/..\nprogram=$home/libexec/${0##*/}\n%s\n' "$2" >"$folder/bin/.run"
  chmod 755 "$folder/bin/.run"
  for program in "$folder"/libexec/*; do ln -s .run "$folder/bin/${program##*/}"; done
}

shared_objects() { find "$1" -path '*-linux-gnu/*' -name 'lib*.so*' -not -path '*/gconv/*' -exec cp -a -t "$2" {} +; }

unpack_tree() {
  local new=$tree.new raw=$tree.new/raw folder spec file tool
  rm -rf "$new"
  mkdir -p "$raw" "$new"/{llvm,binaryen}/{libexec,lib}
  local -A group_of=()
  while read -r folder spec; do
    case $folder in ''|'#'*) ;; *) group_of[${spec%%=*}]=$folder ;; esac
  done <"$packages"
  local specs
  mapfile -t specs < <(awk '!/^#/ && NF == 2 { print $2 }' "$packages")
  "$self/../debian-fetch.sh" "$new/debs" "${specs[@]}" >"$new/packages.txt"
  note "unpacking ${#specs[@]} packages"
  while read -r spec _ file; do
    mkdir -p "$raw/${group_of[$spec]}"
    dpkg-deb -x "$new/debs/$file" "$raw/${group_of[$spec]}"
  done <"$new/packages.txt"

  local llvm
  llvm=$(echo "$raw"/llvm/usr/lib/llvm-*)
  for tool in $llvm_tools; do cp -aL "$llvm/bin/$tool" "$new/llvm/libexec/"; done
  cp -a "$llvm/lib/clang" "$new/llvm/lib/"
  shared_objects "$raw/llvm" "$new/llvm/lib"
  expose "$new/llvm" 'LD_LIBRARY_PATH=$home/lib exec "$program" "$@"'

  cp -a "$raw"/binaryen/usr/bin/wasm* "$new/binaryen/libexec/"
  shared_objects "$raw/binaryen" "$new/binaryen/lib"
  cp -aL "$(find "$raw/binaryen" -name 'ld-linux-x86-64.so.2' -type f -print -quit)" "$new/binaryen/lib/"
  expose "$new/binaryen" 'exec "$home/lib/ld-linux-x86-64.so.2" --library-path "$home/lib" --argv0 "$0" "$program" "$@"'

  mv "$raw/emscripten/usr/share/emscripten" "$new/emscripten"
  mkdir -p "$new/emscripten/node_modules"
  mv "$raw"/emscripten/usr/share/nodejs/acorn* "$new/emscripten/node_modules/"
  patch_emscripten "$new/emscripten" "${llvm##*-}"
  rm -rf "$raw" "$new/debs" "$new/emscripten/docs" "$tree"
  mv "$new" "$tree"
}

# Debian's Emscripten is adapted to Debian's own default LLVM, one major version older than ours. Ours has what
# upstream expects, in particular a linker that places the stack first unless it is told otherwise.
patch_emscripten() {
  local top=$1 llvm=$2
  sed -i "s/^EXPECTED_LLVM_VERSION = .*/EXPECTED_LLVM_VERSION = $llvm/" "$top/tools/shared.py"
  grep -q "^EXPECTED_LLVM_VERSION = $llvm\$" "$top/tools/shared.py" || die "tools/shared.py is not as expected"
  if ! grep -q "'--no-stack-first'" "$top/tools/building.py"; then
    [ "$(grep -c "^    cmd.append('--stack-first')" "$top/tools/building.py")" = 1 ] || die "tools/building.py is not as expected"
    sed -i "/^    cmd.append('--stack-first')/a\\  else:\\n    cmd.append('--no-stack-first')" "$top/tools/building.py"
  fi
  cat >"$top/.emscripten" <<'CONFIG'
import os, shutil
home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
EMSCRIPTEN_ROOT = home + '/emscripten'
LLVM_ROOT = home + '/llvm/bin'
BINARYEN_ROOT = home + '/binaryen'
CACHE = home + '/cache'
NODE_JS = shutil.which('node')
CONFIG
}

# Link once for each shape of program that this project links, so that no later build waits for system libraries:
# the core (shared memory without pthreads, no exceptions), then a program with main() for the unit tests.
build_libraries() {
  local scratch=$tree/probe output
  mkdir -p "$scratch"
  export EMCC_CORES=${HARTWOOD_JOBS:-$(nproc)} EM_CONFIG=$tree/emscripten/.emscripten EMSDK_PYTHON=$python
  note "building system libraries for -O3 -sWASM_WORKERS (a minute or two)"
  if ! (
    set -e
    cd "$scratch"
    PATH=$tree/emscripten:$PATH
    emcc -O3 -sWASM_WORKERS -c "$single_thread" -o single-thread.o
    em++ -std=c++20 -O3 -fno-exceptions -fno-rtti -sWASM_WORKERS -c "$self/link-probe.cpp" -o probe.o
    em++ -O3 -fno-exceptions -sWASM_WORKERS -sIMPORTED_MEMORY -sALLOW_TABLE_GROWTH -sSTACK_OVERFLOW_CHECK=2 --no-entry \
      probe.o single-thread.o -o core.wasm
    em++ -O3 -fno-exceptions -sWASM_WORKERS -sENVIRONMENT=node probe.o single-thread.o -o probe.js
  ) 2>&1 | tee "$scratch/log" | sed -un 's/^cache:INFO: generating system [a-z]*: \([^ ]*\).*/emscripten: building \1/p' >&2; then
    cat "$scratch/log" >&2
    die "the libraries could not be built"
  fi
  output=$(node "$scratch/probe.js")
  [ "$output" = 'sum 6' ] || die "the probe printed: $output"
  rm -rf "$scratch"
}

[ -e "$tree/packages.txt" ] || unpack_tree
build_libraries
cat >"$tree/env.part" <<ENV
# For sh and bash: Emscripten's commands, and the variables that CMake and its own scripts read.
export EM_CONFIG='$tree/emscripten/.emscripten'
export EMSDK_PYTHON='$python'
export EMSCRIPTEN_TOOLCHAIN='$tree/emscripten/cmake/Modules/Platform/Emscripten.cmake'
case ":\$PATH:" in *':$tree/emscripten:'*) ;; *) export PATH='$tree/emscripten':"\$PATH" ;; esac
ENV
mv "$tree/env.part" "$tree/env.sh"
note "ready: $("$tree/emscripten/emcc" --version | head -1)"
echo "$tree/env.sh"
