// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MachineError } from '../api/errors.ts';
import { checkRamRange, planBoot, type BootOptions, type DefaultFiles } from '../api/options.ts';

const kBase = 'https://example.org/lab/index.html';
const kFiles: DefaultFiles = {
  kernel: { url: 'https://example.org/lab/assets/kernel', size: 10 },
  initrd: { url: 'https://example.org/lab/assets/initrd', size: 20 },
  snapshot: null,
};
const plan = (options: unknown, files = kFiles) => planBoot(options as BootOptions, files, kBase);

test('without options: two harts, 512 MiB, the files of the page', () => {
  const { configuration, files } = plan({});
  assert.deepEqual(configuration, { harts: 2, memory: 512, append: 'earlycon=sbi console=hvc0', console: 'virtio', firmware: 'built-in', compiler: true });
  assert.deepEqual(files.map(({ kind, source }) => [kind, source]), [['kernel', kFiles.kernel], ['initrd', kFiles.initrd]]);
});

test('files: addresses are resolved against the page, contents are taken as they are', () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const blob = new Blob(['disk']);
  const { files, configuration } = plan({
    kernel: 'kernels/Image', initrd: new URL('https://other.example/initrd'), firmware: bytes, disk: blob,
  });
  assert.deepEqual(files, [
    { kind: 'kernel', source: { url: 'https://example.org/lab/kernels/Image' } },
    { kind: 'initrd', source: { url: 'https://other.example/initrd' } },
    { kind: 'firmware', source: { bytes } },
    { kind: 'disk', source: { blob } },
  ]);
  assert.equal(configuration.firmware, 'file');
  assert.deepEqual(configuration.disks, [{ source: 'disk' }]);
  assert.deepEqual(plan({ kernel: bytes.buffer }).files[0], { kind: 'kernel', source: { bytes } });
});

test('initrd: null and a machine without firmware have none', () => {
  assert.deepEqual(plan({ initrd: null }).files.map(({ kind }) => kind), ['kernel']);
  const bare = plan({ firmware: 'none' });
  assert.deepEqual(bare.files.map(({ kind }) => kind), ['kernel']);
  assert.equal(bare.configuration.append, '');
});

test('the compiler can begin early', () => {
  const { compiler, compiler_after: after, compiler_visits: visits } = plan({ compiler: 'early' }).configuration;
  assert.deepEqual({ compiler, after }, { compiler: true, after: 0 });
  assert.ok(visits !== undefined && visits > 0);
  assert.equal(plan({ compiler: true }).configuration.compiler_after, undefined); // the core's default
});

test('the compiler can be left out', () => {
  assert.equal(plan({ compiler: false }).configuration.compiler, false);
  assert.equal(plan({ compiler: true }).configuration.compiler, true);
});

test('the command line gets a console unless it names one', () => {
  const line = (options: object) => plan(options).configuration.append;
  assert.equal(line({ append: 'quiet' }), 'earlycon=sbi console=hvc0 quiet');
  assert.equal(line({ append: 'quiet console=ttyS0' }), 'quiet console=ttyS0');
  assert.equal(line({ append: 'netconsole=1', console: 'uart' }), 'console=ttyS0 netconsole=1');
});

const kWrong: [string, unknown, RegExp][] = [
  ['no object', 7, /must be an object/],
  ['null', null, /must be an object/],
  ['unknown key', { cpus: 2 }, /no option "cpus"; the options are harts, memory/],
  ['harts 0', { harts: 0 }, /harts is 0; it must be a whole number from 1 to 8/],
  ['harts 9', { harts: 9 }, /from 1 to 8/],
  ['harts as text', { harts: '2' }, /harts is "2"/],
  ['harts 1.5', { harts: 1.5 }, /whole number/],
  ['harts NaN', { harts: NaN }, /harts is NaN/],
  ['memory 100', { memory: 100 }, /memory is 100; it must be a number of MiB out of 64, 128, 256, 512, 1024, 2048/],
  ['memory 4096', { memory: 4096 }, /2048/],
  ['append as number', { append: 1 }, /append is 1; it must be a text/],
  ['append too long', { append: 'x'.repeat(1020) }, /at most 1023/],
  ['append with zero', { append: 'a\0b' }, /zero character/],
  ['kernel as number', { kernel: 5 }, /kernel is 5; it must be an address/],
  ['kernel empty', { kernel: '' }, /kernel is ""/],
  ['kernel null', { kernel: null }, /kernel is null/],
  ['kernel as object', { kernel: {} }, /kernel is a Object/],
  ['kernel unparsable', { kernel: 'https://[' }, /can be loaded/],
  ['initrd as boolean', { initrd: false }, /initrd is false/],
  ['disk as array', { disk: [] }, /disk is an array/],
  ['console', { console: 'vga' }, /"virtio", "uart", "sbi"/],
  ['paging', { paging: 'sv32' }, /"sv39", "sv48", "sv57"/],
  ['size', { size: { columns: 0, rows: 24 } }, /columns is 0/],
  ['size null', { size: null }, /columns is undefined/],
  ['keepMemory', { keepMemory: 1 }, /keepMemory is 1; it must be true or false/],
  ['compiler', { compiler: 'off' }, /compiler is "off"; it must be true, false or 'early'/],
  ['signal', { signal: true }, /signal is true; it must be an AbortSignal/],
  ['onProgress', { onProgress: 'yes' }, /onProgress is "yes"; it must be a function/],
];
for (const [name, options, message] of kWrong) {
  test(`refused: ${name}`, () => {
    assert.throws(() => plan(options), (error: unknown) => {
      assert.ok(error instanceof MachineError);
      assert.equal(error.code, 'bad-option');
      assert.match(error.message, message);
      return true;
    });
  });
}

const kMiB64 = 64 << 20;
test('ranges of RAM, to the last byte', () => {
  assert.equal(checkRamRange(0x8000_0000, kMiB64, kMiB64), 0);
  assert.equal(checkRamRange(0x8400_0000 - 1, 1, kMiB64), kMiB64 - 1);
  assert.equal(checkRamRange(0x8400_0000, 0, kMiB64), kMiB64);
});
const kWrongRanges: [unknown, unknown, RegExp][] = [
  [0x7fff_ffff, 1, /1 bytes from 0x7fffffff on are not all in guest RAM, which is 0x80000000 to 0x83ffffff/],
  [0x8400_0000, 1, /1 bytes from 0x84000000 on are not all/],
  [0x8400_0001, 0, /0 bytes from 0x84000001 on are not all/],
  [0x8000_0000, kMiB64 + 1, /67108865 bytes from 0x80000000 on are not all/],
  [0x8000_0001, Number.MAX_SAFE_INTEGER, /are not all/],
  [-1, 1, /address is -1; it must be a whole number/],
  [2 ** 53, 1, /address is 9007199254740992; it must be a whole number/],
  ['0x80000000', 1, /address is "0x80000000"/],
  [0x8000_0000n, 1, /address is a bigint/],
  [0x8000_0000, 1.5, /length is 1.5; it must be a whole number of bytes/],
  [0x8000_0000, undefined, /length is undefined/],
];
for (const [address, length, message] of kWrongRanges) {
  test(`no range of RAM: ${String(address)}, ${String(length)}`, () => {
    assert.throws(() => checkRamRange(address, length, kMiB64), (error: unknown) =>
      error instanceof MachineError && error.code === 'bad-option' && message.test(error.message));
  });
}

test('refused: no kernel anywhere', () => {
  assert.throws(() => plan({}, { kernel: null, initrd: null, snapshot: null }), /kernel is missing/);
});
