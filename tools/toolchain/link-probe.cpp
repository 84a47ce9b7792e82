// SPDX-License-Identifier: Apache-2.0
// Compiled by setup-emscripten.sh only: it refers to every system library that the core and its tests use (C and
// C++ runtime, allocator, streams), which makes Emscripten build them, and prints a line that the script checks.
#include <cstdio>
#include <numeric>
#include <sstream>
#include <vector>

extern "C" __attribute__((export_name("probe_sum"))) int probe_sum(int count) {
  std::vector<int> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 1);
  return std::accumulate(values.begin(), values.end(), 0);
}

int main() {
  std::ostringstream text;
  text << "sum " << probe_sum(3);
  std::puts(text.str().c_str());
}
