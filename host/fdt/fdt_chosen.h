// SPDX-License-Identifier: Apache-2.0
// Puts what only the loader knows - command line, initrd, random seed - into the /chosen node of a device
// tree that the user gave, and leaves everything else as it was, in its order. Pure function, any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "fdt/fdt_reader.h"

namespace hartwood {

struct FdtInitrd {
  u64 start = 0;  // guest physical, in bytes
  u64 end = 0;    // the first byte behind it
};

// [devicetree: /chosen Node] and the kernel's linux,initrd-start, linux,initrd-end and rng-seed.
struct FdtChosen {
  std::optional<std::string> bootargs;  // absent: as the file has it
  std::optional<FdtInitrd> initrd;      // absent: removed, because the addresses in the file were another loader's
  std::vector<u8> rng_seed;             // empty: as the file has it
};

// The tree with that /chosen, made if it has none. Fails if the tree would grow beyond 2 MiB, or has a node
// or a property twice.
Result<std::vector<u8>> fdt_with_chosen(const FdtReader& tree, const FdtChosen& chosen);

}  // namespace hartwood
