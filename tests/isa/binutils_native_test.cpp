// SPDX-License-Identifier: Apache-2.0
// Decoder and disassembler against GNU binutils: the same words through objdump -M no-aliases must be legal
// for both and read the same. Every difference that we want is one rule of `objdump_text`, with its reason.
// Native only: it runs the cross assembler, which the kernel's build needs anyway.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/bits.h"
#include "isa/compressed.h"
#include "isa/csr_names.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

// Extensions that Debian 12's binutils 2.40 does not have yet; later ones do. Their rows are checked by
// disassemble_test.cpp against fixed texts. Any other extension must be known.
const std::set<std::string> kMayBeUnknown = {"zfa", "zicond", "zacas"};
// Not an extension by name: the privileged instructions are always there.
const std::set<std::string> kUnnamed = {"s"};

std::string tool(const char* name) {
  const char* prefix = std::getenv("HARTWOOD_BINUTILS_PREFIX");
  return std::string(prefix != nullptr ? prefix : "riscv64-linux-gnu-") + name;
}

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }

class Binutils : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = testing::TempDir() + "hartwood-binutils-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder() = pattern;
    march() = "rv64gc_zihintpause";  // the name of one fence, which we always show
    options() = IsaOptions{};
    std::ofstream(pattern + "/empty.s") << "\n";
    for (u32 i = 0; i < static_cast<u32>(Extension::count); i++) {
      const Extension extension = static_cast<Extension>(i);
      const std::string name = extension_name(extension);
      if (name.size() == 1 || kUnnamed.count(name)) continue;
      const bool known =
          run(tool("as") + " -march=rv64gc_" + name + " -o /dev/null " + pattern + "/empty.s 2>/dev/null");
      options().set(extension, known);
      if (known) {
        march() += "_" + name;
      } else {
        EXPECT_TRUE(kMayBeUnknown.count(name))
            << name << " unknown to " << tool("as") << "; is binutils-riscv64-linux-gnu installed?";
      }
    }
  }
  static void TearDownTestSuite() {
    std::error_code ignored;
    std::filesystem::remove_all(folder(), ignored);
  }
  static std::string& folder() {
    static std::string value;
    return value;
  }
  static std::string& march() {
    static std::string value;
    return value;
  }
  // Our options with exactly the extensions that this binutils knows.
  static IsaOptions& options() {
    static IsaOptions value;
    return value;
  }

  struct Text {
    u64 pc = 0;
    u32 word = 0;
    std::string text;  // objdump's, as it is
  };
  // objdump's text of each word. All have the same length, 2 or 4 bytes.
  static std::vector<Text> objdump(const std::vector<u32>& words, unsigned length) {
    const std::string source = folder() + "/words.s", object = folder() + "/words.o", list = folder() + "/words.txt";
    {
      std::ofstream out(source);
      for (u32 word : words) out << ".insn " << length << "," << word << "\n";
    }
    std::vector<Text> texts;
    if (!run(tool("as") + " -march=" + march() + " -o " + object + " " + source) ||
        !run(tool("objdump") + " -d -z -M no-aliases " + object + " >" + list)) {
      ADD_FAILURE() << "binutils failed";
      return texts;
    }
    std::ifstream in(list);
    std::string line;
    while (std::getline(in, line)) {
      const size_t colon = line.find(":\t"), tab = line.find('\t', colon + 2);
      if (colon == std::string::npos || tab == std::string::npos) continue;
      Text text;
      text.pc = std::strtoull(line.c_str(), nullptr, 16);
      text.word = static_cast<u32>(std::strtoul(line.c_str() + colon + 2, nullptr, 16));
      text.text = line.substr(tab + 1);
      texts.push_back(text);
    }
    EXPECT_EQ(texts.size(), words.size());
    for (size_t i = 0; i < texts.size() && i < words.size(); i++) {
      if (texts[i].word == words[i] && texts[i].pc == i * length) continue;
      ADD_FAILURE() << "objdump's line " << i << " is not for word " << std::hex << words[i];
      break;
    }
    return texts;
  }

  // Compares all; shows the first few differences of each row.
  static void compare(const std::vector<u32>& words, unsigned length) {
    std::map<std::string, int> shown;
    size_t wrong = 0;
    for (const Text& theirs : objdump(words, length)) {
      const std::string ours = disassemble(theirs.word, theirs.pc, options());
      const std::string expected = objdump_text(theirs);
      const bool agree = expected == ours || (expected.empty() && decode(theirs.word, options()).op == Op::none);
      if (agree) continue;
      wrong++;
      if (shown[ours.substr(0, ours.find('\t'))]++ >= 3 || shown.size() > 40) continue;
      ADD_FAILURE() << std::hex << theirs.word << " at " << theirs.pc << ": objdump \"" << theirs.text
                    << "\", expected \"" << expected << "\", ours \"" << ours << "\"";
    }
    EXPECT_EQ(wrong, 0u) << "of " << words.size();
  }

  // What we want where objdump says this; empty for an illegal encoding.
  static std::string objdump_text(const Text& theirs) {
    std::string text = theirs.text;
    // The symbol of a target and the value of an address are comments; a target gets 0x.
    const size_t comment = text.find_first_of("#<");
    if (comment != std::string::npos) {
      const bool target = text[comment] == '<';
      text.erase(comment);
      while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
      if (target) text.insert(text.find_last_of("\t,") + 1, "0x");
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
    return instruction_length(static_cast<u16>(theirs.word)) == 2 ? half_rules(theirs.word, text)
                                                                  : word_rules(theirs.word, text);
  }

  static std::string word_rules(u32 word, std::string text) {
    const bool unknown_to_it = text[0] == '.';
    if ((word & 0x0000607f) == 0x0000000f) return fence_rule(word, text);
    if ((word & 0x7f) == 0x73 && (word & 0x3000) != 0) return csr_rule(word, text);
    // Withdrawn from the privileged architecture; legal in debug mode only; the hypervisor's part of Svinval.
    for (const char* name : {"uret", "hret", "sfence.vm", "dret", "hinval.vvma", "hinval.gvma"}) {
      if (text.substr(0, text.find('\t')) == name) return "";
    }
    // It prints an instruction for the two reserved rounding modes.
    if (text.ends_with(",unknown")) return "";
    if (unknown_to_it) return exact_conversion_rule(word);
    return text;
  }

  // rd, rs1 and the reserved values of fm are to be ignored [unpriv: Memory Ordering Instructions], and in
  // fence.i the immediate too [unpriv: "Zifencei"]; it takes those for illegal. Its name for an empty set
  // cannot be assembled.
  static std::string fence_rule(u32 word, const std::string& text) {
    if ((word & 0x1000) != 0) return "fence.i";
    if (text == "pause" || text == "fence.tso") return text;
    if ((word & 0xfff00000) == 0x83300000) return "fence.tso";
    std::string sets[2];
    for (unsigned i = 0; i < 8; i++) {
      if (bit(word, 27 - i)) sets[i / 4] += "iorw"[i % 4];
    }
    for (std::string& set : sets) {
      if (set.empty()) set = "0";
    }
    return "fence\t" + sets[0] + "," + sets[1];
  }

  // Names of registers that only RV32 has are numbers to us; those that came after binutils 2.40 have names.
  static std::string csr_rule(u32 word, std::string text) {
    const u32 number = static_cast<u32>(bits(word, 31, 20));
    if (word == 0xc0001073) return "csrrw\tzero,cycle,zero";  // its "unimp"
    const size_t from = text.find(',') + 1, to = text.find(',', from);
    if (from == 0 || to == std::string::npos) return text[0] == '.' ? "" : text;
    const std::string theirs = text.substr(from, to - from);
    char hex[8];
    std::snprintf(hex, sizeof hex, "0x%x", static_cast<unsigned>(number));
    const bool odd_pmpcfg = number > 0x3a0 && number < 0x3b0 && number % 2 == 1;
    const bool high_half =
        theirs.back() == 'h' && theirs != "mscratch" && theirs != "sscratch" && theirs != "vsscratch";
    if (odd_pmpcfg || high_half) text.replace(from, to - from, hex);
    static const std::map<u32, const char*> kNewer = {
        {0x017, "jvt"},       {0x120, "scountinhibit"}, {0x321, "mcyclecfg"}, {0x322, "minstretcfg"},
        {0x740, "mnscratch"}, {0x741, "mnepc"},         {0x742, "mncause"},   {0x744, "mnstatus"}};
    const auto newer = kNewer.find(number);
    if (newer != kNewer.end()) text.replace(from, to - from, newer->second);
    return text;
  }

  // Conversions that are always exact have a rounding mode all the same, of which it knows only rne.
  static std::string exact_conversion_rule(u32 word) {
    static const std::map<u32, const char*> kExact = {{0x42000053, "fcvt.d.s"},
                                                      {0xd2000053, "fcvt.d.w"},
                                                      {0xd2100053, "fcvt.d.wu"},
                                                      {0x40200053, "fcvt.s.h"},
                                                      {0x42200053, "fcvt.d.h"}};
    constexpr const char* kModes[8] = {nullptr, "rtz", "rdn", "rup", "rmm", nullptr, nullptr, "dyn"};
    const auto exact = kExact.find(word & 0xfff0007f);
    const char* mode = kModes[bits(word, 14, 12)];
    if (exact == kExact.end() || mode == nullptr) return "";
    const char* const* sources = (word >> 28) == 0xd ? kXNames : kFNames;
    return std::string(exact->second) + "\t" + kFNames[bits(word, 11, 7)] + "," + sources[bits(word, 19, 15)] + "," +
           mode;
  }

  static std::string half_rules(u32 half, std::string text) {
    // Reserved: the immediate of c.addi16sp must not be 0.
    if (half == 0x6101) return "";
    // RV128's names of shifts by 0, which are hints of RV64.
    for (const char* name : {"c.slli64\t", "c.srli64\t", "c.srai64\t"}) {
      if (text.starts_with(name)) return std::string(name, 6) + text.substr(8) + ",0x0";
    }
    return text[0] == '.' ? "" : text;
  }
};

