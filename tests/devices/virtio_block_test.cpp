// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block.h"

#include "backend_check.h"
#include "mock_driver.h"

namespace hartwood::device_test {
namespace {

constexpr u64 kDiskBytes = 1 << 20;
constexpr u64 kFlushBit = u64{1} << VirtioBlock::kFlush;

// A memory disk that counts flushes and fails on demand.
struct TestDisk final : BlockBackend {
  explicit TestDisk(u64 bytes, bool locked = false) : content(bytes), locked(locked) {
    for (u64 i = 0; i < bytes; i++) content[i] = static_cast<u8>(i / 512 * 7 + i % 251);
  }
  u64 size() const override { return content.size(); }
  bool read_only() const override { return locked; }
  bool read(u64 offset, std::span<u8> to) override {
    if (fail) return false;
    std::copy_n(content.begin() + static_cast<i64>(offset), to.size(), to.begin());
    return true;
  }
  bool write(u64 offset, std::span<const u8> from) override {
    if (fail) return false;
    std::copy(from.begin(), from.end(), content.begin() + static_cast<i64>(offset));
    return true;
  }
  bool flush() override {
    flushes++;
    return !fail;
  }
  bool discard(u64 offset, u64 bytes) override {
    log += "discard " + std::to_string(offset) + "+" + std::to_string(bytes) + ";";
    return !fail;
  }
  bool write_zeroes(u64 offset, u64 bytes, bool unmap) override {
    log += "zero " + std::to_string(offset) + "+" + std::to_string(bytes) + (unmap ? "u;" : ";");
    std::fill_n(content.begin() + static_cast<i64>(offset), bytes, u8{0});
    return !fail;
  }
  std::vector<u8> content;
  bool locked;
  bool fail = false;
  u32 flushes = 0;
  std::string log;
};

struct BlockTest : testing::Test {
  void start(u64 features = kFlushBit, u32 queues = 1) { driver.bring_up(features | kIndirectDesc, queues, 64); }
  u64 header(u32 type, u64 sector) {
    const u64 at = driver.data(16);
    memory->store<u32>(Pa(at), type);
    memory->store<u32>(Pa(at + 4), 0);
    memory->store<u64>(Pa(at + 8), sector);
    return at;
  }
  // Runs one request with `data` between header and status; returns the status byte, 0xee if it was not
  // written.
  u8 request(u32 type, u64 sector, const std::vector<Buffer>& data, u32 queue = 0) {
    const u64 status = driver.data(1);
    memory->store<u8>(Pa(status), 0xee);
    std::vector<Buffer> buffers = {{header(type, sector), 16}};
    buffers.insert(buffers.end(), data.begin(), data.end());
    buffers.push_back({status, 1, true});
    driver.add(queue, buffers);
    driver.kick(queue);
    used = driver.take(queue);
    u8 result = 0xee;
    memory->load(Pa(status), result);
    return result;
  }
  std::vector<u8> disk_bytes(u64 sector, u64 bytes) {
    const auto from = disk.content.begin() + static_cast<i64>(sector * 512);
    return {from, from + static_cast<i64>(bytes)};
  }

