// SPDX-License-Identifier: Apache-2.0
// The multi-hart programs for machines that only boot files, and the checks of what such a machine's memory
// holds afterwards: e2e/programs.test.ts runs them on real workers.
//
//   hartwood_guest_programs export FOLDER      writes NAME.elf for each, and programs.json, the list of them
//   hartwood_guest_programs check NAME DUMP    looks at a dump of the program's data: prints what it found
//   and
//                                              ends with 0, or prints what is wrong and ends with 1
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "boot/files.h"
#include "memory/interrupt.h"
#include "programs/fences.h"
#include "programs/guest.h"
#include "programs/interrupts.h"
#include "programs/litmus.h"
#include "programs/locks.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

using ull = unsigned long long;

constexpr u64 kPrologue = kGuestCode + 0x10'0000;
constexpr u64 kMeeting = kPrologue + 0x1000;  // harts that have arrived
constexpr u64 kNotStarted = 1001;             // failure of the prologue

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "hartwood_guest_programs: %s\n", why.c_str());
  std::exit(2);
}

struct Entry {
  std::string name;
  GuestProgram program;
  u64 data_bytes = kGuestDataBytes;
  std::optional<Litmus> litmus = {};
  u32 times = 0;
};

// Fails at once: shows that whoever runs these programs would notice.
GuestProgram dies() {
  Guest g(2);
  g.die(7);
  return g.program();
}