// Words of one row: its fixed bits, the rest at random, at the edges, or sparse.
std::vector<u32> words_of(const OpInfo& row, std::mt19937& random, unsigned count) {
  std::vector<u32> words = {row.match, row.match | ~row.mask};
  while (words.size() < count) {
    const u32 sparse = static_cast<u32>(random() & random() & random());
    const u32 pick = static_cast<u32>(random());
    const u32 free = pick % 4 == 0 ? sparse : pick % 4 == 1 ? ~sparse : static_cast<u32>(random());
    words.push_back(row.match | (free & ~row.mask));
  }
  return words;
}

TEST_F(Binutils, EveryRowReadsTheSame) {
  std::mt19937 random(1);
  std::vector<u32> words;
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    if (!options().has(row.extension)) continue;
    for (u32 word : words_of(row, random, 300)) words.push_back(word);
  }
  compare(words, 4);
}

// One or two fixed bits of a row are wrong.
TEST_F(Binutils, NeighboursOfEveryRow) {
  std::mt19937 random(2);
  std::vector<u32> words;
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    for (u32 first = 2; first < 32; first++) {
      for (u32 second = 2; second <= first; second++) {
        u32 word = row.match | (static_cast<u32>(random()) & ~row.mask);
        word ^= (u32{1} << first) | (u32{1} << second);
        if ((word & 0x1f) != 0x1f) words.push_back(word);
      }
    }
  }
  compare(words, 4);
}

