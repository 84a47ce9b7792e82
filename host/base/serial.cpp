// SPDX-License-Identifier: Apache-2.0
// Section layout: tag[4], u32 version, u64 length of what follows, the fields.
#include "base/serial.h"

#include "base/bits.h"
#include "base/check.h"

namespace hartwood {

void StateWriter::append(const void* data, size_t size) {
  if (size == 0) return;
  const auto* from = static_cast<const u8*>(data);
  bytes_.insert(bytes_.end(), from, from + size);
}

void StateWriter::begin(const char (&tag)[5], u32 version) {
  append(tag, 4);
  put(version);
  length_at_ = bytes_.size();
  put(u64{0});
}

void StateWriter::end() {
  HW_CHECK(length_at_ != 0, "end of a section that was not begun");
  store_le<u64>(bytes_.data() + length_at_, bytes_.size() - length_at_ - sizeof(u64));
  length_at_ = 0;
}

void StateWriter::put_bytes(std::span<const u8> data) {
  put<u64>(data.size());
  append(data.data(), data.size());
}

void StateReader::fail(const char* why) {
  if (error_.empty()) error_ = why;
}

void StateReader::take(void* data, size_t size) {
  if (failed() || size > section_end_ - position_) {
    fail("saved state is shorter than expected");
    std::memset(data, 0, size);
    return;
  }
  std::memcpy(data, bytes_.data() + position_, size);
  position_ += size;
}

u32 StateReader::begin(const char (&tag)[5], u32 newest) {
  constexpr size_t kHeader = 4 + sizeof(u32) + sizeof(u64);
  if (failed()) return 0;
  if (bytes_.size() - position_ < kHeader) {
    fail("saved state ends before a section");
    return 0;
  }
  const u8* at = bytes_.data() + position_;
  if (std::memcmp(at, tag, 4) != 0) {
    fail("saved state has another section than expected");
    return 0;
  }
  const u32 version = load_le<u32>(at + 4);
  const u64 length = load_le<u64>(at + 8);
  if (version == 0 || version > newest) {
    fail("saved state was written by a newer version");
    return 0;
  }
  position_ += kHeader;
  if (length > bytes_.size() - position_) {
    fail("saved state is cut off");
    return 0;
  }
  section_end_ = position_ + length;
  return version;
}

void StateReader::end() {
  if (failed()) return;
  if (position_ != section_end_) fail("saved state has more fields than expected");
}

std::vector<u8> StateReader::get_bytes(u64 limit) {
  const u64 size = get<u64>();
  if (failed()) return {};
  if (size > limit || size > section_end_ - position_) {
    fail("saved state has an impossible length");
    return {};
  }
  std::vector<u8> data(bytes_.begin() + static_cast<std::ptrdiff_t>(position_),
                       bytes_.begin() + static_cast<std::ptrdiff_t>(position_ + size));
  position_ += size;
  return data;
}

}  // namespace hartwood