std::vector<Entry> entries() {
  // Late by what the browser's and the host's other work takes, as on threads.
  constexpr u64 kLatest = 60 * Clock::kTicksPerSecond;
  std::vector<Entry> all = {
      {"dies", dies()},
      {"amo_lock_2", amo_lock(2, 400'000)},
      {"amo_lock_4", amo_lock(4, 50'000)},
      {"reserved_lock_2", reserved_lock(2, 400'000)},
      {"reserved_lock_4", reserved_lock(4, 50'000)},
      {"interrupt_storm_2", interrupt_storm(2, 10'000, StormWait::sleeps)},
      {"interrupt_storm_4", interrupt_storm(4, 3000, StormWait::sleeps)},
      {"interrupt_storm_spins_2", interrupt_storm(2, 5000, StormWait::spins)},
      {"interrupt_storm_writes_sip_4", interrupt_storm(4, 3000, StormWait::writes_sip)},
      {"start_and_stop_3", start_and_stop(3, 3000, false)},
      {"start_and_stop_late_interrupts_4", start_and_stop(4, 2000, true)},
      {"start_race", start_race(5000)},
      {"suspend_and_wake", suspend_and_wake(10'000)},
      {"page_table_storm_2", page_table_storm(2, 10'000)},
      {"page_table_storm_4", page_table_storm(4, 1000)},
      {"code_storm_2", code_storm(2, 2000)},
      {"code_storm_4", code_storm(4, 1000)},
      {"clock_exchange_2", clock_exchange(2, 500'000)},
      {"clock_exchange_4", clock_exchange(4, 100'000)},
      {"timer_storm_4", timer_storm(4, 1000, kLatest)},
      {"power_off_in_storm", power_off_in_storm(1000)},
  };
  for (const Litmus& test : litmus_tests()) {
    // Harts that share a processor wait for each other at every barrier.
    const u32 times = test.harts.size() > 2 ? 4096 : 40'960;
    all.push_back(
        {std::string("litmus ") + test.name, litmus_program(test, times), litmus_end(times) - kGuestData, test, times});
  }
  return all;
}

// ---- export

// What a machine's RAM holds before the program runs; zero where nothing was written.
class Contents final : public GuestView {
 public:
  u64 peek(u64 address) override {
    u64 value = 0;
    for (u32 i = 8; i-- > 0;) value = value << 8 | byte(address + i);
    return value;
  }
  void poke(u64 address, u64 value) override {
    for (u32 i = 0; i < 8; i++) byte(address + i) = static_cast<u8>(value >> 8 * i);
  }
  void place(u64 address, const std::vector<u32>& words) {
    for (size_t i = 0; i < 4 * words.size(); i++) byte(address + i) = static_cast<u8>(words[i / 4] >> 8 * (i % 4));
  }
  // Neighbouring pages as one segment.
  std::vector<ElfMaker::Segment> segments() const {
    std::vector<ElfMaker::Segment> result;
    for (const auto& [address, page] : pages_) {
      if (result.empty() || result.back().pa + result.back().bytes.size() != address)
        result.push_back({address, address, {}, 0});
      ElfMaker::Segment& last = result.back();
      last.bytes.insert(last.bytes.end(), page.begin(), page.end());
      last.memory_bytes = last.bytes.size();
    }
    return result;
  }

 private:
  u8& byte(u64 address) {
    std::vector<u8>& page = pages_[align_down(address, kPageBytes)];
    page.resize(kPageBytes);
    return page[address % kPageBytes];
  }
  std::map<u64, std::vector<u8>> pages_;
};

// A machine boots its first hart only. It starts the others here; all meet, so that they enter the program at
// once, with their numbers in a0.
std::vector<u32> prologue(u32 harts) {
  Guest g(harts, kPrologue);
  const auto meet = g.label();
  g.bne(s0, zero, meet);
  g.li(s2, 1);
  const auto next = g.bound();
  g.mv(a0, s2);
  g.li(a1, kPrologue);
  g.li(a2, 0);
  g.firmware(kHsmCall, 0);
  g.die_unless_equal(a0, zero, kNotStarted);
  g.addi(s2, s2, 1);
  g.li(t0, harts);
  g.bne(s2, t0, next);
  g.bind(meet);
  g.li(t2, kMeeting);
  g.li(t0, 1);
  g.atomic(Op::amoadd_d, zero, t0, t2, Guest::both);
  g.li(t1, harts);
  const auto wait = g.bound();
  g.ld(t0, 0, t2);
  g.bne(t0, t1, wait);
  g.fence();
  g.mv(a0, s0);
  g.li(t0, kGuestCode);
  g.jalr(zero, t0, 0);
  return g.words();
}

std::vector<u8> bootable(const GuestProgram& program) {
  Contents contents;
  contents.place(kGuestCode, program.words);
  if (program.prepare) program.prepare(contents);
  ElfMaker maker;
  maker.entry = kGuestCode;
  if (!program.only_first_starts) {
    contents.place(kPrologue, prologue(program.harts));
    maker.entry = kPrologue;
  }
  maker.segments = contents.segments();
  return maker.make();
}

void write_file(const std::string& path, const void* bytes, size_t size) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) give_up("cannot write " + path + ": " + std::strerror(errno));
  const bool written = std::fwrite(bytes, 1, size, file) == size;
  if ((std::fclose(file) != 0) | !written) give_up("cannot write " + path + ": " + std::strerror(errno));
}

int export_all(const std::string& folder) {
  std::string list;
  for (const Entry& entry : entries()) {
    const std::vector<u8> file = bootable(entry.program);
    write_file(folder + "/" + entry.name + ".elf", file.data(), file.size());
    list += format(R"(%s  {"name": "%s", "harts": %u, "address": %llu, "length": %llu})", list.empty() ? "" : ",\n",
                   entry.name.c_str(), entry.program.harts, ull{kGuestData}, ull{entry.data_bytes});
  }
  list = "[\n" + list + "\n]\n";
  write_file(folder + "/programs.json", list.data(), list.size());
  return 0;
}

// ---- check

class Dump final : public GuestView {
 public:
  Dump(const std::string& path, u64 bytes) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) give_up("cannot read " + path + ": " + std::strerror(errno));
    bytes_.resize(bytes + 1);
    const size_t size = std::fread(bytes_.data(), 1, bytes_.size(), file);
    std::fclose(file);
    if (size != bytes) give_up(path + format(" does not have the %llu bytes of the program's data", ull{bytes}));
    bytes_.resize(size);
  }
  u64 peek(u64 address) override {
    if (address < kGuestData || address - kGuestData > bytes_.size() - 8)
      give_up(format("the check asks for 0x%llx, which is not in the dump", ull{address}));
    return load_le<u64>(bytes_.data() + (address - kGuestData));
  }
  void poke(u64, u64) override { give_up("a check writes to memory"); }

 private:
  std::vector<u8> bytes_;
};

// What a run of a litmus shape left. Values from nowhere, and results that nobody wrote, are errors too.
std::string look_at_litmus(const Entry& entry, GuestView& view, std::string& found) {
  const Litmus& test = *entry.litmus;
  if (view.peek(kGuestData + kDone) != test.harts.size()) return "not all harts have finished";
  std::set<std::vector<u64>> outcomes;
  for (u32 time = 0; time < entry.times; time++) {
    std::vector<u64> outcome;
    for (u32 hart = 0; hart < test.harts.size(); hart++) {
      u32 loads = 0;
      for (const LitmusStep& step : test.harts[hart])
        loads += step.kind == Kind::load || step.kind == Kind::reserved_load || step.kind == Kind::dependent_load;
      for (u32 i = 0; i < loads; i++) {
        outcome.push_back(view.peek(litmus_results(entry.times) + 64 * time + 16 * hart + 8 * i));
        if (outcome.back() > 1) return format("time %u: hart %u read a value that nobody stores", time, hart);
      }
    }
    for (u32 cell = 0; cell < 2; cell++) {
      const u64 value = view.peek(kLitmusCells + 128 * time + 64 * cell);
      if (value > 1) return format("time %u: a cell holds what nobody stores", time);
      outcome.push_back(value);
    }
    outcomes.insert(outcome);
  }
  const u32 seen = litmus_count(test, view, entry.times);
  found = format("%-20s %s %u of %u times; %zu different outcomes", test.name,
                 test.forbidden ? "(forbidden)" : "(allowed)  ", seen, entry.times, outcomes.size());
  return test.forbidden && seen != 0 ? "a forbidden outcome: " + found : "";
}

int check(const std::string& name, const std::string& path) {
  for (const Entry& entry : entries()) {
    if (entry.name != name) continue;
    Dump dump(path, entry.data_bytes);
    std::string found = "as expected", problem;
    if (const u64 failure = dump.peek(kGuestData + kFailure); failure != 0)
      problem = format("the program failed with %llu", ull{failure});
    else if (entry.litmus)
      problem = look_at_litmus(entry, dump, found);
    else if (entry.program.check)
      problem = entry.program.check(dump);
    std::printf("%s\n", problem.empty() ? found.c_str() : problem.c_str());
    return problem.empty() ? 0 : 1;
  }
  give_up("there is no program \"" + name + "\"");
}

}  // namespace
}  // namespace hartwood::test

int main(int count, char** arguments) {
  const std::string action = count > 1 ? arguments[1] : "";
  if (action == "export" && count == 3) return hartwood::test::export_all(arguments[2]);
  if (action == "check" && count == 4) return hartwood::test::check(arguments[2], arguments[3]);
  std::fprintf(stderr, "usage: hartwood_guest_programs export FOLDER | check NAME DUMP\n");
  return 2;
}
