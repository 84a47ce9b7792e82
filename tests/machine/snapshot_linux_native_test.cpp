// SPDX-License-Identifier: Apache-2.0
// Snapshots and pauses of whole machines that run Linux. tests/boot/native-restore.mjs runs these, with the kernel's
// and the initramfs' paths in HARTWOOD_KERNEL and HARTWOOD_INITRD; without them they are skipped.
#include <fstream>

#include "machine/snapshot_rig.h"
#include "machine/threads_native.h"

namespace hartwood::test {
namespace {

constexpr u64 kMemoryBytes = u64{128} << 20;

std::vector<u8> file_in(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr) return {};
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct LinuxSnapshot : testing::Test {
  void SetUp() override {
    if (std::getenv("HARTWOOD_KERNEL") == nullptr) GTEST_SKIP() << "HARTWOOD_KERNEL and HARTWOOD_INITRD are not set";
    kernel = file_in("HARTWOOD_KERNEL");
    initrd = file_in("HARTWOOD_INITRD");
    ASSERT_FALSE(kernel.empty() || initrd.empty());
  }
  void boot(Machine& machine) {
    BootFiles files;
    files.kernel = kernel;
    files.initrd = initrd;
    const Status booted = machine.boot(files);
    ASSERT_TRUE(booted.ok()) << booted.message();
  }
  std::vector<u8> kernel, initrd;
};

void type(Machine& machine, const std::string& text) {
  const std::span<const u8> bytes(reinterpret_cast<const u8*>(text.data()), text.size());
  ASSERT_EQ(machine.console_input(bytes), text.size());
}

// Virtual time: saved at several points of the boot and of a shell's work; what follows is the same.
TEST_F(LinuxSnapshot, VirtualTimeGoesOnInTheSameWay) {
  BoxOptions options;
  options.memory_bytes = kMemoryBytes;
  options.clock = ClockKind::instructions;
  options.disks = {u64{4} << 20};
  options.append = "console=hvc0";
  Box box(options);
  boot(box.machine());
  constexpr u64 kFurther = 20'000'000;
  bool typed = false;
  for (const u64 at : {u64{3'000'000}, u64{30'000'000}, u64{90'000'000}, u64{250'000'000}, u64{275'000'000}}) {
    box.run(at - std::min(at, box.executed()));
    if (at >= 250'000'000 && !typed) {
      ASSERT_NE(box.platform().text().find("root@hartwood:~# "), std::string::npos) << box.platform().text();
      type(box.machine(),
           "dd if=/dev/urandom of=/tmp/a bs=4k count=50; md5sum /tmp/a; cp /tmp/a /dev/vda; sync; "
           "for i in $(seq 1 1000); do date +%N; sleep 0.01; md5sum /tmp/a | md5sum; done\n");
      typed = true;
    }
    const auto saved = save(box.machine());
    ASSERT_TRUE(saved.ok()) << saved.message();
    const size_t printed = box.platform().text().size();
    box.run(kFurther);
    Box copy(options);
    const Status loaded = load(copy.machine(), {&*saved});
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    copy.machine().thaw(true);
    copy.run(kFurther);
    EXPECT_EQ(ram_difference(box, copy), "");
    EXPECT_EQ(box.machine().ram_hash(), copy.machine().ram_hash());
    EXPECT_EQ(box.machine().retired(), copy.machine().retired());
    EXPECT_EQ(box.platform().text().substr(printed), copy.platform().text());
    EXPECT_TRUE(same_disk(box, copy, 0));
    for (Box* each : {&box, &copy}) {
      for (const HpmEvent event : {HpmEvent::load_misses, HpmEvent::store_misses, HpmEvent::fetch_misses})
        each->state().event_counts[static_cast<unsigned>(event)] = 0;
    }
    EXPECT_EQ(box.machine().save_state(), copy.machine().save_state());
    ASSERT_FALSE(HasFailure()) << "saved after " << at << " instructions";
  }
  EXPECT_NE(box.platform().text().find("  -\r\n"), std::string::npos) << "the shell works";
}

// Real threads that stand still 10,000 times while Linux works: every line that is typed meanwhile is read, in order,
// no check of the guest's fails, and no time is lost to its watchdogs.
TEST_F(LinuxSnapshot, PausedTenThousandTimes) {
  constexpr u32 kPauses = 10'000;
  for (const u32 harts : {1u, 4u}) {
    BoxOptions options;
    options.memory_bytes = kMemoryBytes;
    options.harts = harts;
    options.append = "console=hvc0 quiet";
    options.real_time = true;
    Box box(options);
    boot(box.machine());
    MachineThreads threads(box.machine());
    threads.start();
    auto& console = static_cast<TestPlatform::Console&>(box.platform().console_output());
    const auto text = [&] {
      Guard guard(console.lock);
      return console.text;
    };
    size_t from = 0;
    // False after a minute.
    const auto wait_for = [&](const std::string& what) {
      for (int i = 0; i < 6000; i++) {
        if (const size_t at = text().find(what, from); at != std::string::npos) {
          from = at + what.size();
          return true;
        }
        Atomic<u32> never{0};
        never.wait(0, 10'000'000);
      }
      ADD_FAILURE() << "not printed: " << what << "\n" << text().substr(std::min(from, text().size()));
      return false;
    };
    const auto stop = [&] {
      box.machine().power().end(kPowerOff, 0);
      threads.join();
    };
    if (!wait_for("root@hartwood:~# ")) return stop();
    type(box.machine(),
         "stty -echo; cd /tmp; e=$(seq 1 100 | md5sum)\n"
         "for p in 1 2 3; do (n=0; while [ ! -e stop ]; do n=$((n+1)); [ \"$(seq 1 100 | md5sum)\" = \"$e\" ] || "
         "echo $n >> bad; echo $n > count$p; done) & done\n"
         "(while [ ! -e stop ]; do sleep 0.01; echo >> slept; done) &\n"
         "echo rea''dy; while read x; do [ $x = end ] && break; echo got-$x.; done\n");
    if (!wait_for("ready")) return stop();
    SeededRandom random(harts);
    u32 lines = 0;
    const u64 start = box.platform().monotonic_ns();
    u64 stood = 0;
    for (u32 i = 0; i < kPauses; i++) {
      if (!threads.pause()) {
        ADD_FAILURE() << "the machine has ended";
        return stop();
      }
      const u64 paused = box.platform().monotonic_ns();
      const u64 ticks = box.machine().clock().ticks();
      if (i % 100 == 0) {
        // What stands still, does.
        const u64 retired = box.machine().retired();
        const u64 hash = i % 2000 == 0 ? box.machine().ram_hash() : 0;
        Atomic<u32> never{0};
        never.wait(0, 1'000'000);
        EXPECT_EQ(box.machine().retired(), retired);
        EXPECT_EQ(box.machine().clock().ticks(), ticks);
        if (hash != 0) {
          EXPECT_EQ(box.machine().ram_hash(), hash);
        }
      }
      if (i % 50 == 0) type(box.machine(), std::to_string(lines++) + "\n");
      stood += box.platform().monotonic_ns() - paused;
      box.machine().thaw(true);
      threads.resume();
      if (i % 4 == 0) {
        Atomic<u32> never{0};
        never.wait(0, 1 + random.below(400'000));
      }
    }
    std::printf("  %u harts: %u pauses in %.2f s, %.2f s of it standing\n", harts, kPauses,
                static_cast<double>(box.platform().monotonic_ns() - start) * 1e-9, static_cast<double>(stood) * 1e-9);
    for (u32 i = 0; i < lines; i++) {
      if (!wait_for("got-" + std::to_string(i) + ".")) return stop();
    }
    type(box.machine(), "end\n");
    type(box.machine(),
         "touch stop; wait; echo resu''lt; cat bad 2> /dev/null; wc -l < slept; cat count*; echo counts; "
         "dmesg | grep -cE ' stall|lockup|BUG:|WARNING:|Oops|panic|hung'; echo do''ne\n");
    if (!wait_for("result")) return stop();
    const size_t result = from;
    if (!wait_for("done")) return stop();
    const std::string said = text().substr(result, from - result);
    stop();
    // Whatever was wrong would be more lines in front: slept, the three counts, nothing in the log.
    int slept = 0, counts[3] = {}, complaints = -1;
    ASSERT_EQ(
        std::sscanf(said.c_str(), "%d %d %d %d counts %d", &slept, &counts[0], &counts[1], &counts[2], &complaints), 5)
        << said;
    EXPECT_GT(slept, 10) << said;
    for (const int count : counts) EXPECT_GT(count, 2) << said;
    EXPECT_EQ(complaints, 0) << said;
    ASSERT_FALSE(HasFailure()) << harts << " harts";
  }
}

}  // namespace
}  // namespace hartwood::test
