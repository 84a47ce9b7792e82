// SPDX-License-Identifier: Apache-2.0
// The pager with a stand-in for the core: which chunks it brings and in what order, how many at a time, and what it does
// with a wrong one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Core } from '../core.ts';
import { MachineFailure } from '../incoming-file.ts';
import { pack } from '../packing.ts';
import { SnapshotPager, type PagerOptions } from '../snapshot-pager.ts';
import { SnapshotSource } from '../snapshot-source.ts';
import { makeWaitForChange } from '../wait.ts';

const kPage = 4096;
const kStaging = 64 * 1024;
const kWantedWord = 1024;

interface Chunk {
  content: Uint8Array<ArrayBuffer>;
  packed: Uint8Array<ArrayBuffer>;
  offset: number;
}

/** Chunks of one page each, chunk n full of n + 1, the zero page where `zero` says so. */
async function chunksOf(count: number, zero: readonly number[] = []): Promise<{ chunks: Chunk[]; file: Uint8Array<ArrayBuffer> }> {
  const chunks: Chunk[] = [];
  let offset = 100; // a head
  for (let n = 0; n < count; n++) {
    const content = new Uint8Array(kPage).fill(zero.includes(n) ? 0 : n + 1);
    const packed = zero.includes(n) ? new Uint8Array(0) : await pack(content);
    chunks.push({ content, packed, offset });
    offset += packed.length;
  }
  const file = new Uint8Array(offset);
  for (const chunk of chunks) file.set(chunk.packed, chunk.offset);
  return { chunks, file };
}

/** What the pager asks of the core; checks content as the core's checksums do. */
class StandIn {
  readonly placed: [snapshot: number, chunk: number][] = [];
  readonly bytes: Uint8Array;
  readonly core: Core;
  released = 0;
  error = '';
  private readonly wanted: number[] = [];

  constructor(snapshots: readonly (readonly Chunk[])[]) {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
    this.bytes = new Uint8Array(memory.buffer);
    const chunk = (snapshot: number, index: number): Chunk => {
      const found = snapshots[snapshot]?.[index];
      if (found === undefined) throw new Error(`no chunk ${index}`);
      return found;
    };
    const exports = {
      hw_allocate: () => kStaging,
      hw_release: (at: number) => void (this.released += Number(at === kStaging)),
      hw_restore_file_bytes: (snapshot: number) => (snapshots[snapshot] ?? []).reduce((sum, { packed }) => sum + packed.length, 0),
      hw_restore_chunks: (snapshot: number) => snapshots[snapshot]?.length ?? 0,
      hw_restore_wanted_word: () => kWantedWord,
      hw_restore_wanted: () => (this.wanted.shift() ?? -1) + 1,
      hw_restore_first_page: (_snapshot: number, index: number) => 1000 + index,
      hw_restore_offset: (snapshot: number, index: number) => chunk(snapshot, index).offset,
      hw_restore_packed: (snapshot: number, index: number) => chunk(snapshot, index).packed.length,
      hw_restore_unpacked: (snapshot: number, index: number) => (chunk(snapshot, index).packed.length === 0 ? 0 : kPage),
      hw_restore_place: (snapshot: number, index: number, at: number, size: number) => {
        const right = size === 0 || Buffer.from(this.bytes.slice(at, at + size)).equals(chunk(snapshot, index).content);
        if (!right) {
          this.error = 'the snapshot is damaged: the checksum of a chunk is wrong';
          return -1;
        }
        this.placed.push([snapshot, index]);
        return 0;
      },
      hw_error_ptr: () => {
        this.bytes.set(new TextEncoder().encode(this.error), 2048);
        return 2048;
      },
      hw_error_len: () => this.error.length,
    };
    this.core = { exports: exports as unknown as Core['exports'], bytes: this.bytes };
  }

  /** As a hart that touches an absent page. */
  want(chunk: number): void {
    this.wanted.push(chunk);
    const words = new Int32Array(this.bytes.buffer);
    Atomics.add(words, kWantedWord / 4, 1);
    Atomics.notify(words, kWantedWord / 4);
  }
}

/** A source whose parts come when the test says so. */
class SlowSource {
  readonly asked: number[] = [];
  readonly forgotten: number[] = [];
  private readonly open = new Map<number, () => void>();
  private readonly file: Uint8Array<ArrayBuffer>;

