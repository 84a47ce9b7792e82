// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteRing_data, ByteRing_kCapacity, ByteRing_read, ByteRing_written, sizeof_ByteRing } from '../../build/generated/layout.ts';
import { RingReader } from '../ring-reader.ts';
import { makeWaitForChange } from '../wait.ts';

const kAt = 64; // where the ring lies in its memory

function makeRing(start = 0) {
  const buffer = new SharedArrayBuffer(kAt + sizeof_ByteRing);
  const words = new Int32Array(buffer, kAt);
  const data = new Uint8Array(buffer, kAt + ByteRing_data, ByteRing_kCapacity);
  Atomics.store(words, ByteRing_written / 4, start | 0);
  Atomics.store(words, ByteRing_read / 4, start | 0);
  // The producer as shm/ring.h has it, without the check for room.
  const push = (bytes: ArrayLike<number>) => {
    const at = Atomics.load(words, ByteRing_written / 4) >>> 0;
    for (let i = 0; i < bytes.length; i++) data[(at + i) % ByteRing_kCapacity] = bytes[i] ?? 0;
    Atomics.store(words, ByteRing_written / 4, (at + bytes.length) | 0);
    Atomics.notify(words, ByteRing_written / 4);
  };
  return { words, push, reader: new RingReader(buffer, kAt) };
}

for (const start of [0, ByteRing_kCapacity - 3, 0x7fffffff, 0xfffffffe]) {
  test(`bytes come out in order, counters at 0x${start.toString(16)}`, () => {
    const { push, reader, words } = makeRing(start);
    assert.equal(reader.take().length, 0);
    push([1, 2, 3, 4, 5, 6, 7]);
    assert.equal(reader.available(), 7);
    assert.deepEqual([...reader.take(4)], [1, 2, 3, 4]);
    assert.deepEqual([...reader.take()], [5, 6, 7]);
    assert.equal(reader.available(), 0);
    assert.equal(Atomics.load(words, ByteRing_read / 4) >>> 0, (start + 7) >>> 0);
  });
}

test('a full ring, and a count that cannot be', () => {
  const { push, reader, words } = makeRing(12345);
  const all = Uint8Array.from({ length: ByteRing_kCapacity }, (_, index) => index * 31);
  push(all);
  assert.deepEqual(reader.take(), all);
  Atomics.store(words, ByteRing_written / 4, (12345 - 1) | 0);
  assert.ok(reader.available() <= ByteRing_kCapacity);
});

test('what is taken is a copy outside of shared memory', () => {
  const { push, reader } = makeRing();
  push([1]);
  assert.ok(reader.take().buffer instanceof ArrayBuffer);
});

for (const [name, wait] of [['waitAsync', makeWaitForChange()], ['polling', makeWaitForChange(null)]] as const) {
  test(`ready() resolves when something arrives, by ${name}`, async () => {
    const { push, reader } = makeRing();
    const ready = reader.ready(wait);
    setTimeout(() => push([7]), 5);
    await ready;
    assert.deepEqual([...reader.take()], [7]);
    push([8]);
    await reader.ready(wait); // at once
  });
}
