// SPDX-License-Identifier: Apache-2.0
// The files are looked at once; what they need is then fitted into RAM of the given size, and, if that fails
// for lack of room, into every larger size, to be able to name the smallest that would do.
#include "boot/boot_plan.h"

#include <algorithm>

#include "boot/image_kind.h"
#include "boot/linux_image.h"

namespace hartwood {
namespace {

using ull = unsigned long long;

// The device tree and initrd stay below this on a board with more RAM, as on QEMU's.
constexpr u64 kLowMemoryEnd = u64{3} << 30;
// Firmware uses stacks and heap behind what its file shows, at least up to the next 2 MiB.
constexpr u64 kFirmwareAlignment = kKernelAlignment;

u64 rounded_mib(u64 bytes) { return (bytes + ((u64{1} << 20) - 1)) >> 20; }

struct Program {
  ImageKind kind = ImageKind::unknown;
  ElfImage elf;
  LinuxImage image;
  u64 file_bytes = 0;
};

bool is_m_mode_image(const Program& kernel) {
  return kernel.kind == ImageKind::linux_image && kernel.image.text_offset == 0;
}

Result<Program> examine(std::span<const u8> file, const char* what) {
  Program program;
  program.kind = detect_image(file);
  program.file_bytes = file.size();
  if (Status status = require_uncompressed(program.kind, what); !status) return status.error();
  if (program.kind == ImageKind::fdt) return errorf("the file given as %s is a device tree", what);
  if (program.kind == ImageKind::elf) {
    Result<ElfImage> elf = parse_elf(file);
    if (!elf) return errorf("the %s cannot be booted: %s", what, elf.message().c_str());
    program.elf = std::move(*elf);
  } else if (program.kind == ImageKind::linux_image) {
    const Result<LinuxImage> image = parse_linux_image(file);
    if (!image) return errorf("the %s cannot be booted: %s", what, image.message().c_str());
    program.image = *image;
  }
  return program;
}

struct Files {
  Program firmware;
  Program kernel;
  u64 initrd_bytes = 0;
};

Result<Files> examine_files(const BootRequest& request) {
  Files files;
  files.initrd_bytes = request.initrd.size();
  if (request.mode == BootMode::firmware) {
    if (request.firmware.empty()) return errorf("the firmware file is empty; give OpenSBI's fw_dynamic.bin or .elf");
    Result<Program> firmware = examine(request.firmware, "firmware");
    if (!firmware) return firmware.error();
    if (firmware->kind == ImageKind::linux_image)
      return errorf("the file given as firmware is a Linux kernel; give it as the kernel");
    files.firmware = std::move(*firmware);
    if (request.kernel.empty()) return files;
  } else if (!request.firmware.empty()) {
    return errorf("a firmware file was given for a boot without one");
  }
  if (request.kernel.empty()) return errorf("the kernel file is empty or missing");
  Result<Program> kernel = examine(request.kernel, "kernel");
  if (!kernel) return kernel.error();
  if (kernel->kind == ImageKind::unknown && request.mode != BootMode::firmware)
    return errorf(
        "the kernel is neither an ELF file nor a Linux Image for RISC-V; the file may be damaged, or built "
        "for another processor");
  if (is_m_mode_image(*kernel) && request.mode != BootMode::bare)
    return errorf(
        "the kernel is a Linux Image for M-mode (without MMU); boot it without firmware, or give one that is "
        "built for S-mode");
  if (kernel->kind == ImageKind::linux_image && !is_m_mode_image(*kernel) && request.mode == BootMode::bare)
    return errorf(
        "the kernel is a Linux Image, which needs SBI calls; boot it with the built-in ones or a firmware "
        "file");
  files.kernel = std::move(*kernel);
  return files;
}

// One attempt with RAM of one size.
class Fit {
 public:
  Fit(const Files& files, BootMode mode, u64 ram_bytes) : files_(files), ram_bytes_(ram_bytes) { plan_.mode = mode; }

