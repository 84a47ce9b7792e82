// SPDX-License-Identifier: Apache-2.0
// Boots whole kernels in the native machine, waits for their prompts, types, and powers off.
//
//   node --test tests/boot/native-boot.mjs
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Machine, ours, stock } from './native-machine.mjs';

const openSbi = '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin';

async function check(args, { harts, release }) {
  const machine = new Machine(args);
  try {
    assert.match(await machine.run('uname -m'), /riscv64/);
    assert.match(await machine.run('nproc'), new RegExp(`^${harts}\\s*$`, 'm'));
    if (release) assert.match(await machine.run('uname -r'), release);
    assert.match(await machine.run('seq 1 20000 | md5sum'), /e071f707df7bbeee2a6a1eb48011ddd0/);
    assert.equal(await machine.powerOff(), 0);
  } finally {
    machine.child.kill('SIGKILL');
  }
}

for (const harts of [1, 2, 4, 8]) {
  test(`our kernel, built-in SBI, virtio console, ${harts} harts`, () =>
    check([...ours, '--append', 'console=hvc0 quiet', '--harts', `${harts}`, '--memory', '256M'], { harts }));
}
for (const paging of ['sv39', 'sv48', 'sv57']) {
  test(`our kernel with ${paging}`, () =>
    check([...ours, '--append', 'console=hvc0 quiet', '--paging', paging, '--memory', '128M'], { harts: 1 }));
}
test('our kernel through OpenSBI on the UART', () =>
  check([...ours, '--append', 'console=ttyS0 quiet', '--bios', openSbi, '--console', 'uart', '--harts', '2', '--memory', '256M'], { harts: 2 }));
test("Debian's stock kernel on ttyS0", () =>
  check([...stock, '--append', 'console=ttyS0 quiet', '--console', 'uart', '--harts', '2', '--memory', '512M'],
    { harts: 2, release: /^6\.12\.[0-9]+.*-riscv64/m }));

/** An ELF file with these instructions at the start of RAM. */
function bareProgram(words) {
  const code = Buffer.from(Uint32Array.from(words).buffer);
  const file = Buffer.alloc(120);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const put = (at, bytes, value) => (bytes === 8 ? file.writeBigUInt64LE(BigInt(value), at) : file.writeUIntLE(value, at, bytes));
  const base = 0x8000_0000;
  // The header: an executable for RISC-V with one program header behind it.
  for (const field of [[16, 2, 2], [18, 2, 243], [20, 4, 1], [24, 8, base], [32, 8, 64], [52, 2, 64], [54, 2, 56], [56, 2, 1]]) put(...field);
  // PT_LOAD, R and X, from the file's byte 120.
  for (const field of [[64, 4, 1], [68, 4, 5], [72, 8, 120], [80, 8, base], [88, 8, base], [96, 8, code.length], [104, 8, code.length], [112, 8, 4]]) put(...field);
  return Buffer.concat([file, code]);
}

test('a deterministic machine that nothing can wake says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-asleep-'));
  try {
    const kernel = join(folder, 'asleep.elf');
    writeFileSync(kernel, bareProgram([0x1050_0073, 0xffdf_f06f])); // wfi, and again
    const machine = new Machine(['--deterministic', '--harts', '2', '--bios', 'none', '--kernel', kernel]);
    assert.equal(await machine.exited, 2);
    assert.match(machine.output, /every hart waits and no timer is set/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
test('a missing kernel is a clear error', async () => {
  const machine = new Machine(['--kernel', '/does/not/exist']);
  assert.equal(await machine.exited, 2);
  assert.match(machine.output, /cannot open \/does\/not\/exist/);
});
test('a kernel that is none is a clear error', async () => {
  assert.ok(existsSync('package.json'));
  const machine = new Machine(['--kernel', 'package.json']);
  assert.equal(await machine.exited, 2);
  assert.match(machine.output, /hartwood: .*kernel/i);
});