  std::unique_ptr<GuestMemory> memory = make_memory();
  FakeWires wires;
  TestDisk disk{kDiskBytes};
  VirtioBlock device{disk, {.queues = 4, .block_bytes = 512, .serial = "hartwood-disk-0"}};
  VirtioMmio slot{*memory, &device, InterruptLine(wires, 1)};
  MockDriver driver{*memory, slot};
  std::optional<Used> used;
};

TEST_F(BlockTest, FeaturesAndConfiguration) {
  EXPECT_EQ(driver.get(VirtioMmio::kDeviceId), 2u);
  EXPECT_EQ(driver.offered() & 0xffff'ff, u64{1} << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14);
  EXPECT_EQ(read_reg(slot, 0x100, 8), kDiskBytes / 512);
  EXPECT_EQ(read_reg(slot, 0x108, 4), 0u);
  EXPECT_EQ(read_reg(slot, 0x10c, 4), 254u);
  EXPECT_EQ(read_reg(slot, 0x114, 4), 512u);
  EXPECT_EQ(read_reg(slot, 0x118, 1), 3u);  // physical blocks of 4 KiB
  EXPECT_EQ(read_reg(slot, 0x11a, 2), 8u);
  EXPECT_EQ(read_reg(slot, 0x120, 1), 1u);
  EXPECT_EQ(read_reg(slot, 0x122, 2), 4u);  // queues
  EXPECT_EQ(read_reg(slot, 0x124, 4), VirtioBlock::kMaxDiscardSectors);
  EXPECT_EQ(read_reg(slot, 0x128, 4), VirtioBlock::kMaxDiscardRanges);
  EXPECT_EQ(read_reg(slot, 0x12c, 4), 1u);
  EXPECT_EQ(read_reg(slot, 0x130, 4), VirtioBlock::kMaxDiscardSectors);
  EXPECT_EQ(read_reg(slot, 0x134, 4), VirtioBlock::kMaxDiscardRanges);
  EXPECT_EQ(read_reg(slot, 0x138, 1), 1u);
  EXPECT_EQ(read_reg(slot, 0x140, 8), 0u);
  TestDisk locked(kDiskBytes, true);
  VirtioBlock other(locked, {.block_bytes = 4096});
  EXPECT_EQ(other.features(), u64{1} << 2 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10);
}

TEST_F(BlockTest, ReadsIntoScatteredBuffers) {
  start();
  const u64 a = driver.data(1000), b = driver.data(24), c = driver.data(512);
  EXPECT_EQ(request(0, 5, {{a, 1000, true}, {b, 24, true}, {c, 512, true}}), 0);
  EXPECT_EQ(used->bytes, 1537u);
  EXPECT_EQ(guest_bytes(*memory, a, 1000), disk_bytes(5, 1000));
  std::vector<u8> rest = guest_bytes(*memory, b, 24);
  const std::vector<u8> tail = guest_bytes(*memory, c, 512);
  rest.insert(rest.end(), tail.begin(), tail.end());
  const std::vector<u8> all = disk_bytes(5, 1536);
  EXPECT_EQ(rest, std::vector<u8>(all.begin() + 1000, all.end()));
  EXPECT_TRUE(wires.levels[1]);
}

TEST_F(BlockTest, AnyFramingOfTheRequest) {
  start();
  // Header in three pieces and joined with the data; status joined with the read data.
  const u64 head = header(1, 9);
  const std::vector<u8> bytes(512, 0x5a);
  const u64 joined = driver.data(8 + 512);
  memory->store<u64>(Pa(joined), 9);
  memory->write(Pa(joined + 8), bytes);
  const u64 status = driver.data(1);
  driver.add(0, {{head, 3}, {head + 3, 5}, {joined, 520}, {status, 1, true}});
  driver.kick(0);
  EXPECT_EQ(disk_bytes(9, 512), bytes);
  EXPECT_EQ(driver.take(0)->bytes, 1u);
  const u64 answer = driver.data(513);
  driver.add_indirect(0, {{header(0, 9), 16}, {answer, 513, true}});
  driver.kick(0);
  EXPECT_EQ(driver.take(0)->bytes, 513u);
  EXPECT_EQ(guest_bytes(*memory, answer, 512), bytes);
  EXPECT_EQ(guest_bytes(*memory, answer + 512, 1)[0], 0);
}

TEST_F(BlockTest, WritesAreFlushedOnlyWhenAskedIfTheDriverCanAsk) {
  start();
  const std::vector<u8> bytes(1024, 0xc3);
  const u64 from = driver.data(bytes);
  EXPECT_EQ(request(1, 100, {{from, 512}, {from + 512, 512}}), 0);
  EXPECT_EQ(used->bytes, 1u);
  EXPECT_EQ(disk_bytes(100, 1024), bytes);
  EXPECT_EQ(disk.flushes, 0u);
  EXPECT_EQ(request(4, 0, {}), 0);
  EXPECT_EQ(disk.flushes, 1u);
  start(0);  // a driver that cannot flush gets durable writes
  EXPECT_EQ(request(1, 100, {{from, 512}}), 0);
  EXPECT_EQ(disk.flushes, 2u);
}

TEST_F(BlockTest, Identification) {
  start();
  const u64 to = driver.data(20);
  EXPECT_EQ(request(8, 0, {{to, 20, true}}), 0);
  EXPECT_EQ(guest_text(*memory, to, 20), std::string("hartwood-disk-0\0\0\0\0\0", 20));
  EXPECT_EQ(used->bytes, 21u);
  memory->fill(Pa(to), 0xff, 20);
  EXPECT_EQ(request(8, 0, {{to, 8, true}}), 0);
  EXPECT_EQ(guest_text(*memory, to, 9), "hartwood\xff");
}

TEST_F(BlockTest, EndOfTheDisk) {
  start();
  const u64 to = driver.data(2048);
  const u64 last = kDiskBytes / 512 - 1;
  EXPECT_EQ(request(0, last, {{to, 512, true}}), 0);
  EXPECT_EQ(request(0, last, {{to, 1024, true}}), 1);
  EXPECT_EQ(used->bytes, 0u);
  EXPECT_EQ(request(0, last + 1, {{to, 512, true}}), 1);
  EXPECT_EQ(request(0, ~u64{0}, {{to, 512, true}}), 1);
  EXPECT_EQ(request(0, u64{1} << 55, {{to, 512, true}}), 1);  // wraps when multiplied by 512
  EXPECT_EQ(request(1, last, {{to, 1024}}), 1);
  EXPECT_EQ(request(0, last + 1, {}), 0);  // nothing at the end is nothing
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(BlockTest, PartialSectorsAndUnknownTypes) {
  start();
  const u64 to = driver.data(2048);
  EXPECT_EQ(request(0, 0, {{to, 511, true}}), 1);
  EXPECT_EQ(request(1, 0, {{to, 513}}), 1);
  for (const u32 type : {2u, 3u, 5u, 7u, 9u, 14u, 0x8000'0000u, 0xffff'ffffu}) {
    EXPECT_EQ(request(type, 0, {{to, 512, true}}), 2);
    EXPECT_EQ(used->bytes, 0u);
  }
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(BlockTest, BackEndErrorsAreReported) {
  start();
  const u64 to = driver.data(512);
  disk.fail = true;
  EXPECT_EQ(request(0, 0, {{to, 512, true}}), 1);
  EXPECT_EQ(request(1, 0, {{to, 512}}), 1);
  EXPECT_EQ(request(4, 0, {}), 1);
  disk.fail = false;
  EXPECT_EQ(request(0, 0, {{to, 512, true}}), 0);
}

TEST_F(BlockTest, DiscardAndWriteZeroes) {
  start();
  auto ranges = [&](const std::vector<std::array<u64, 3>>& list) {
    const u64 at = driver.data(16 * list.size());
    for (size_t i = 0; i < list.size(); i++) {
      memory->store<u64>(Pa(at + 16 * i), list[i][0]);
      memory->store<u32>(Pa(at + 16 * i + 8), static_cast<u32>(list[i][1]));
      memory->store<u32>(Pa(at + 16 * i + 12), static_cast<u32>(list[i][2]));
    }
    return std::vector<Buffer>{{at, static_cast<u32>(16 * list.size())}};
  };
  EXPECT_EQ(request(11, 0, ranges({{8, 2, 0}, {100, 1, 0}})), 0);
  EXPECT_EQ(disk.log, "discard 4096+1024;discard 51200+512;");
  disk.log.clear();
  EXPECT_EQ(request(13, 0, ranges({{8, 2, 1}, {1, 1, 0}})), 0);
  EXPECT_EQ(disk.log, "zero 4096+1024u;zero 512+512;");
  EXPECT_EQ(disk_bytes(8, 1024), std::vector<u8>(1024, 0));
  disk.log.clear();
  const u64 sectors = kDiskBytes / 512;
  EXPECT_EQ(request(11, 0, ranges({{8, 2, 1}})), 2);                   // unmap is not for discard
  EXPECT_EQ(request(13, 0, ranges({{8, 2, 2}})), 2);                   // a flag that does not exist
  EXPECT_EQ(request(13, 0, ranges({{0, 1, 0}, {sectors, 1, 0}})), 1);  // the second is beyond the end
  EXPECT_EQ(request(13, 0, ranges({{~u64{0}, 2, 0}})), 1);
  EXPECT_EQ(request(11, 0, ranges({{0, 0xffff'ffff, 0}})), 1);
  EXPECT_EQ(request(11, 0, ranges({{0, sectors, 0}, {0, 1, 0}})), 1);  // more than there is
  EXPECT_EQ(request(11, 0, {}), 1);
  EXPECT_EQ(request(11, 0, {{driver.data(24), 24}}), 1);
  EXPECT_EQ(request(11, 0, ranges(std::vector<std::array<u64, 3>>(257, {0, 1, 0}))), 1);
  EXPECT_EQ(disk.log, "");
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(BlockTest, ReadOnlyDiskRefusesChanges) {
  TestDisk locked(kDiskBytes, true);
  VirtioBlock other(locked);
  VirtioMmio other_slot(*memory, &other, InterruptLine(wires, 2));
  MockDriver other_driver(*memory, other_slot);
  other_driver.bring_up(0, 1, 64);
  const u64 data = other_driver.data(512);
  for (const u32 type : {1u, 11u, 13u}) {
    const u64 head = other_driver.data(16), status = other_driver.data(1);
    memory->fill(Pa(head), 0, 16);
    memory->store<u32>(Pa(head), type);
    memory->store<u8>(Pa(status), 0xee);
    other_driver.add(0, {{head, 16}, {data, 512}, {status, 1, true}});
    other_driver.kick(0);
    u8 result = 0xee;
    memory->load(Pa(status), result);
    EXPECT_EQ(result, 1) << type;
  }
  EXPECT_EQ(locked.log, "");
}

TEST_F(BlockTest, RequestWithoutHeaderOrStatusNeedsAReset) {
  start();
  driver.add(0, {{header(0, 0), 15}, {driver.data(1), 1, true}});
  driver.kick(0);
  EXPECT_TRUE(driver.needs_reset());
  start();
  driver.add(0, {{header(1, 0), 16}, {driver.data(512), 512}});
  driver.kick(0);
  EXPECT_TRUE(driver.needs_reset());
  start();
  driver.add(0, {{driver.data(512), 512, true}});
  driver.kick(0);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_EQ(driver.used_index(0), 0);
}

TEST_F(BlockTest, WritesToPagesWithCodeCountTheirGeneration) {
  start();
  const u64 page = align_up(driver.data(8192), 4096);
  const u64 number = (page - kRamBase) >> kPageShift;
  memory->set_page_state(number, kPageCode);
  const u32 before = memory->code_generation(number);
  EXPECT_EQ(request(0, 0, {{page, 512, true}}), 0);
  EXPECT_NE(memory->code_generation(number), before);
}

TEST_F(BlockTest, State) {
  start();
  const u64 to = driver.data(512);
  EXPECT_EQ(request(0, 1, {{to, 512, true}}), 0);
  VirtioBlock twin(disk, {.queues = 4});
  VirtioMmio other(*memory, &twin, InterruptLine());
  check_state(other, saved(slot));
  TestDisk smaller(512);
  VirtioBlock small(smaller, {.queues = 4});
  VirtioMmio small_slot(*memory, &small, InterruptLine());
  EXPECT_FALSE(restore(small_slot, saved(slot)));
}

TEST(MemoryBackend, Works) {
  MemoryBackend owned(std::vector<u8>(256 << 10));
  check_backend(owned);
  std::vector<u8> bytes(256 << 10);
  MemoryBackend in_place(std::span<u8>{bytes});
  check_backend(in_place);
  EXPECT_EQ(bytes[4096 + (150 << 10)], 1);
  MemoryBackend locked(std::vector<u8>(512), true);
  EXPECT_TRUE(locked.read_only());
  EXPECT_FALSE(locked.write(0, std::vector<u8>(512)));
  EXPECT_FALSE(locked.write_zeroes(0, 512, false));
}

}  // namespace
}  // namespace hartwood::device_test