  Result<Placement> run() {
    const u64 low_end = std::min(kRamBase + ram_bytes_, kLowMemoryEnd);
    plan_.device_tree = {Pa(low_end - kDeviceTreeWindow), kDeviceTreeWindow};
    if (plan_.mode == BootMode::firmware)
      if (Status status = place_firmware(); !status) return status.error();
    if (files_.kernel.file_bytes != 0)
      if (Status status = place_kernel(); !status) return status.error();
    plan_.entry = plan_.mode == BootMode::firmware ? firmware_entry_ : plan_.kernel_entry;
    if (Status status = check_overlap(plan_.firmware, "firmware", plan_.device_tree, "device tree"); !status)
      return status.error();
    if (Status status = check_overlap(plan_.kernel, "kernel", plan_.firmware, "firmware"); !status)
      return status.error();
    if (Status status = check_overlap(plan_.kernel, "kernel", plan_.device_tree, "device tree"); !status)
      return status.error();
    if (Status status = place_initrd(); !status) return status.error();
    return plan_;
  }
  // The last failure was for lack of RAM, so that more of it might help.
  bool more_ram_may_help() const { return more_ram_may_help_; }

 private:
  Status check_overlap(const PaRange& a, const char* a_name, const PaRange& b, const char* b_name) {
    if (!a.overlaps(b)) return {};
    more_ram_may_help_ = a == plan_.device_tree || b == plan_.device_tree;
    return errorf("the %s at 0x%llx to 0x%llx overlaps the %s at 0x%llx to 0x%llx; %s", a_name, ull{a.start.value},
                  ull{a.end().value - 1}, b_name, ull{b.start.value}, ull{b.end().value - 1},
                  more_ram_may_help_ ? "choose more memory" : "link it for 0x80200000 or above");
  }

  Status require_in_ram(const PaRange& range, const char* name) {
    const u64 offset = range.start.value - kRamBase;
    if (offset <= ram_bytes_ && range.bytes <= ram_bytes_ - offset) return {};
    more_ram_may_help_ = true;
    return errorf("the %s needs %llu MiB from 0x%llx on, more than there is of RAM; choose more memory", name,
                  ull{rounded_mib(range.bytes)}, ull{range.start.value});
  }

  // `fallback`: where a movable ELF file goes that is not linked for RAM.
  Status place_elf(const Program& program, const char* name, Pa fallback, PaRange& range, Pa& entry, u64& bias) {
    const Result<u64> moved = elf_bias(program.elf, kRamBase, ram_bytes_, fallback);
    if (!moved) {
      more_ram_may_help_ = true;
      return errorf("the %s cannot be booted: %s", name, moved.message().c_str());
    }
    bias = *moved;
    range = {program.elf.extent().start + bias, program.elf.extent().bytes};
    entry = program.elf.entry_pa + bias;
    return {};
  }

  Status place_firmware() {
    const Program& firmware = files_.firmware;
    if (firmware.kind == ImageKind::elf) {
      Status status =
          place_elf(firmware, "firmware", Pa(kRamBase), plan_.firmware, firmware_entry_, plan_.firmware_bias);
      if (!status) return status;
    } else {
      plan_.firmware = {Pa(kRamBase), firmware.file_bytes};
      firmware_entry_ = Pa(kRamBase);
    }
    const u64 end = align_up(plan_.firmware.end().value, kFirmwareAlignment);
    plan_.firmware.bytes = end - plan_.firmware.start.value;
    return require_in_ram(plan_.firmware, "firmware");
  }

  Status place_kernel() {
    const Program& kernel = files_.kernel;
    // Behind the firmware, and never at the very start of RAM, which an S-mode kernel leaves to whoever is
    // below it.
    const Pa usual(std::max(kRamBase + kKernelAlignment, align_up(plan_.firmware.end().value, kKernelAlignment)));
    if (kernel.kind == ImageKind::elf)
      return place_elf(kernel, "kernel", plan_.mode == BootMode::bare ? Pa(kRamBase) : usual, plan_.kernel,
                       plan_.kernel_entry, plan_.kernel_bias);
    if (kernel.kind == ImageKind::linux_image) {
      const u64 start = kRamBase + kernel.image.text_offset;
      plan_.kernel = {is_m_mode_image(kernel) ? Pa(kRamBase) : Pa(std::max(start, usual.value)),
                      kernel.image.memory_bytes};
    } else {
      plan_.kernel = {usual, kernel.file_bytes};
    }
    plan_.kernel_entry = plan_.kernel.start;
    return require_in_ram(plan_.kernel, "kernel");
  }

