// SPDX-License-Identifier: Apache-2.0
// Brings the pages of a restored machine: chunk after chunk in the file's order, and before that what somebody waits for.
// It owns the core's loaders; nobody else places chunks. Waits for no hart, because harts wait for it.
import { coreError, type Core } from './core.ts';
import { MachineFailure } from './incoming-file.ts';
import { unpack } from './packing.ts';
import type { SnapshotSource } from './snapshot-source.ts';
import type { WaitForChange } from './wait.ts';

/** Chunks under way at a time: of those that are next in the file, and of those that somebody waits for. */
const kAhead = 4;
const kMostWanted = 16;
const kMostChunkBytes = 1 << 20;

export interface PagerOptions {
  core: Core;
  sources: readonly SnapshotSource[];
  /** The machine runs already, and waits for single pages. */
  lazy: boolean;
  /** Nothing but what is waited for. */
  record: boolean;
  wait: WaitForChange;
  progress(loaded: number, total: number): void;
}

export class SnapshotPager {
  /** First pages of the chunks that were waited for. */
  readonly order: number[] = [];
  private readonly options: PagerOptions;
  private readonly staging: number;
  private loaded = 0;
  private total = 0;

  constructor(options: PagerOptions) {
    this.options = options;
    this.staging = options.core.exports.hw_allocate(kMostChunkBytes) >>> 0;
    if (this.staging === 0) throw new MachineFailure('out-of-memory', 'The core has no room for the snapshot.');
  }

  /** Resolves when everything is here. */
  async run(): Promise<void> {
    const { core: { exports }, sources } = this.options;
    for (let snapshot = 0; snapshot < sources.length; snapshot++) this.total += exports.hw_restore_file_bytes(snapshot);
    for (const [snapshot, source] of sources.entries()) await this.load(snapshot, source);
    exports.hw_release(this.staging);
    this.options.progress(this.total, this.total);
  }

  private async load(snapshot: number, source: SnapshotSource): Promise<void> {
    const { core: { exports, bytes }, lazy, record, wait } = this.options;
    const count = exports.hw_restore_chunks(snapshot) >>> 0;
    const done = new Uint8Array(count);
    const underWay = new Map<number, Promise<void>>();
    const words = new Int32Array(bytes.buffer);
    const wantedWord = lazy ? (exports.hw_restore_wanted_word() >>> 0) / 4 : 0;
    const wanted: number[] = [];
    let next = 0;
    let left = count;
    let ahead = 0;
    const begin = (chunk: number): void => {
      done[chunk] = 1;
      const bringing = this.bring(snapshot, chunk, source).then(() => {
        underWay.delete(chunk);
        left--;
        const lowest = Math.min(next, ...underWay.keys());
        void source.forget(lowest < count ? exports.hw_restore_offset(snapshot, lowest) : Infinity);
      });
      bringing.catch(() => {}); // the race below hears of it
      underWay.set(chunk, bringing);
    };
    let change: Promise<void> | null = null;
    while (left > 0) {
      const seen = lazy ? Atomics.load(words, wantedWord) : 0;
      for (let told = 0; lazy && (told = exports.hw_restore_wanted() >>> 0) !== 0;) wanted.push(told - 1);
      while (wanted.length > 0 && underWay.size - ahead < kMostWanted) {
        const chunk = wanted.shift() as number;
        if (done[chunk] !== 0) continue;
        this.order.push(exports.hw_restore_first_page(snapshot, chunk) >>> 0);
        begin(chunk);
      }
      for (; !record && ahead < kAhead; next++) {
        while (next < count && done[next] !== 0) next++;
        if (next >= count) break;
        begin(next);
        ahead++;
        underWay.get(next)?.then(() => ahead--, () => {});
      }
      const waits: Promise<void>[] = [...underWay.values()];
      if (lazy) {
        change ??= wait(words, wantedWord, seen).then(() => void (change = null));
        waits.push(change);
      }
      await Promise.race(waits);
    }
  }

  private async bring(snapshot: number, chunk: number, source: SnapshotSource): Promise<void> {
    const { core, progress } = this.options;
    const { exports, bytes } = core;
    const packed = exports.hw_restore_packed(snapshot, chunk) >>> 0;
    const size = exports.hw_restore_unpacked(snapshot, chunk) >>> 0;
    if (size > 0) {
      const content = await unpack(await source.read(exports.hw_restore_offset(snapshot, chunk), packed), size);
      // From here to the end nothing else runs: the staging place is one for all.
      bytes.set(content, this.staging);
    }
    if (exports.hw_restore_place(snapshot, chunk, this.staging, size) !== 0) {
      throw new MachineFailure('bad-snapshot', `${capitalized(coreError(core))}.`);
    }
    this.loaded += packed;
    progress(this.loaded, this.total);
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
