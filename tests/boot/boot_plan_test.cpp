// SPDX-License-Identifier: Apache-2.0
// File kinds, the Image header, the boot ROM, and where everything goes in each mode and size of RAM.
#include "boot/boot_plan.h"

#include <gtest/gtest.h>

#include "../fdt/mutate.h"
#include "boot/image_kind.h"
#include "boot/linux_image.h"
#include "files.h"

namespace hartwood {
namespace {

constexpr u64 kMiB = u64{1} << 20;

std::vector<u8> bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST(ImageKind, IsToldByTheFirstBytes) {
  EXPECT_EQ(detect_image(test::bare_program().make()), ImageKind::elf);
  EXPECT_EQ(detect_image(test::linux_image(64, 64)), ImageKind::linux_image);
  std::vector<u8> efi = test::linux_image(4096, 4096);
  efi[0] = 'M', efi[1] = 'Z';
  EXPECT_EQ(detect_image(efi), ImageKind::linux_image) << "with an EFI stub";
  EXPECT_EQ(detect_image(bytes(std::string_view("MZ\0\0zimg", 8))), ImageKind::efi_zboot);
  EXPECT_EQ(detect_image(bytes("\x1f\x8b\x08")), ImageKind::gzip);
  EXPECT_EQ(detect_image(bytes("\x28\xb5\x2f\xfd")), ImageKind::zstd);
  EXPECT_EQ(detect_image(bytes(std::string_view("\xfd"
                                                "7zXZ\0",
                                                6))),
            ImageKind::xz);
  EXPECT_EQ(detect_image(bytes("BZh9")), ImageKind::bzip2);
  EXPECT_EQ(detect_image(bytes("\x02\x21\x4c\x18")), ImageKind::lz4);
  EXPECT_EQ(detect_image(bytes("\xd0\x0d\xfe\xed")), ImageKind::fdt);
  EXPECT_EQ(detect_image({}), ImageKind::unknown);
  EXPECT_EQ(detect_image(test::pattern(100, 1)), ImageKind::unknown);
}

TEST(ImageKind, SaysHowToDecompress) {
  EXPECT_TRUE(require_uncompressed(ImageKind::elf, "kernel").ok());
  const Status gzip = require_uncompressed(ImageKind::gzip, "kernel");
  EXPECT_NE(gzip.message().find("gzip -dc"), std::string::npos) << gzip.message();
  EXPECT_NE(require_uncompressed(ImageKind::zstd, "kernel").message().find("zstd -dc"), std::string::npos);
  EXPECT_NE(require_uncompressed(ImageKind::efi_zboot, "kernel").message().find("Image"), std::string::npos);
}

TEST(LinuxImage, HeaderIsRead) {
  const Result<LinuxImage> image = parse_linux_image(test::linux_image(5000, 0x30'0000));
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_EQ(image->text_offset, 0x20'0000u);
  EXPECT_EQ(image->memory_bytes, 0x30'0000u);
  EXPECT_EQ(image->file_bytes, 5000u);
  EXPECT_EQ(image->version, 2u);
  EXPECT_EQ(parse_linux_image(test::linux_image(5000, 100))->memory_bytes, 5000u) << "never less than the file";
}

TEST(LinuxImage, DamageIsRefused) {
  EXPECT_FALSE(parse_linux_image(test::pattern(100, 1)).ok());
  EXPECT_FALSE(parse_linux_image(test::linux_image(64, 4096)).ok()) << "nothing behind the header";
  EXPECT_FALSE(parse_linux_image(test::linux_image(4096, 0)).ok());
  EXPECT_FALSE(parse_linux_image(test::linux_image(4096, ~u64{0})).ok());
  EXPECT_FALSE(parse_linux_image(test::linux_image(4096, 4096, 0x40'0001)).ok());
  EXPECT_TRUE(parse_linux_image(test::linux_image(4096, 4096, 0x40'0000)).ok());
  EXPECT_FALSE(parse_linux_image(test::linux_image(4096, 4096, u64{1} << 63)).ok());
  const Result<LinuxImage> big = parse_linux_image(test::linux_image(4096, 4096, 0x20'0000, 1));
  ASSERT_FALSE(big.ok());
  EXPECT_NE(big.message().find("big-endian"), std::string::npos);
}

TEST(BootRom, IsTheProgramOfTheVirtBoard) {
  FwDynamicInfo info;
  info.next_address = 0x8020'0000;
  const std::vector<u8> rom = build_boot_rom(Pa(0x8000'0000), Pa(0x8fe0'0000), info);
  ASSERT_EQ(rom.size(), 88u);
  const u32 program[] = {0x0000'0297, 0x0282'8613, 0xf140'2573, 0x0202'b583, 0x0182'b283, 0x0002'8067};
  for (size_t i = 0; i < 6; i++) EXPECT_EQ(load_le<u32>(rom.data() + 4 * i), program[i]) << i;
  const u64 data[] = {0x8000'0000, 0x8fe0'0000, 0x4942'534f, 2, 0x8020'0000, 1, 0, 0};
  for (size_t i = 0; i < 8; i++) EXPECT_EQ(load_le<u64>(rom.data() + 24 + 8 * i), data[i]) << i;
}

TEST(BootPlan, BuiltIn) {
  const std::vector<u8> kernel = test::linux_image(8 * kMiB, 20 * kMiB), initrd = test::pattern(3 * kMiB + 5, 1);
  const BootRequest request{256 * kMiB, BootMode::built_in, {}, kernel, initrd};
  const Result<Placement> plan = plan_boot(request);
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_FALSE(plan->machine_mode());
  EXPECT_TRUE(plan->firmware.empty());
  EXPECT_EQ(plan->kernel, (PaRange{Pa(0x8020'0000), 20 * kMiB}));
  EXPECT_EQ(plan->entry, Pa(0x8020'0000));
  EXPECT_EQ(plan->device_tree, (PaRange{Pa(0x8fe0'0000), 2 * kMiB}));
  EXPECT_EQ(plan->initrd, (PaRange{Pa(0x8fe0'0000 - 3 * kMiB - 4096), 3 * kMiB + 5}));

  auto memory = GuestMemory::create(request.ram_bytes);
  ASSERT_TRUE(memory.ok());
  GuestMemory& ram = **memory;
  ASSERT_TRUE(ram.fill(Pa(kRamBase), 0xcc, 40 * kMiB));
  const std::vector<u8> tree = test::pattern(1000, 3);
  const Status loaded = load_boot(ram, request, *plan, tree);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  const auto equal = [&](Pa pa, std::span<const u8> want) {
    const auto view = ram.readable(pa, want.size());
    return std::equal(view.begin(), view.end(), want.begin(), want.end());
  };
  EXPECT_TRUE(equal(plan->kernel.start, kernel));
  EXPECT_TRUE(equal(plan->kernel.start + kernel.size(), std::vector<u8>(12 * kMiB))) << "bss";
  EXPECT_EQ(ram.readable(plan->kernel.end(), 1)[0], 0xcc);
  EXPECT_EQ(ram.readable(Pa(0x801f'ffff), 1)[0], 0xcc);
  EXPECT_TRUE(equal(plan->initrd.start, initrd));
  EXPECT_TRUE(equal(plan->device_tree.start, tree));
  EXPECT_FALSE(load_boot(ram, request, *plan, std::vector<u8>(2 * kMiB + 1)).ok());
}

TEST(BootPlan, DeviceTreeStaysBelowThreeGigabytes) {
  const std::vector<u8> kernel = test::linux_image(4096, 4096);
  EXPECT_EQ(plan_boot({1024 * kMiB, BootMode::built_in, {}, kernel, {}})->device_tree.start, Pa(0xbfe0'0000));
  EXPECT_EQ(plan_boot({2048 * kMiB, BootMode::built_in, {}, kernel, {}})->device_tree.start, Pa(0xbfe0'0000));
}

TEST(BootPlan, VmlinuxGoesWhereItsImageWould) {
  const std::vector<u8> kernel = test::vmlinux_like().make();
  const BootRequest request{64 * kMiB, BootMode::built_in, {}, kernel, {}};
  const Result<Placement> plan = plan_boot(request);
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_EQ(plan->kernel, (PaRange{Pa(0x8020'0000), 3 * kMiB}));
  EXPECT_EQ(plan->entry, Pa(0x8020'0000));
  EXPECT_EQ(plan->kernel_bias, 0x8020'0000u);
}

TEST(BootPlan, FirmwareAndKernel) {
  const std::vector<u8> firmware = test::pattern(300'000, 1), kernel = test::linux_image(4096, 8192);
  const BootRequest request{128 * kMiB, BootMode::firmware, firmware, kernel, {}};
  const Result<Placement> plan = plan_boot(request);
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_TRUE(plan->machine_mode());
  EXPECT_EQ(plan->firmware, (PaRange{Pa(0x8000'0000), 2 * kMiB})) << "with room for its heap and stacks";
  EXPECT_EQ(plan->kernel, (PaRange{Pa(0x8020'0000), 8192}));
  EXPECT_EQ(plan->entry, Pa(0x8000'0000));
  EXPECT_EQ(plan->kernel_entry, Pa(0x8020'0000));
  const std::vector<u8> rom = boot_rom_for(*plan);
  EXPECT_EQ(load_le<u64>(rom.data() + 24), 0x8000'0000u);
  EXPECT_EQ(load_le<u64>(rom.data() + 32), 0x87e0'0000u);
  EXPECT_EQ(load_le<u64>(rom.data() + 56), 0x8020'0000u);

  const std::vector<u8> large = test::pattern(3 * kMiB, 1);
  EXPECT_EQ(plan_boot({128 * kMiB, BootMode::firmware, large, kernel, {}})->kernel.start, Pa(0x8040'0000));
  const std::vector<u8> elf = test::bare_program().make();
  const Result<Placement> of_elf = plan_boot({128 * kMiB, BootMode::firmware, elf, {}, {}});
  ASSERT_TRUE(of_elf.ok()) << of_elf.message();
  EXPECT_EQ(of_elf->entry, Pa(0x8000'0004));
  EXPECT_EQ(of_elf->kernel_entry, Pa(0)) << "a firmware that is all there is";
  const std::vector<u8> flat = test::pattern(5000, 7);
  EXPECT_EQ(plan_boot({128 * kMiB, BootMode::firmware, elf, flat, {}})->kernel, (PaRange{Pa(0x8020'0000), 5000}));
}

TEST(BootPlan, Bare) {
  const std::vector<u8> program = test::bare_program().make();
  const Result<Placement> plan = plan_boot({64 * kMiB, BootMode::bare, {}, program, {}});
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_TRUE(plan->machine_mode());
  EXPECT_EQ(plan->entry, Pa(0x8000'0004));
  EXPECT_EQ(load_le<u64>(boot_rom_for(*plan).data() + 24), 0x8000'0004u);
  const std::vector<u8> nommu = test::linux_image(4096, 8192, 0);
  EXPECT_EQ(plan_boot({64 * kMiB, BootMode::bare, {}, nommu, {}})->kernel.start, Pa(0x8000'0000));
}

TEST(BootPlan, RefusesWithAClearMessage) {
  const std::vector<u8> image = test::linux_image(4096, 8192), nothing, garbage = test::pattern(5000, 1);
  const std::vector<u8> gzip = bytes("\x1f\x8b\x08 and so on"), tree = bytes("\xd0\x0d\xfe\xed and so on");
  const std::vector<u8> nommu = test::linux_image(4096, 8192, 0), program = test::bare_program().make();
  const std::vector<u8> large_image = test::linux_image(4096, 100 * kMiB);
  const std::vector<u8> huge_image = test::linux_image(4096, 2048 * kMiB);
  const std::vector<u8> large_initrd(70 * kMiB);
  test::ElfMaker foreign = test::bare_program();
  foreign.machine = 62;
  const std::vector<u8> x86 = foreign.make();
  struct Case {
    const char* name;
    BootRequest request;
    const char* message;
  };
  const u64 ram = 64 * kMiB;
  const Case cases[] = {
      {"no kernel", {ram, BootMode::built_in, {}, nothing, {}}, "kernel file is empty or missing"},
      {"no firmware", {ram, BootMode::firmware, {}, image, {}}, "firmware file is empty"},
      {"unwanted firmware", {ram, BootMode::built_in, garbage, image, {}}, "boot without one"},
      {"garbage", {ram, BootMode::built_in, {}, garbage, {}}, "neither an ELF file nor a Linux Image"},
      {"gzip", {ram, BootMode::built_in, {}, gzip, {}}, "the kernel is a gzip-compressed file; decompress it"},
      {"gzip as firmware", {ram, BootMode::firmware, gzip, image, {}}, "the firmware is a gzip-compressed file"},
      {"tree as kernel", {ram, BootMode::built_in, {}, tree, {}}, "device tree"},
      {"kernel as firmware", {ram, BootMode::firmware, image, {}, {}}, "give it as the kernel"},
      {"Image without SBI", {ram, BootMode::bare, {}, image, {}}, "needs SBI"},
      {"M-mode Image", {ram, BootMode::built_in, {}, nommu, {}}, "M-mode"},
      {"foreign ELF", {ram, BootMode::built_in, {}, x86, {}}, "another processor"},
      {"kernel over firmware", {ram, BootMode::firmware, program, program, {}}, "overlaps the firmware"},
      {"kernel too large", {ram, BootMode::built_in, {}, large_image, {}}, "128 MiB would do"},
      {"kernel larger than any RAM", {ram, BootMode::built_in, {}, huge_image, {}}, "choose more memory"},
      {"initrd too large", {ram, BootMode::built_in, {}, image, large_initrd}, "128 MiB would do"},
  };
  for (const Case& each : cases) {
    const Result<Placement> plan = plan_boot(each.request);
    ASSERT_FALSE(plan.ok()) << each.name;
    EXPECT_NE(plan.message().find(each.message), std::string::npos) << each.name << ": " << plan.message();
  }
}

TEST(BootPlan, SurvivesDamage) {
  const std::vector<u8> image = test::linux_image(200, 8192), elf = test::bare_program().make();
  const std::vector<u8> initrd = test::pattern(5000, 1);
  auto memory = GuestMemory::create(64 * kMiB);
  ASSERT_TRUE(memory.ok());
  test::Mutator mutator(4);
  int planned = 0;
  for (int i = 0; i < 20'000; i++) {
    const std::vector<u8> kernel = mutator.damage(i % 2 != 0 ? image : elf);
    const std::vector<u8> firmware = mutator.damage(elf);
    const BootMode mode = static_cast<BootMode>(mutator.below(3));
    const BootRequest request{64 * kMiB, mode, mode == BootMode::firmware ? std::span(firmware) : std::span<const u8>(),
                              kernel, initrd};
    const Result<Placement> plan = plan_boot(request);
    if (!plan) {
      EXPECT_FALSE(plan.message().empty());
      continue;
    }
    planned++;
    const PaRange ranges[] = {plan->firmware, plan->kernel, plan->initrd, plan->device_tree};
    for (const PaRange& a : ranges) {
      EXPECT_TRUE(a.empty() || (*memory)->contains(a.start, a.bytes));
      for (const PaRange& b : ranges) EXPECT_TRUE(&a == &b || !a.overlaps(b));
    }
    EXPECT_TRUE((*memory)->contains(plan->entry, 2));
    const Status loaded = load_boot(**memory, request, *plan, initrd);
    EXPECT_TRUE(loaded.ok()) << loaded.message();
  }
  EXPECT_GT(planned, 1000);
}

}  // namespace
}  // namespace hartwood