  // As high as possible below the device tree, so that the kernel's first allocations lie between.
  Status place_initrd() {
    if (files_.initrd_bytes == 0) return {};
    const u64 ceiling = plan_.device_tree.start.value;
    u64 floor = kRamBase;
    for (const PaRange& below : {plan_.kernel, plan_.firmware})
      if (below.start.value < ceiling) floor = std::max(floor, align_up(below.end().value, kPageBytes));
    if (floor > ceiling || files_.initrd_bytes > ceiling - floor) {
      more_ram_may_help_ = true;
      return errorf(
          "the initrd of %llu MiB does not fit between the kernel and the device tree, where %llu MiB are "
          "free",
          ull{rounded_mib(files_.initrd_bytes)}, ull{floor > ceiling ? 0 : (ceiling - floor) >> 20});
    }
    plan_.initrd = {Pa(align_down(ceiling - files_.initrd_bytes, kPageBytes)), files_.initrd_bytes};
    return {};
  }

  const Files& files_;
  const u64 ram_bytes_;
  Placement plan_;
  Pa firmware_entry_;
  bool more_ram_may_help_ = false;
};

}  // namespace

Result<Placement> plan_boot(const BootRequest& request) {
  HW_CHECK(is_power_of_two(request.ram_bytes) && request.ram_bytes >= kMinRamBytes && request.ram_bytes <= kMaxRamBytes,
           "RAM of a size that GuestMemory does not have");
  const Result<Files> files = examine_files(request);
  if (!files) return files.error();
  Fit fit(*files, request.mode, request.ram_bytes);
  Result<Placement> plan = fit.run();
  if (plan || !fit.more_ram_may_help()) return plan;
  for (u64 larger = request.ram_bytes * 2; larger <= kMaxRamBytes; larger *= 2)
    if (Fit(*files, request.mode, larger).run())
      return errorf("%llu MiB of memory are too little: %s (%llu MiB would do)", ull{request.ram_bytes >> 20},
                    plan.message().c_str(), ull{larger >> 20});
  return plan;
}

namespace {

Status load_program(GuestMemory& memory, std::span<const u8> file, const PaRange& range, u64 bias) {
  if (detect_image(file) == ImageKind::elf) {
    const Result<ElfImage> image = parse_elf(file);
    if (!image) return image.error();
    const Result<LoadedElf> loaded = load_elf(memory, file, *image, bias);
    return loaded ? Status() : loaded.error();
  }
  if (file.size() > range.bytes || !memory.contains(range.start, range.bytes))
    return errorf("a file has changed since its place was chosen");
  memory.write(range.start, file);
  memory.fill(range.start + file.size(), 0, range.bytes - file.size());
  return {};
}

}  // namespace

Status load_boot(GuestMemory& memory, const BootRequest& request, const Placement& plan,
                 std::span<const u8> device_tree) {
  if (device_tree.size() > plan.device_tree.bytes)
    return errorf("the device tree has %zu bytes; at most %llu fit", device_tree.size(), ull{plan.device_tree.bytes});
  if (!plan.firmware.empty())
    if (Status status = load_program(memory, request.firmware, plan.firmware, plan.firmware_bias); !status)
      return status;
  if (!plan.kernel.empty())
    if (Status status = load_program(memory, request.kernel, plan.kernel, plan.kernel_bias); !status) return status;
  if (request.initrd.size() != plan.initrd.bytes ||
      (!plan.initrd.empty() && !memory.write(plan.initrd.start, request.initrd)))
    return errorf("the initrd has changed since its place was chosen");
  if (!memory.write(plan.device_tree.start, device_tree)) return errorf("the device tree's place is not in RAM");
  return {};
}

std::vector<u8> boot_rom_for(const Placement& plan) {
  FwDynamicInfo info;
  info.next_address = plan.kernel_entry.value;
  return build_boot_rom(plan.entry, plan.device_tree.start, info);
}

}  // namespace hartwood
