// SPDX-License-Identifier: Apache-2.0
// What only a native build has: the file back end and the operating system's entropy.
#include <unistd.h>

#include <cstdio>

#include "backend_check.h"
#include "devices/entropy.h"

namespace hartwood::device_test {
namespace {

struct TemporaryFile {
  explicit TemporaryFile(i64 bytes) {
    const int file = mkstemp(path);
    EXPECT_GE(file, 0);
    EXPECT_EQ(ftruncate(file, bytes), 0);
    close(file);
  }
  ~TemporaryFile() { std::remove(path); }
  char path[32] = "/tmp/hartwood-disk-XXXXXX";
};

TEST(FileBackend, Works) {
  const TemporaryFile file(256 << 10);
  {
    auto backend = FileBackend::open(file.path, false);
    ASSERT_TRUE(backend.ok()) << backend.message();
    check_backend(**backend);
    EXPECT_TRUE((*backend)->write(0, as_bytes("kept")));
  }
  auto locked = FileBackend::open(file.path, true);
  ASSERT_TRUE(locked.ok());
  EXPECT_TRUE((*locked)->read_only());
  u8 bytes[4];
  EXPECT_TRUE((*locked)->read(0, bytes));
  EXPECT_EQ(std::string(bytes, bytes + 4), "kept");
  EXPECT_FALSE((*locked)->write(0, bytes));
  EXPECT_FALSE((*locked)->discard(0, 512));
  EXPECT_FALSE((*locked)->write_zeroes(0, 512, false));
  EXPECT_TRUE((*locked)->flush());
  EXPECT_EQ(truncate(file.path, 512), 0);  // the file shrinks under the disk
  EXPECT_FALSE((*locked)->read(1024, bytes));
}

TEST(FileBackend, SaysWhatIsWrong) {
  const auto missing = FileBackend::open("/nonexistent/disk", false);
  EXPECT_FALSE(missing.ok());
  EXPECT_NE(missing.message().find("/nonexistent/disk"), std::string::npos);
  EXPECT_FALSE(FileBackend::open("/dev/null", false).ok());
  EXPECT_FALSE(FileBackend::open("/tmp", true).ok());
  const TemporaryFile odd(1000);
  const auto result = FileBackend::open(odd.path, false);
  EXPECT_FALSE(result.ok());
  EXPECT_NE(result.message().find("512"), std::string::npos);
}

TEST(NativeEntropy, BytesDiffer) {
  NativeEntropy source;
  std::array<u8, 32> a{}, b{};
  EXPECT_EQ(source.fill(a), 32u);
  EXPECT_EQ(source.fill(b), 32u);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace hartwood::device_test
