// SPDX-License-Identifier: Apache-2.0
#include "debug/inflate_native.h"

#include <zlib.h>

namespace hartwood {

Status inflate_sections(ElfFile& file) {
  Status result;
  for (const ElfFile::Compressed& each : file.compressed()) {
    const std::string name(file.sections()[each.section].name);
    Status done;
    if (each.algorithm != 1) {
      done = errorf("section %s is compressed by Zstandard, which is not supported", name.c_str());
    } else {
      std::vector<u8> bytes(static_cast<size_t>(each.bytes));
      uLongf length = bytes.size();
      const int code = uncompress(bytes.data(), &length, each.stream.data(), each.stream.size());
      if (code != Z_OK || length != bytes.size())
        done = errorf("section %s cannot be decompressed", name.c_str());
      else
        done = file.provide(each.section, std::move(bytes));
    }
    if (!done.ok() && result.ok()) result = done;
  }
  return result;
}

}  // namespace hartwood