  constructor(file: Uint8Array<ArrayBuffer>) {
    this.file = file;
  }
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.asked.push(offset);
    await new Promise<void>((resolve) => this.open.set(offset, resolve));
    return this.file.slice(offset, offset + length);
  }
  async forget(offset: number): Promise<void> {
    this.forgotten.push(offset);
  }
  arrive(offset: number): void {
    this.open.get(offset)?.();
    this.open.delete(offset);
  }
  get underWay(): number {
    return this.open.size;
  }
}

function makePager(core: Core, sources: readonly (SnapshotSource | SlowSource)[], options: Partial<PagerOptions> = {}): { pager: SnapshotPager; told: [number, number][] } {
  const told: [number, number][] = [];
  const pager = new SnapshotPager({
    core, sources: sources as readonly SnapshotSource[], lazy: false, record: false, wait: makeWaitForChange(),
    progress: (loaded, total) => void told.push([loaded, total]), ...options,
  });
  return { pager, told };
}

/** Time for what must not happen. */
const settle = (): Promise<void> => setTimeout(20);

/** Waits until it is so, and a little longer. */
async function becomes<T>(now: () => T, expected: T, message?: string): Promise<void> {
  for (let tries = 0; tries < 1000 && !isDeepStrictEqual(now(), expected); tries++) await setTimeout(5);
  await settle();
  assert.deepEqual(now(), expected, message);
}

test('all chunks of all snapshots are placed, those of one before those of the next, each once', async () => {
  const [full, first, second] = [await chunksOf(30, [3, 4, 29]), await chunksOf(5), await chunksOf(1, [0])];
  const core = new StandIn([full.chunks, first.chunks, second.chunks]);
  const { pager, told } = makePager(core.core, [full, first, second].map(({ file }) => new SnapshotSource({ bytes: file })));
  await pager.run();
  const of = (snapshot: number): number[] => core.placed.filter(([which]) => which === snapshot).map(([, chunk]) => chunk).sort((a, b) => a - b);
  assert.deepEqual([of(0), of(1), of(2)], [[...Array(30).keys()], [0, 1, 2, 3, 4], [0]]);
  assert.deepEqual(core.placed.map(([snapshot]) => snapshot), core.placed.map(([snapshot]) => snapshot).sort());
  const total = [full, first, second].flatMap(({ chunks }) => chunks).reduce((sum, { packed }) => sum + packed.length, 0);
  assert.deepEqual(told.at(-1), [total, total]);
  assert.deepEqual(told.map(([loaded]) => loaded), told.map(([loaded]) => loaded).sort((a, b) => a - b));
  assert.equal(core.released, 1);
});

test('a snapshot without chunks is here at once', async () => {
  const core = new StandIn([[]]);
  for (const lazy of [false, true]) await makePager(core.core, [new SnapshotSource({ bytes: new Uint8Array(9) })], { lazy }).pager.run();
  assert.deepEqual(core.placed, []);
});

test('chunks come in the order of the file, a few at a time; what was passed is forgotten', async () => {
  const { chunks, file } = await chunksOf(12);
  const core = new StandIn([chunks]);
  const source = new SlowSource(file);
  const running = makePager(core.core, [source]).pager.run();
  const offsets = chunks.map(({ offset }) => offset);
  await becomes(() => source.asked, offsets.slice(0, 4));
  source.arrive(offsets[2] ?? 0);
  await becomes(() => core.placed, [[0, 2]]);
  await becomes(() => source.asked, offsets.slice(0, 5));
  await becomes(() => source.forgotten.at(-1), offsets[0], 'the first is still under way');
  for (let n = 0; n < 12; n++) {
    await becomes(() => source.asked.includes(offsets[n] ?? 0), true);
    source.arrive(offsets[n] ?? 0);
    assert.ok(source.underWay <= 4);
  }
  await running;
  assert.deepEqual(source.asked, offsets);
  assert.equal(source.forgotten.at(-1), Infinity);
});

