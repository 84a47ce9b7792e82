// SPDX-License-Identifier: Apache-2.0
// Snapshots as files: round trips, chains in their order, damage of any byte, and saving that fails.
#include "machine/snapshot_file_native.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "machine/snapshot_rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kFree = kRamBase + 0x200'0000;

struct SnapshotFileTest : testing::Test {
  SnapshotFileTest() : folder(std::filesystem::temp_directory_path() / format("hartwood-snapshot-%d", getpid())) {
    std::filesystem::create_directories(folder);
    box = std::make_unique<Box>(options());
    Guest g(1);
    g.wfi();
    box->boot(g.program());
    for (u32 i = 0; i < 40; i++) box->poke(kFree + i * 1000, 0x1234'5678 + i);
    EXPECT_TRUE(box->machine().disk(0).backend().write(3 * kPageBytes - 5, std::vector<u8>(517, 9)));
  }
  ~SnapshotFileTest() override { std::filesystem::remove_all(folder); }
  static BoxOptions options() {
    BoxOptions result;
    result.disks = {3 * kPageBytes + 512};
    return result;
  }
  std::string path(const char* name) const { return (folder / name).string(); }
  Status restore(Box& to, const std::vector<const char*>& names) {
    std::vector<std::unique_ptr<SnapshotFile>> files;
    for (const char* name : names) {
      auto file = SnapshotFile::open(path(name));
      if (!file) return file.error();
      files.push_back(std::move(*file));
    }
    return restore_machine(to.machine(), files);
  }
  Result<SnapshotId> save_as(const char* name, bool increment = false) {
    SnapshotOptions how;
    if (increment) how.parent = box->machine().last_snapshot();
    return save_snapshot(box->machine(), how, path(name));
  }
  std::vector<u8> bytes_of(const char* name) {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const char* name, const std::vector<u8>& bytes) {
    std::ofstream(path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::filesystem::path folder;
  std::unique_ptr<Box> box;
};

TEST_F(SnapshotFileTest, RoundTripAndChain) {
  ASSERT_TRUE(save_as("a").ok());
  EXPECT_FALSE(std::filesystem::exists(path("a.partial")));
  EXPECT_LT(std::filesystem::file_size(path("a")), 40'000u) << "packed";
  box->poke(kFree, 77);
  ASSERT_TRUE(save_as("b", true).ok());
  ASSERT_TRUE(box->memory().fill(Pa(kFree), 0, 4 * kPageBytes));
  ASSERT_TRUE(save_as("c", true).ok());
  Box copy(options());
  const Status restored = restore(copy, {"a", "b", "c"});
  ASSERT_TRUE(restored.ok()) << restored.message();
  EXPECT_EQ(ram_difference(*box, copy), "");
  EXPECT_TRUE(same_disk(*box, copy, 0));
  EXPECT_EQ(copy.machine().last_snapshot(), box->machine().last_snapshot());

  Box earlier(options());
  ASSERT_TRUE(restore(earlier, {"a", "b"}).ok());
  EXPECT_EQ(earlier.peek(kFree), 77u);
  Box first(options());
  ASSERT_TRUE(restore(first, {"a"}).ok());
  EXPECT_EQ(first.peek(kFree), 0x1234'5678u);
}

TEST_F(SnapshotFileTest, ChainsInAnotherOrderAreRefused) {
  ASSERT_TRUE(save_as("a").ok());
  ASSERT_TRUE(save_as("b", true).ok());
  ASSERT_TRUE(save_as("c", true).ok());
  ASSERT_TRUE(save_as("other").ok());
  for (const std::vector<const char*>& names : std::vector<std::vector<const char*>>{{},
                                                                                     {"b"},
                                                                                     {"b", "c"},
                                                                                     {"a", "c"},
                                                                                     {"a", "c", "b"},
                                                                                     {"a", "b", "b"},
                                                                                     {"a", "a"},
                                                                                     {"other", "b"},
                                                                                     {"a", "b", "other"}}) {
    Box copy(options());
    const Status restored = restore(copy, names);
    EXPECT_FALSE(restored.ok());
    EXPECT_FALSE(restored.message().empty());
  }
}

TEST_F(SnapshotFileTest, DamageIsNoticed) {
  ASSERT_TRUE(save_as("a").ok());
  const std::vector<u8> bytes = bytes_of("a");
  const size_t head = *snapshot_head_bytes(bytes);
  ASSERT_GT(bytes.size(), head + 500);
  // The head's bytes have a test of their own (snapshot_format_test.cpp).
  for (size_t at = head; at < bytes.size(); at += 1 + (bytes.size() - head) / 200) {
    std::vector<u8> wrong = bytes;
    wrong[at] ^= 0x10;
    write("wrong", wrong);
    Box copy(options());
    // A bit that the unpacked bytes do not depend on may be changed: then they are right.
    if (restore(copy, {"wrong"}).ok()) {
      EXPECT_EQ(ram_difference(*box, copy), "") << at;
    }
  }
  for (const size_t size : {size_t{0}, size_t{10}, head - 1, head, bytes.size() - 1, bytes.size() + 1}) {
    std::vector<u8> wrong = bytes;
    wrong.resize(size);
    write("wrong", wrong);
    EXPECT_FALSE(SnapshotFile::open(path("wrong")).ok()) << size;
  }
  EXPECT_FALSE(SnapshotFile::open(path("none")).ok());
  EXPECT_FALSE(SnapshotFile::open(folder.string()).ok());
}

// Nothing is an increment to a file that was never there.
TEST_F(SnapshotFileTest, SavingThatFails) {
  ASSERT_TRUE(save_as("a").ok());
  const std::vector<u8> before = bytes_of("a");
  box->poke(kFree, 5);
  std::filesystem::create_directory(path("a.partial"));
  EXPECT_FALSE(save_as("a").ok());
  EXPECT_EQ(bytes_of("a"), before) << "the old file stays";
  EXPECT_EQ(box->machine().last_snapshot(), SnapshotId{});
  std::filesystem::remove(path("a.partial"));
  ASSERT_TRUE(save_as("a").ok());
  box->poke(kFree, 6);
  EXPECT_FALSE(save_as("missing/b", true).ok());
  EXPECT_FALSE(std::filesystem::exists(path("missing")));
  SnapshotOptions how;
  how.parent[0] = 1;
  EXPECT_FALSE(save_snapshot(box->machine(), how, path("c")).ok());
  ASSERT_TRUE(save_as("c").ok());
  Box copy(options());
  ASSERT_TRUE(restore(copy, {"c"}).ok());
  EXPECT_EQ(copy.peek(kFree), 6u);
}

TEST_F(SnapshotFileTest, DisksThatThereIsNoRoomFor) {
#ifndef __SANITIZE_ADDRESS__  // which ends the program where there is no room
  SnapshotHead large;
  large.disk_bytes = {512, ~u64{0} >> 1};
  EXPECT_FALSE(disks_of(large, {}).ok());
#endif
  SnapshotHead head;
  MachineConfig config;
  head.disk_bytes = {kPageBytes, 512};
  config.disks = {{"a", true}};
  const auto disks = disks_of(head, config);
  ASSERT_TRUE(disks.ok());
  EXPECT_TRUE((*disks)[0]->read_only());
  EXPECT_FALSE((*disks)[1]->read_only());
  EXPECT_EQ((*disks)[1]->size(), 512u);
}

}  // namespace
}  // namespace hartwood::test
