// SPDX-License-Identifier: Apache-2.0
// Packed chunks: what comes back, and what is said of those that are damaged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { MachineFailure } from '../incoming-file.ts';
import { pack, unpack } from '../packing.ts';

type Bytes = Uint8Array<ArrayBuffer>;
const kPage = 4096;

/** Looks random, is always the same. */
function noise(size: number): Bytes {
  let x = 1;
  return Uint8Array.from({ length: size }, () => (x = (Math.imul(x, 1103515245) + 12345) >>> 0) >>> 16);
}

const refuses = (packed: Bytes, size: number, why: RegExp): Promise<void> =>
  assert.rejects(unpack(packed, size), (error: unknown) => {
    assert.ok(error instanceof MachineFailure, String(error));
    assert.equal(error.code, 'bad-snapshot');
    assert.match(error.message, why);
    assert.match(error.message, /^The snapshot is damaged: [^:]+\.$/);
    return true;
  });

test('what is packed is unpacked, by others too', async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(kPage), noise(kPage), noise(256 * kPage), new Uint8Array(256 * kPage).fill(7)]) {
    const packed = await pack(bytes);
    assert.deepEqual(await unpack(packed, bytes.length), bytes);
    assert.deepEqual(new Uint8Array(inflateRawSync(packed)), bytes);
    assert.deepEqual(await unpack(new Uint8Array(deflateRawSync(bytes)), bytes.length), bytes);
  }
});

test('a chunk that is longer or shorter than it should be is refused', async () => {
  const packed = await pack(noise(3 * kPage));
  await refuses(packed, 3 * kPage - 1, /wrong length/);
  await refuses(packed, 3 * kPage + 1, /wrong length/);
  await refuses(packed, 0, /wrong length/);
});

test('what unpacks to far more than it should is given up early', async () => {
  const bomb = new Uint8Array(deflateRawSync(Buffer.alloc(1 << 27)));
  const before = process.memoryUsage().arrayBuffers;
  await refuses(bomb, kPage, /wrong length/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 26, 'all of it was unpacked');
});

test('every way of being cut off is refused', async () => {
  const packed = await pack(noise(kPage));
  for (let length = 0; length < packed.length; length += 7) {
    await refuses(packed.slice(0, length), kPage, /cannot be unpacked|wrong length/);
  }
});

test('more behind the end of a chunk is refused', async () => {
  const packed = await pack(noise(kPage));
  await refuses(Uint8Array.from([...packed, 0, 1, 2]), kPage, /cannot be unpacked|wrong length/);
});

test('altered bytes are refused, or unpack to as many bytes, whose checksum tells', async () => {
  const content = new TextEncoder().encode(Array.from({ length: kPage / 4 }, (_, at) => String((at * at) % 9973).padStart(4)).join(''));
  const packed = await pack(content);
  let refused = 0;
  for (let at = 0; at < packed.length; at++) {
    const altered = packed.slice();
    altered[at] = (altered[at] ?? 0) ^ 0xff;
    try {
      const got = await unpack(altered, kPage);
      assert.equal(got.length, kPage);
    } catch (error) {
      refused++;
      assert.ok(error instanceof MachineFailure && /^The snapshot is damaged: [^:]+\.$/.test(error.message), String(error));
    }
  }
  assert.ok(refused > packed.length / 4, `${refused} of ${packed.length}`);
});

test('many at a time do not disturb each other', async () => {
  const all = Array.from({ length: 32 }, (_, n) => noise(kPage).map((byte) => byte ^ n) as Bytes);
  const packed = await Promise.all(all.map((each) => pack(each)));
  const mixed = packed.map((each, n) => (n % 4 === 3 ? each.slice(0, 9) : each));
  const got = await Promise.allSettled(mixed.map((each) => unpack(each, kPage)));
  for (const [n, each] of got.entries()) {
    if (n % 4 === 3) assert.equal(each.status, 'rejected');
    else assert.deepEqual(each.status === 'fulfilled' ? each.value : null, all[n]);
  }
});
