// SPDX-License-Identifier: Apache-2.0
// Writes the tree again, node by node. The reader limits the depth, so the recursion is bounded.
#include "fdt/fdt_chosen.h"

#include <algorithm>

#include "fdt/fdt_builder.h"

namespace hartwood {
namespace {

class Rewriter {
 public:
  Rewriter(const FdtReader& tree, const FdtChosen& chosen) : tree_(tree), chosen_(chosen) {}

  Result<std::vector<u8>> run() {
    for (const FdtReservation& entry : tree_.reservations()) builder_.reserve(entry.address, entry.bytes);
    builder_.set_boot_hart(tree_.boot_hart());
    write(0);
    return builder_.finish();
  }

 private:
  bool replaces(std::string_view name) const {
    return (name == "bootargs" && chosen_.bootargs) || name == "linux,initrd-start" || name == "linux,initrd-end" ||
           (name == "rng-seed" && !chosen_.rng_seed.empty());
  }

  void write_ours() {
    if (chosen_.bootargs) builder_.property_string("bootargs", *chosen_.bootargs);
    if (chosen_.initrd) {
      builder_.property_u64("linux,initrd-start", chosen_.initrd->start);
      builder_.property_u64("linux,initrd-end", chosen_.initrd->end);
    }
    if (!chosen_.rng_seed.empty()) builder_.property_bytes("rng-seed", chosen_.rng_seed);
  }

  void write(FdtNodeIndex index) {
    const FdtReader::Node& node = tree_.node(index);
    const bool is_chosen = node.parent == 0 && node.name == "chosen";
    builder_.begin_node(node.name);
    for (const FdtProperty& each : tree_.properties(index))
      if (!is_chosen || !replaces(each.name)) builder_.property_bytes(each.name, each.value);
    if (is_chosen) write_ours();
    bool has_chosen = false;
    for (FdtNodeIndex child = node.first_child; child != FdtReader::kNone; child = tree_.node(child).next_sibling) {
      has_chosen |= tree_.node(child).name == "chosen";
      write(child);
    }
    if (index == 0 && !has_chosen) {
      builder_.begin_node("chosen");
      write_ours();
      builder_.end_node();
    }
    builder_.end_node();
  }

  const FdtReader& tree_;
  const FdtChosen& chosen_;
  FdtBuilder builder_{FdtNames::as_found};
};

}  // namespace

Result<std::vector<u8>> fdt_with_chosen(const FdtReader& tree, const FdtChosen& chosen) {
  return Rewriter(tree, chosen).run();
}

}  // namespace hartwood
