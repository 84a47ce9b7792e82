// SPDX-License-Identifier: Apache-2.0
// A plugin for qemu-system-riscv64 (plugin interface 2 to 4, QEMU 9 and 10): writes pc and the integer
// registers before each instruction to a file, only what changed, for boot-trace.mjs. Runs on QEMU's one CPU
// thread.
//
// Records, little-endian: u64 pc, u32 mask of the registers that follow (bit i: xi), then a u64 for each set
// bit in ascending order. The first record has all 31. The process ends itself after `limit` records.
//
// The interface is declared here instead of including QEMU's header, so that nothing of QEMU is needed to
// build this. [QEMU Emulator User Documentation: QEMU TCG Plugins]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct RegisterDescriptor {
  qemu_plugin_register* handle;
  const char* name;
  const char* feature;
};
// GLib's two arrays, as far as they are public.
struct Array {
  char* data;
  unsigned length;
};
struct ByteArray {
  uint8_t* data;
  unsigned length;
};
ByteArray* g_byte_array_new(void);
ByteArray* g_byte_array_set_size(ByteArray*, unsigned);

using InstructionCallback = void (*)(unsigned, void*);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, qemu_plugin_tb*));
void qemu_plugin_register_vcpu_init_cb(uint64_t, void (*)(uint64_t, unsigned));
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, size_t);
uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*);
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, InstructionCallback, int, void*);
Array* qemu_plugin_get_registers(void);
int qemu_plugin_read_register(qemu_plugin_register*, ByteArray*);

extern __attribute__((visibility("default"))) int qemu_plugin_version;
int qemu_plugin_version = 4;
__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void*, int argc, char** argv);
}

namespace {

constexpr int kReadsRegisters = 1;
constexpr const char* kNames[32] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

// A plugin has no other place for its state than globals.
std::FILE* output;
uint64_t left;
qemu_plugin_register* handles[32];
uint64_t values[32];
bool first = true;
ByteArray* buffer;

void on_vcpu(uint64_t, unsigned) {
  const Array* list = qemu_plugin_get_registers();
  const auto* descriptors = reinterpret_cast<const RegisterDescriptor*>(list->data);
  for (unsigned i = 0; i < list->length; i++) {
    for (unsigned x = 1; x < 32; x++) {
      const bool frame_pointer = x == 8 && std::strcmp(descriptors[i].name, "fp") == 0;
      if (handles[x] == nullptr && (frame_pointer || std::strcmp(descriptors[i].name, kNames[x]) == 0))
        handles[x] = descriptors[i].handle;
    }
  }
  for (unsigned x = 1; x < 32; x++) {
    if (handles[x] != nullptr) continue;
    std::fprintf(stderr, "boot-trace-plugin: QEMU names no register %s\n", kNames[x]);
    std::exit(1);
  }
}

void on_instruction(unsigned, void* pc) {
  uint64_t record[32];
  unsigned count = 0;
  uint32_t mask = 0;
  for (unsigned x = 1; x < 32; x++) {
    g_byte_array_set_size(buffer, 0);
    qemu_plugin_read_register(handles[x], buffer);
    uint64_t value;
    std::memcpy(&value, buffer->data, sizeof value);
    if (!first && value == values[x]) continue;
    values[x] = value;
    mask |= uint32_t{1} << x;
    record[count++] = value;
  }
  first = false;
  const uint64_t at = reinterpret_cast<uintptr_t>(pc);
  const bool written = std::fwrite(&at, sizeof at, 1, output) == 1 && std::fwrite(&mask, sizeof mask, 1, output) == 1 &&
                       std::fwrite(record, sizeof(uint64_t), count, output) == count;
  if (written && --left != 0) return;
  std::fclose(output);
  _Exit(written ? 0 : 1);
}

void on_block(uint64_t, qemu_plugin_tb* block) {
  const size_t count = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < count; i++) {
    qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    auto* pc = reinterpret_cast<void*>(static_cast<uintptr_t>(qemu_plugin_insn_vaddr(instruction)));
    qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, kReadsRegisters, pc);
  }
}

}  // namespace

// Arguments: out=FILE, limit=N.
int qemu_plugin_install(uint64_t id, const void*, int argc, char** argv) {
  for (int i = 0; i < argc; i++) {
    if (std::strncmp(argv[i], "out=", 4) == 0) output = std::fopen(argv[i] + 4, "wb");
    if (std::strncmp(argv[i], "limit=", 6) == 0) left = std::strtoull(argv[i] + 6, nullptr, 10);
  }
  if (output == nullptr || left == 0) {
    std::fprintf(stderr, "boot-trace-plugin: needs out=FILE and limit=N\n");
    return -1;
  }
  buffer = g_byte_array_new();
  qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
  return 0;
}
