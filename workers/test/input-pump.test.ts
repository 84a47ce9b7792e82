// SPDX-License-Identifier: Apache-2.0
// Console input to a guest that is slow: in order, without loss, and without asking again before there is room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputPump, kInputChunk } from '../input-pump.ts';
import { makeWaitForChange } from '../wait.ts';

/** A core with room for `capacity` bytes. take() is the guest's read. */
function slowCore(capacity: number) {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const held: number[] = [];
  let offers = 0;
  let refused = false;
  return {
    words,
    room: 1,
    offer(bytes: Uint8Array): number {
      assert.ok(bytes.length <= kInputChunk);
      offers++;
      const taken = Math.min(bytes.length, capacity - held.length);
      held.push(...bytes.subarray(0, taken));
      refused ||= taken < bytes.length;
      return taken;
    },
    take(count: number): number[] {
      const bytes = held.splice(0, count);
      if (bytes.length > 0 && refused) {
        refused = false;
        Atomics.add(words, 1, 1);
        Atomics.notify(words, 1);
      }
      return bytes;
    },
    offers: () => offers,
  };
}
const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));
const fail = (error: unknown): void => assert.fail(String(error));
const kText = Uint8Array.from({ length: 3 * kInputChunk + 100 }, (_, index) => (index * 7) >> 3);

for (const [name, wait] of [['Atomics.waitAsync', makeWaitForChange()], ['polling', makeWaitForChange(null)]] as const) {
  test(`a full queue is offered more when the guest has read (${name})`, async () => {
    const core = slowCore(1000);
    const pump = new InputPump(fail);
    pump.push(kText.subarray(0, 5000)); // before there is a machine
    pump.connect({ ...core, wait });
    pump.push(kText.subarray(5000));
    const offers = core.offers();
    await aWhile();
    assert.equal(core.offers(), offers, 'nobody asks while nothing has been read');
    const received: number[] = [];
    for (let patience = 2000; received.length < kText.length && patience > 0; patience--) {
      received.push(...core.take(700));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual(received, [...kText]);
    assert.ok(core.offers() < 100, `${core.offers()} offers`);
  });
}

test('a core that fails is reported', async () => {
  const failure = await new Promise((resolve) => {
    const pump = new InputPump(resolve);
    pump.push(Uint8Array.of(1));
    pump.connect({ ...slowCore(1), wait: makeWaitForChange(), offer: () => { throw new Error('broken'); } });
  });
  assert.match(String(failure), /broken/);
});
