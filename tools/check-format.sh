#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks that the C and C++ sources are as clang-format (Debian 12's, version 14) writes them; --fix writes them so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(--dry-run --Werror)
[ "${1:-}" != --fix ] || mode=(-i)
command -v clang-format >/dev/null || { echo "clang-format not found" >&2; exit 1; }
major=$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
[ "$major" = 14 ] || echo "note: clang-format $major may disagree with version 14, which decides" >&2
mapfile -d '' files < <(find host tests -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.c' \) -not -path '*/generated/*' -print0)
[ ${#files[@]} -gt 0 ] || { echo "no sources found" >&2; exit 1; }
printf '%s\0' "${files[@]}" | xargs -0 -P 2 -n 40 clang-format --style=file "${mode[@]}"
echo "${#files[@]} sources"
