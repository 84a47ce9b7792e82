// SPDX-License-Identifier: Apache-2.0
// Command line of the random program generator; tests/differential/run.mjs calls it. Prints to standard
// output, writes files where it is told to. Exit code 2 for a wrong command line.
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "differential/image.h"
#include "isa/compressed.h"

namespace hartwood::differential {
namespace {

constexpr const char* kUsage =
    "differential_generate [--seed N] [--first N] [--count N] [--level user|machine] [--extensions A,B,...]\n"
    "                      [--drop 1,4-7,...] [--machine-elf FILE] [--process-elf FILE] [--coverage] "
    "[--listing] [--slot]\n"
    "  --coverage   JSON: instructions of each row of the table in these programs\n"
    "  --listing    the programs' registers and instructions\n"
    "  --slot       JSON: the layout of a program's slot, the output's address and size\n"
    "  --list-isa   JSON: the table's extensions and rows\n";

struct Options {
  ProgramOptions program;
  u64 first = 0, count = 1;
  std::string machine_elf, process_elf;
  std::vector<bool> dropped;
  bool coverage = false, listing = false, slot = false, list_isa = false;
};

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "differential_generate: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

Options parse(int argc, char** argv) {
  Options options;
  options.program.isa.enabled = ~u32{0};
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    if (name == "--coverage")
      options.coverage = true;
    else if (name == "--listing")
      options.listing = true;
    else if (name == "--slot")
      options.slot = true;
    else if (name == "--list-isa")
      options.list_isa = true;
    else if (i + 1 >= argc)
      refuse(name + " is not known, or needs a value");
    else {
      const std::string value = argv[++i];
      const auto number = [&] {
        char* end = nullptr;
        const u64 result = std::strtoull(value.c_str(), &end, 0);
        if (value.empty() || *end != 0) refuse(value + " is no number");
        return result;
      };
      if (name == "--seed")
        options.program.seed = number();
      else if (name == "--first")
        options.first = number();
      else if (name == "--count")
        options.count = number();
      else if (name == "--machine-elf")
        options.machine_elf = value;
      else if (name == "--process-elf")
        options.process_elf = value;
      else if (name == "--level") {
        if (value != "user" && value != "machine") refuse(value + " is no level");
        options.program.level = value == "user" ? Level::user : Level::machine;
      } else if (name == "--extensions") {
        options.program.isa.enabled = 0;
        for (const std::string& wanted : split(value)) {
          bool known = false;
          for (u32 e = 0; e < static_cast<u32>(Extension::count); e++) {
            if (wanted != extension_name(static_cast<Extension>(e))) continue;
            options.program.isa.set(static_cast<Extension>(e), true);
            known = true;
          }
          if (!known) refuse(wanted + " is no extension of the table");
        }
      } else if (name == "--drop") {
        for (const std::string& range : split(value)) {
          char* rest = nullptr;
          const size_t from = std::strtoul(range.c_str(), &rest, 10);
          const size_t to = *rest == '-' ? std::strtoul(rest + 1, &rest, 10) : from;
          if (*rest != 0 || to < from || to > 1000) refuse(range + " is no range of units");
          if (options.dropped.size() <= to) options.dropped.resize(to + 1);
          for (size_t unit = from; unit <= to; unit++) options.dropped[unit] = true;
        }
      } else {
        refuse(name + " is not known");
      }
    }
  }
  return options;
}

void write_file(const std::string& path, const std::vector<u8>& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fclose(file) != 0) {
    std::perror(path.c_str());
    std::exit(1);
  }
  chmod(path.c_str(), 0755);  // qemu-user runs nothing else
}

void print_isa() {
  std::printf("{\"extensions\":[");
  for (u32 e = 0; e < static_cast<u32>(Extension::count); e++)
    std::printf("%s\"%s\"", e ? "," : "", extension_name(static_cast<Extension>(e)));
  std::printf("],\"rows\":[");
  for (u32 i = 1; i < kOpCount; i++) {
    const OpInfo& row = info(static_cast<Op>(i));
    std::printf("%s{\"name\":\"%s\",\"extension\":\"%s\"}", i > 1 ? "," : "", row.mnemonic,
                extension_name(row.extension));
  }
  std::printf("]}\n");
}

