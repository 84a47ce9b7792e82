// SPDX-License-Identifier: Apache-2.0
// Addresses of an ELF file to functions and lines, as addr2line -a -f -i prints them, so that the two can be compared.
//
//   hartwood_symbols [--debug FILE] [--place SECTION=ADDRESS]... [--rules] FILE < addresses
//
// Addresses are hexadecimal, one a line. --debug: FILE's split debug file. --place: where a section of an object file was
// loaded. --rules: call frame information instead: "ADDRESS CFA ra SAVED=RULE...", one line for each address.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "debug/inflate_native.h"
#include "debug/symbolizer.h"

using namespace hartwood;

namespace {

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "hartwood_symbols: %s\n", message.c_str());
  std::exit(1);
}

std::vector<u8> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) die("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

ElfFile elf_of(const std::string& path, const std::vector<u8>& bytes) {
  Result<ElfFile> elf = ElfFile::read(bytes);
  if (!elf.ok()) die(path + ": " + elf.message());
  if (const Status inflated = inflate_sections(*elf); !inflated.ok())
    std::fprintf(stderr, "hartwood_symbols: %s: %s\n", path.c_str(), inflated.message().c_str());
  return std::move(*elf);
}

// In the words of readelf --debug-dump=frames-interp.
std::string rule_text(const CallFrames::Rule& rule) {
  switch (rule.kind) {
    case CallFrames::Rule::unspecified:
    case CallFrames::Rule::undefined: return "u";
    case CallFrames::Rule::same_value: return "s";
    case CallFrames::Rule::offset: return format("c%+lld", static_cast<long long>(rule.number));
    case CallFrames::Rule::value_offset: return format("v%+lld", static_cast<long long>(rule.number));
    case CallFrames::Rule::in_register: return format("x%lld", static_cast<long long>(rule.number));
    case CallFrames::Rule::expression: return "exp";
    case CallFrames::Rule::value_expression: return "vexp";
  }
  return "?";
}

void print_rules(const CallFrames& frames, u64 address) {
  std::string line = format("%016llx", static_cast<unsigned long long>(address));
  const Result<std::optional<CallFrames::Rules>> found = frames.rules(address);
  if (!found.ok()) {
    line += " damaged";
  } else if (!*found) {
    line += " none";
  } else {
    const CallFrames::Rules& rules = **found;
    line += rules.cfa.kind == CallFrames::Rule::in_register
                ? format(" x%u%+lld", rules.cfa_register, static_cast<long long>(rules.cfa.number))
                : " exp";
    for (unsigned i = 1; i < 32; i++)
      if (rules.x[i].kind != CallFrames::Rule::unspecified) line += format(" x%u=", i) + rule_text(rules.x[i]);
  }
  std::puts(line.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::string path, debug_path;
  std::vector<std::pair<std::string, u64>> placed;
  bool rules = false;
  for (int i = 1; i < argc; i++) {
    const std::string argument = argv[i];
    if (argument == "--rules") {
      rules = true;
    } else if ((argument == "--debug" || argument == "--place") && i + 1 < argc) {
      const std::string value = argv[++i];
      const size_t equals = value.find('=');
      if (argument == "--debug")
        debug_path = value;
      else if (equals != std::string::npos)
        placed.emplace_back(value.substr(0, equals), std::strtoull(value.c_str() + equals + 1, nullptr, 16));
    } else if (path.empty() && argument[0] != '-') {
      path = argument;
    } else {
      die("usage: hartwood_symbols [--debug FILE] [--place SECTION=ADDRESS]... [--rules] FILE < addresses");
    }
  }
  if (path.empty()) die("no file given");
  const std::vector<u8> bytes = bytes_of(path);
  ElfFile elf = elf_of(path, bytes);
  for (const auto& [section, address] : placed) {
    const std::optional<u32> index = elf.find(section);
    if (!index) die(path + " has no section " + section);
    if (const Status done = elf.place(*index, address); !done.ok()) die(done.message());
  }

  std::optional<CallFrames> frames;
  if (rules) {
    const std::optional<u32> index = elf.find(".eh_frame");
    const Result<std::span<const u8>> eh_frame = elf.contents(".eh_frame"), debug_frame = elf.contents(".debug_frame");
    if (!eh_frame.ok()) die(eh_frame.message());
    if (!debug_frame.ok()) die(debug_frame.message());
    Result<CallFrames> read = CallFrames::read(*eh_frame, index ? elf.sections()[*index].address : 0, *debug_frame);
    if (!read.ok()) die(read.message());
    frames = std::move(*read);
  }
  Symbolizer symbolizer;
  const Result<u32> object = symbolizer.add(path, std::move(elf), 0);
  if (!object.ok()) die(object.message());
  std::vector<u8> debug_bytes;
  if (!debug_path.empty()) {
    debug_bytes = bytes_of(debug_path);
    const Status added = symbolizer.add_debug_file(*object, elf_of(debug_path, debug_bytes), debug_bytes);
    if (!added.ok()) die(added.message());
  }

  std::string line, noted;
  while (std::getline(std::cin, line)) {
    const u64 address = std::strtoull(line.c_str(), nullptr, 16);
    if (frames) {
      print_rules(*frames, address);
      continue;
    }
    const Symbolizer::Symbolized symbolized = symbolizer.symbolize(Va(address));
    if (!symbolized.note.empty() && symbolized.note != noted)
      std::fprintf(stderr, "hartwood_symbols: 0x%llx: %s\n", static_cast<unsigned long long>(address),
                   (noted = symbolized.note).c_str());
    std::printf("0x%016llx\n", static_cast<unsigned long long>(address));
    if (symbolized.frames.empty()) std::puts("??\n??:0");
    for (const Symbolizer::Frame& frame : symbolized.frames) {
      std::puts(frame.function.empty() ? "??" : frame.function.c_str());
      const std::string at = frame.line != 0 ? format("%u", frame.line) : "?";
      std::printf("%s:%s\n", frame.file.empty() ? "??" : frame.file.c_str(), at.c_str());
    }
  }
  return 0;
}
