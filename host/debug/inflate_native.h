// SPDX-License-Identifier: Apache-2.0
// Natively, the decompression of debug sections, by zlib. In a browser the page does it, with DecompressionStream,
// before it hands the file to the core.
#pragma once

#include "base/result.h"
#include "debug/elf_file.h"

namespace hartwood {

// Provides every section that zlib can decompress. Errors: the first that is damaged; one of another compression, which
// stays unreadable. The others are provided all the same.
Status inflate_sections(ElfFile& file);

}  // namespace hartwood