// What is counted stands in code that can be reached, because every unit can; a unit that a branch always
// skips counts too.
void print_coverage(const std::vector<Program>& programs, const IsaOptions& isa) {
  struct Row {
    const char* name;
    const char* extension;
    u64 count;
  };
  std::vector<Row> rows;
  for (u32 i = 0; i < kOpCount; i++)
    rows.push_back({info(static_cast<Op>(i)).mnemonic, extension_name(info(static_cast<Op>(i)).extension), 0});
  const size_t first_compressed = rows.size();
#define CINSN(name, mnemonic, needs, format, mask, match, base) \
  rows.push_back({mnemonic, extension_name(Extension::C), 0});
#include "isa/compressed.inc"
#undef CINSN
  std::vector<u32> starts;
  for (const Program& program : programs) {
    const std::vector<u16> code = lay_out(program, {}, starts);
    for (size_t i = 0; i < code.size();) {
      const u32 word = code[i] | (i + 1 < code.size() ? u32{code[i + 1]} << 16 : 0);
      const unsigned length = instruction_length(code[i]);
      if (length == 4) rows[static_cast<size_t>(decode(word, isa).op)].count++;
      const CRow* found = length == 2 ? find_compressed(code[i]) : nullptr;
      for (size_t row = first_compressed; found != nullptr && row < rows.size(); row++)
        if (std::strcmp(rows[row].name, found->mnemonic) == 0) rows[row].count++;
      i += length / 2;
    }
  }
  for (size_t row = 1; row < rows.size(); row++)
    std::printf("%s{\"name\":\"%s\",\"extension\":\"%s\",\"count\":%llu}", row == 1 ? "[" : ",", rows[row].name,
                rows[row].extension, static_cast<unsigned long long>(rows[row].count));
  std::printf("]\n");
}

void print_listing(const Program& program, const Options& options, u64 body) {
  using ull = unsigned long long;
  static constexpr const char* kModes[] = {"U", "S", "?", "M"};
  std::printf("program %llu of seed %llu, base register %s = slot + %d%s%s\n", ull{program.index},
              ull{options.program.seed}, kXNames[program.base_register], program.base_offset,
              options.program.level == Level::machine ? ", mode " : "",
              options.program.level == Level::machine ? kModes[program.mode] : "");
  for (u32 i = 1; i < 32; i++) std::printf("%5s %016llx%s", kXNames[i], ull{program.x[i]}, i % 4 == 0 ? "\n" : " ");
  std::printf("\n");
  for (u32 i = 0; i < 32; i++) std::printf("%5s %016llx%s", kFNames[i], ull{program.f[i]}, i % 4 == 3 ? "\n" : " ");
  std::printf(" fcsr %llx\n", ull{program.fcsr});
  for (u32 i = 0; i < slot::kConstantCount; i++)
    std::printf("%5d %016llx%s", static_cast<int>(slot::kConstants + 8 * i) - program.base_offset,
                ull{program.constants[i]}, i % 4 == 3 ? "\n" : " ");
  std::vector<u32> starts;
  const std::vector<u16> code = lay_out(program, options.dropped, starts);
  for (size_t unit = 0; unit + 1 < starts.size(); unit++) {
    for (u32 at = starts[unit]; at < starts[unit + 1];) {
      const u32 low = code[at / 2];
      const u32 word = low | (at / 2 + 1 < code.size() ? u32{code[at / 2 + 1]} << 16 : 0);
      const unsigned length = instruction_length(static_cast<u16>(low));
      const std::string text = disassemble(length == 2 ? low : word, body + at, options.program.isa);
      std::printf("%4zu  %llx  %0*x  %s\n", unit, ull{body + at}, length == 2 ? 4 : 8, length == 2 ? low : word,
                  text.c_str());
      at += length;
    }
  }
}

int main_program(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.list_isa) {
    print_isa();
    return 0;
  }
  std::vector<Program> programs;
  for (u64 i = 0; i < options.count; i++) programs.push_back(make_program(options.program, options.first + i));
  if (options.coverage) print_coverage(programs, options.program.isa);
  if (options.machine_elf.empty() && options.process_elf.empty() && !options.listing && !options.slot) return 0;
  const Image image = build_image(programs, options.program.level, options.dropped);
  if (!options.machine_elf.empty()) write_file(options.machine_elf, image.for_machine);
  if (!options.process_elf.empty()) write_file(options.process_elf, image.for_process);
  if (options.slot)
    std::printf(
        "{\"bytes\":%u,\"scratch\":%u,\"constants\":%u,\"x\":%u,\"f\":%u,\"fcsr\":%u,\"traps\":%u,\"hash\":%"
        "u,"
        "\"log\":%u,\"logEntries\":%u,\"output\":%llu,\"ram\":%llu,\"units\":%zu}\n",
        slot::kBytes, slot::kScratch, slot::kConstants, slot::kX, slot::kF, slot::kFcsr, slot::kTraps, slot::kTrapHash,
        slot::kTrapLog, slot::kTrapLogEntries, static_cast<unsigned long long>(image.output),
        static_cast<unsigned long long>(kStub), programs.empty() ? 0 : programs[0].units.size());
  if (options.listing)
    for (size_t i = 0; i < programs.size(); i++) print_listing(programs[i], options, image.bodies[i]);
  return 0;
}

}  // namespace
}  // namespace hartwood::differential

int main(int argc, char** argv) { return hartwood::differential::main_program(argc, argv); }
