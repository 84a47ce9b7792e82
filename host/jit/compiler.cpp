// SPDX-License-Identifier: Apache-2.0
#include "jit/compiler.h"

#include <algorithm>
#include <map>

namespace hartwood::jit {

std::vector<Region> gather_regions(const Window& window, std::vector<u32> wanted, const IsaOptions& isa,
                                   const CompilerOptions& options, const SeenTargets& seen) {
  std::vector<Region> regions;
  u32 instructions = 0;
  for (size_t i = 0; i < wanted.size() && regions.size() < options.module_regions; i++) {
    RegionLimits limits = options.limits;
    if (i != 0) {
      if (instructions >= options.module_instructions) break;
      limits.instructions = std::min(limits.instructions, options.module_instructions - instructions);
    }
    Region region = discover(window, wanted[i], isa, limits, seen);
    if (region.blocks.empty()) {
      if (i == 0) return {};
      continue;
    }
    instructions += region.instructions();
    for (const Block& block : region.blocks) {
      if (block.end.kind != Exit::call && block.end.kind != Exit::go) continue;
      const i32 target = block.end.target;
      if (target < 0 || !window.has(static_cast<u32>(target)) || !window.executed(static_cast<u32>(target))) continue;
      if (std::find(wanted.begin(), wanted.end(), static_cast<u32>(target)) == wanted.end())
        wanted.push_back(static_cast<u32>(target));
    }
    lift(region, isa, options.lift);
    regions.push_back(std::move(region));
  }
  return regions;
}

void Compiler::set_passes(u32 passes) {
  const auto has = [&](Pass pass) { return (passes & pass) != 0; };
  target_.group_accesses = has(kGroupAccesses);
  target_.hoist_frames = has(kHoistFrames);
  target_.delay_values = has(kDelayValues);
  target_.narrow_words = has(kNarrowWords);
  target_.track_registers = has(kTrackRegisters);
  target_.store_at_once = has(kStoreAtOnce);
  options_.limits.inline_calls = has(kInlineCalls);
  options_.limits.ways_in = has(kWaysIn);
  options_.lift.inline_float = has(kInlineFloat);
  options_.lift.fold_constants = has(kFoldConstants);
}

u32 Compiler::compile_next() {
  Request request;
  SeenTargets seen;
  while (registry_.take(request, seen)) {
    const u32 id = compile(request, seen);
    if (id != 0) return id;
    registry_.failed(request);
  }
  return 0;
}

namespace {

// Whether `place` is a block of the region, and control does not come back from there to the region's entry. If it
// does, both lie in one loop, and a region that enters it in the middle would have a worse shape than the two apart.
bool leads_to(const Region& region, i32 place) {
  const auto begin = region.blocks.begin();
  const auto at = std::find_if(begin, region.blocks.end(), [&](const Block& block) { return block.offset == place; });
  if (at == region.blocks.end() || at->guest.empty()) return false;
  std::vector<bool> met(region.blocks.size());
  std::vector<u32> left = {static_cast<u32>(at - begin)};
  while (!left.empty()) {
    const u32 number = left.back();
    left.pop_back();
    if (number == 0) return false;
    if (met[number]) continue;
    met[number] = true;
    for (const u32 next : successors(region.blocks[number])) left.push_back(next);
  }
  return true;
}

}  // namespace

const Request::Grown* Compiler::joined(const Window& window, const Request& request, const SeenTargets& seen) {
  for (const Request::Grown& grown : request.grown) {
    if (!window.has(grown.entry)) continue;
    const Region region = discover(window, grown.entry, isa_, options_.limits, seen);
    if (leads_to(region, static_cast<i32>(request.entry)) && registry_.replace(grown.module)) return &grown;
  }
  return nullptr;
}

u32 Compiler::compile(const Request& request, const SeenTargets& seen) {
  Window window;
  window.pages = request.pages;
  window.executed_halfwords = request.executed;
  for (u32 i = 0; i < kWindowPages; i++) {
    const u64 page = request.pages[i];
    if (page == kNoPage || page >= memory_.page_count()) continue;
    memory_.require_page(page);
    memory_.set_page_state(page, kPageCode);
    window.copy_page(i, memory_.ram() + (page << kPageShift));
  }
  if (!window.has(request.entry)) return 0;
  window.left_out = registry_.left_out(request.pages);
  std::vector<Region> regions;
  const Request::Grown* const grown = joined(window, request, seen);
  if (grown != nullptr) {
    CompilerOptions options = options_;
    options.module_instructions += options.joined_instructions;
    options.module_regions += options.joined_regions;
    regions = gather_regions(window, {grown->entry, request.entry}, isa_, options, seen);
  } else {
    regions = gather_regions(window, {request.entry}, isa_, options_, seen);
  }
  if (regions.empty()) return 0;
  const u32 slot = registry_.allocate_slots(static_cast<u32>(regions.size()));
  if (slot == 0) return 0;
  EmittedModule emitted = lower(regions, slot, target_);

  auto module = std::make_unique<CompiledModule>();
  module->slot = slot;
  module->slots = static_cast<u32>(regions.size());
  if (grown != nullptr) module->replaces = grown->module;
  module->pages.fill(kNoPage);
  // The instructions' bytes as few ranges.
  std::map<u32, u32> bytes;
  for (u32 i = 0; i < regions.size(); i++) module->entries.push_back({regions[i].entry, i});
  for (u32 i = 0; i < regions.size(); i++) {
    const Region& region = regions[i];
    for (u32 way = 0; way < region.ways_in.size(); way++) {
      const u32 offset = static_cast<u32>(region.blocks[region.ways_in[way]].offset);
      if (std::ranges::find(module->entries, offset, &CompiledModule::Entry::offset) != module->entries.end()) continue;
      module->entries.push_back({offset, i | (way + 1) << kWayShift});
    }
    for (const Block& block : region.blocks) {
      const i32 to = block.end.target;
      if (block.end.cold && to >= 0 && window.has(static_cast<u32>(to)))
        module->cold.push_back({static_cast<u32>(to), request.pages[static_cast<u32>(to) >> kPageShift]});
      for (const GuestInsn& guest : block.guest) {
        u32& length = bytes[static_cast<u32>(guest.offset)];
        length = std::max(length, u32{guest.length});
      }
    }
  }
  for (const auto& [offset, length] : bytes) {
    if (!module->ranges.empty()) {
      CompiledModule::Range& last = module->ranges.back();
      if (offset <= last.offset + last.bytes) {
        last.bytes = std::max(last.bytes, offset + length - last.offset);
        continue;
      }
    }
    module->ranges.push_back({offset, length});
  }
  for (const CompiledModule::Range& range : module->ranges) {
    module->source.insert(module->source.end(), window.at(range.offset), window.at(range.offset) + range.bytes);
    for (u32 page = range.offset >> kPageShift; page <= (range.offset + range.bytes - 1) >> kPageShift; page++)
      module->pages[page] = request.pages[page];
  }
  module->leaves_out = !window.left_out.empty();
  module->emitted_bytes = static_cast<u32>(emitted.bytes.size());
  bytes_ = std::move(emitted.bytes);
  return registry_.publish(std::move(module));
}

}  // namespace hartwood::jit