test('what somebody waits for comes before the rest, and once', async () => {
  const { chunks, file } = await chunksOf(40);
  const core = new StandIn([chunks]);
  const source = new SlowSource(file);
  core.want(30);
  const { pager } = makePager(core.core, [source], { lazy: true });
  const running = pager.run();
  const at = (chunk: number): number => chunks[chunk]?.offset ?? 0;
  await becomes(() => source.asked, [30, 0, 1, 2, 3].map(at));
  core.want(35);
  core.want(35);
  core.want(2);
  core.want(20);
  await becomes(() => source.asked, [30, 0, 1, 2, 3, 35, 20].map(at), 'chunk 2 is under way, 35 too when it is wanted again');
  source.arrive(at(20));
  await becomes(() => core.placed, [[0, 20]]);
  assert.deepEqual(pager.order, [1030, 1035, 1020]);
  while (core.placed.length < 40) {
    for (let n = 0; n < 40; n++) source.arrive(at(n));
    await setTimeout(1);
  }
  await running;
  assert.deepEqual(core.placed.map(([, chunk]) => chunk).sort((a, b) => a - b), [...Array(40).keys()]);
  assert.equal(source.asked.length, 40);
});

test('sixteen at most are brought of what is waited for; the others when there is room', async () => {
  const { chunks, file } = await chunksOf(60);
  const core = new StandIn([chunks]);
  const source = new SlowSource(file);
  for (let n = 30; n < 60; n++) core.want(n);
  const { pager } = makePager(core.core, [source], { lazy: true, record: true });
  const running = pager.run();
  running.catch(() => {});
  await becomes(() => source.underWay, 16);
  source.arrive(chunks[30]?.offset ?? 0);
  await becomes(() => source.asked, chunks.slice(30, 47).map(({ offset }) => offset));
});

test('record: nothing comes that nobody waits for', async () => {
  const { chunks, file } = await chunksOf(6);
  const core = new StandIn([chunks]);
  const { pager } = makePager(core.core, [new SnapshotSource({ bytes: file })], { lazy: true, record: true });
  const running = pager.run();
  await becomes(() => core.placed, []);
  for (const chunk of [4, 1, 5, 0, 3, 2]) {
    const { length } = core.placed;
    core.want(chunk);
    await becomes(() => core.placed.length, length + 1);
  }
  await running;
  assert.deepEqual(pager.order, [1004, 1001, 1005, 1000, 1003, 1002]);
});

test('a chunk of wrong content, of none, and one that is not there end it with a sentence; nothing wrong is placed', async () => {
  const { chunks, file } = await chunksOf(9);
  const wrong = file.slice();
  wrong.set(chunks[4]?.packed ?? [], chunks[5]?.offset ?? 0); // all others fit their places in length
  const garbage = file.slice();
  garbage.fill(0xff, chunks[5]?.offset ?? 0, chunks[6]?.offset ?? 0);
  const short = file.slice(0, file.length - 1);
  for (const lazy of [false, true]) {
    for (const [bytes, why] of [[wrong, /checksum of a chunk is wrong/], [garbage, /cannot be unpacked|wrong length/], [short, /cut off/]] as const) {
      const core = new StandIn([chunks]);
      await assert.rejects(makePager(core.core, [new SnapshotSource({ bytes })], { lazy }).pager.run(), (error: unknown) => {
        assert.ok(error instanceof MachineFailure, String(error));
        assert.equal(error.code, 'bad-snapshot');
        assert.match(error.message, why);
        assert.match(error.message, /^The snapshot is damaged: [^:]+\.$/);
        return true;
      });
      assert.ok(!core.placed.some(([, chunk]) => chunk === (bytes === short ? 8 : 5)));
    }
  }
});

test('a chunk that was waited for and fails ends it too', async () => {
  const { chunks, file } = await chunksOf(3);
  const core = new StandIn([chunks]);
  file.fill(0xff, chunks[2]?.offset ?? 0);
  const running = makePager(core.core, [new SnapshotSource({ bytes: file })], { lazy: true, record: true }).pager.run();
  const failed = assert.rejects(running, { code: 'bad-snapshot' });
  await settle();
  core.want(2);
  await failed;
});

test('no room for the staging place', async () => {
  const core = new StandIn([[]]);
  Object.assign(core.core.exports, { hw_allocate: () => 0 });
  assert.throws(() => makePager(core.core, []), { code: 'out-of-memory' });
});