// Every funct3 and funct7 of the opcodes whose encodings are told apart by them, with every rs2 where that is
// a third function field, else with four of them.
TEST_F(Binutils, EveryFunctionField) {
  std::mt19937 random(3);
  std::vector<u32> words;
  for (u32 opcode : {0x0fu, 0x13u, 0x1bu, 0x2fu, 0x33u, 0x3bu, 0x53u, 0x73u}) {
    for (u32 funct3 = 0; funct3 < 8; funct3++) {
      const bool shift = (opcode == 0x13 || opcode == 0x1b) && funct3 % 4 == 1;
      const bool every_rs2 = opcode == 0x53 || shift || (opcode == 0x0f && funct3 == 2) ||
                             (opcode == 0x73 && funct3 < 2);  // funct3 1: every CSR
      for (u32 upper = 0; upper < 4096; upper++) {
        const u32 rs2 = upper % 32;
        if (!every_rs2 && rs2 > 2 && rs2 != 31) continue;
        const u32 registers = rs2 % 2 ? static_cast<u32>(random()) & 0x000f8f80 : 0;
        words.push_back(upper << 20 | funct3 << 12 | opcode | registers);
      }
    }
  }
  compare(words, 4);
}

TEST_F(Binutils, RandomWords) {
  std::mt19937 random(4);
  std::vector<u32> words;
  while (words.size() < 40000) {
    const u32 word = static_cast<u32>(random()) | 3;
    if ((word & 0x1f) != 0x1f) words.push_back(word);
  }
  compare(words, 4);
}

TEST_F(Binutils, EveryHalf) {
  std::vector<u32> words;
  for (u32 half = 0; half < 0x10000; half++) {
    if ((half & 3) != 3) words.push_back(half);
  }
  compare(words, 2);
}

}  // namespace
}  // namespace hartwood
