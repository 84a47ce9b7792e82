// SPDX-License-Identifier: Apache-2.0
#include "boot/elf.h"

#include <algorithm>

#include "base/elf_format.h"

namespace hartwood {
namespace {

using ull = unsigned long long;

Result<elf::FileHeader> parse_file_header(std::span<const u8> file) {
  const auto header = elf::record<elf::FileHeader>(file, 0);
  if (file.size() < 4 || file[0] != 0x7f || file[1] != 'E' || file[2] != 'L' || file[3] != 'F')
    return errorf("not an ELF file");
  if (!header) return errorf("the ELF file is cut off in its header");
  if (header->ident[elf::kClassAt] == elf::kClass32)
    return errorf("the ELF file is 32-bit; this machine runs 64-bit RISC-V (riscv64) files");
  if (header->ident[elf::kDataAt] == elf::kBigEndian)
    return errorf("the ELF file is big-endian; this machine runs little-endian files");
  if (header->ident[elf::kClassAt] != elf::kClass64 || header->ident[elf::kDataAt] != elf::kLittleEndian ||
      header->ident[elf::kVersionAt] != 1)
    return errorf("the ELF file's header is damaged");
  if (header->machine != elf::kMachineRiscv)
    return errorf("the ELF file is for another processor (machine number %u); build it for riscv64", header->machine);
  if (header->flags & elf::kFlagRve)
    return errorf("the ELF file uses RV64E, with half of the registers; build it for RV64I");
  if (header->type == elf::kTypeObject)
    return errorf("the ELF file is an object file (.o); link it to a program first");
  if (header->type != elf::kTypeExecutable && header->type != elf::kTypeDynamic)
    return errorf("the ELF file is neither a program nor position-independent (type %u)", header->type);
  return *header;
}

Result<std::vector<ElfSegment>> parse_segments(std::span<const u8> file, const elf::FileHeader& header) {
  if (header.program_header_count == 0) return errorf("the ELF file has no program headers, so nothing to load");
  if (header.program_header_bytes != sizeof(elf::ProgramHeader) ||
      header.program_header_count == elf::kManyProgramHeaders ||
      !elf::within(header.program_headers_at, u64{header.program_header_count} * sizeof(elf::ProgramHeader),
                   file.size()))
    return errorf("the ELF file's program headers are damaged or cut off");

  std::vector<ElfSegment> segments;
  std::optional<ElfSegment> header_page;
  for (u64 i = 0; i < header.program_header_count; i++) {
    const auto ph = elf::record<elf::ProgramHeader>(file, header.program_headers_at + i * sizeof(elf::ProgramHeader));
    if (!ph) return errorf("the ELF file's program headers are cut off");
    if (ph->type == elf::kSegmentInterpreter)
      return errorf("the ELF file is a program for a running Linux (it asks for a dynamic loader), not a kernel");
    if (ph->type != elf::kSegmentLoad || (ph->memory_bytes == 0 && ph->file_bytes == 0)) continue;
    if (ph->file_bytes > ph->memory_bytes)
      return errorf("segment %llu of the ELF file is larger in the file than in memory", ull{i});
    if (!elf::within(ph->offset, ph->file_bytes, file.size()))
      return errorf("segment %llu of the ELF file lies behind the file's end; the file is cut off or damaged", ull{i});
    const u64 last = ph->memory_bytes - 1;
    if (ph->physical_address + last < ph->physical_address || ph->virtual_address + last < ph->virtual_address)
      return errorf("segment %llu of the ELF file wraps around the end of the address space", ull{i});
    const ElfSegment segment{ph->offset, ph->file_bytes, ph->memory_bytes, Va(ph->virtual_address),
                             Pa(ph->physical_address)};
    // Linkers put the file's own headers and its build id into a page of their own, far from a text segment
    // that was given an address. Nothing of a bare-metal program refers to it.
    const bool is_header_page = ph->offset == 0 && ph->flags == elf::kFlagReadable && ph->memory_bytes <= kPageBytes &&
                                ph->physical_address < kRamBase;
    if (is_header_page)
      header_page = segment;
    else
      segments.push_back(segment);
  }
  // Without a program in RAM it is a part like any other.
  const bool in_ram =
      std::any_of(segments.begin(), segments.end(), [](const ElfSegment& each) { return each.pa.value >= kRamBase; });
  if (header_page && !in_ram) segments.push_back(*header_page);
  if (segments.empty()) return errorf("the ELF file has no segment to load");
  std::sort(segments.begin(), segments.end(), [](const ElfSegment& a, const ElfSegment& b) { return a.pa < b.pa; });
  for (size_t i = 1; i < segments.size(); i++)
    if (segments[i].pa.value - segments[i - 1].pa.value < segments[i - 1].memory_bytes)
      return errorf("two segments of the ELF file overlap at physical address 0x%llx", ull{segments[i].pa.value});
  // Keeps sums of addresses and sizes from here on far from 2^64.
  const u64 first = segments.front().pa.value;
  const u64 last = segments.back().pa.value + (segments.back().memory_bytes - 1);
  if (last - first >= kMaxRamBytes)
    return errorf(
        "the ELF file's segments lie at physical addresses 0x%llx to 0x%llx, farther apart than any RAM is "
        "large",
        ull{first}, ull{last});
  return segments;
}

}  // namespace

PaRange ElfImage::extent() const {
  const ElfSegment& last = segments.back();
  return {segments.front().pa, last.pa.value - segments.front().pa.value + last.memory_bytes};
}

std::optional<Pa> ElfImage::physical(Va va) const {
  for (const ElfSegment& each : segments)
    if (va.value - each.va.value < each.memory_bytes) return each.pa + (va.value - each.va.value);
  return std::nullopt;
}

Result<ElfImage> parse_elf(std::span<const u8> file) {
  const Result<elf::FileHeader> header = parse_file_header(file);
  if (!header) return header.error();
  Result<std::vector<ElfSegment>> segments = parse_segments(file, *header);
  if (!segments) return segments.error();

  ElfImage image;
  image.segments = std::move(*segments);
  image.entry = Va(header->entry);
  // The entry is a virtual address, but some linkers' scripts give it as a physical one.
  std::optional<Pa> entry = image.physical(image.entry);
  for (const ElfSegment& each : image.segments)
    if (!entry && header->entry - each.pa.value < each.memory_bytes) entry = Pa(header->entry);
  if (!entry || entry->value % 2 != 0)
    return errorf("the ELF file's entry 0x%llx is odd or in none of its segments", ull{header->entry});
  image.entry_pa = *entry;
  const bool upper_half = static_cast<i64>(image.segments.front().va.value) < 0;
  image.movable = header->type == elf::kTypeDynamic || upper_half;
  return image;
}

Result<u64> elf_bias(const ElfImage& image, u64 ram_base, u64 ram_bytes, Pa fallback) {
  const PaRange extent = image.extent();
  if (elf::within(extent.start.value - ram_base, extent.bytes, ram_bytes)) return u64{0};
  const ull first = extent.start.value, last = extent.start.value + (extent.bytes - 1);
  const ull ram_last = ram_base + (ram_bytes - 1);
  if (!image.movable || fallback.value < ram_base) {
    if (extent.start.value < ram_base)
      return errorf(
          "the ELF file is linked for physical addresses 0x%llx to 0x%llx, but RAM begins at 0x%llx; link it "
          "there (programs for a running Linux cannot be booted)",
          first, last, ull{ram_base});
    return errorf("the ELF file needs physical addresses up to 0x%llx, but RAM ends at 0x%llx; choose more memory",
                  last, ram_last);
  }
  const u64 start = fallback.value + extent.start.page_offset();
  if (!elf::within(start - ram_base, extent.bytes, ram_bytes))
    return errorf("the ELF file needs %llu MiB of memory from 0x%llx on, but RAM ends at 0x%llx; choose more memory",
                  static_cast<ull>((extent.bytes >> 20) + 1), ull{start}, ram_last);
  return start - extent.start.value;
}

Result<LoadedElf> load_elf(GuestMemory& memory, std::span<const u8> file, const ElfImage& image, u64 bias) {
  const PaRange extent{image.extent().start + bias, image.extent().bytes};
  if (!memory.contains(extent.start, extent.bytes))
    return errorf("the ELF file would be loaded outside RAM, at 0x%llx", ull{extent.start.value});
  for (const ElfSegment& each : image.segments) {
    if (!elf::within(each.file_offset, each.file_bytes, file.size())) return errorf("the ELF file has changed");
    const Pa at = each.pa + bias;
    const bool copied = memory.write(at, file.subspan(each.file_offset, each.file_bytes)) &&
                        memory.fill(at + each.file_bytes, 0, each.memory_bytes - each.file_bytes);
    HW_CHECK(copied, "a segment inside the extent is not in RAM");
  }
  return LoadedElf{image.entry_pa + bias, extent, bias};
}

Result<LoadedElf> load_elf(GuestMemory& memory, std::span<const u8> file) {
  const Result<ElfImage> image = parse_elf(file);
  if (!image) return image.error();
  const Result<u64> bias = elf_bias(*image, kRamBase, memory.size(), Pa(kRamBase));
  if (!bias) return bias.error();
  return load_elf(memory, file, *image, *bias);
}

}  // namespace hartwood
