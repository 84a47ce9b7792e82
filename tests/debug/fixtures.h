// SPDX-License-Identifier: Apache-2.0
// The small riscv64 files that tests/debug/fixture/build.sh makes, and what their sources say. Test code, one thread.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "debug/elf_file.h"

namespace hartwood::test {

inline std::vector<u8> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path;
  return {std::istreambuf_iterator<char>(file), {}};
}
inline std::vector<u8> fixture(const std::string& name) { return read_bytes(HARTWOOD_FIXTURES "/" + name); }

// The line of a source in fixture/ that holds `text`, from 1.
inline u32 line_of(const std::string& source, const std::string& text) {
  std::ifstream file(HARTWOOD_FIXTURE_SOURCES "/" + source);
  EXPECT_TRUE(file) << "cannot read " << source;
  u32 number = 1;
  for (std::string line; std::getline(file, line); number++)
    if (line.find(text) != std::string::npos) return number;
  ADD_FAILURE() << source << " has no line with " << text;
  return 0;
}

// A fixture's bytes and the view of them.
struct Loaded {
  explicit Loaded(const std::string& name) : bytes(fixture(name)), elf(open()) {}
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  u64 address(const std::string& symbol) {
    const std::optional<ElfFile::Symbol> found = elf.symbol_named(symbol);
    EXPECT_TRUE(found) << symbol;
    return found ? found->address : 0;
  }

  std::vector<u8> bytes;
  ElfFile elf;

 private:
  ElfFile open() {
    Result<ElfFile> read = ElfFile::read(bytes);
    if (!read.ok()) {
      ADD_FAILURE() << read.message();
      std::abort();
    }
    return std::move(*read);
  }
};

}  // namespace hartwood::test
