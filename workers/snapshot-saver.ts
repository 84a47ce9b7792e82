// SPDX-License-Identifier: Apache-2.0
// Saves a machine that stands still, on the io worker. The core says which bytes belong together and writes the head
// (host/machine/snapshot_writer.h); here they are copied, packed and put into one Blob. Bytes are copied first, as many as
// may be held at once, so that the machine runs again long before all is packed.
import { coreError, type Core } from './core.ts';
import { MachineFailure } from './incoming-file.ts';
import { pack } from './packing.ts';
import type { SaveOptions } from './protocol.ts';

/** Copied and not yet packed; beyond this the machine waits. */
const kMostCopied = 256 << 20;
const kIdBytes = 16;

export async function saveSnapshot(core: Core, options: SaveOptions, copied: () => void): Promise<Blob> {
  const { exports, bytes } = core;
  const failure = (): MachineFailure => new MachineFailure('core-failed', `The machine could not be saved: ${coreError(core)}.`);
  const count = begin(core, options);
  if (count < 0) throw failure();
  const packed: Promise<Uint8Array<ArrayBuffer> | null>[] = [];
  let held = 0;
  for (let index = 0; index < count; index++) {
    const size = exports.hw_snapshot_chunk(index);
    if (size < 0) throw failure();
    if (size === 0) {
      packed.push(Promise.resolve(null));
      continue;
    }
    const at = exports.hw_snapshot_chunk_at() >>> 0;
    const chunk = bytes.slice(at, at + size) as Uint8Array<ArrayBuffer>;
    held += size;
    packed.push(pack(chunk).then((result) => {
      held -= size;
      return result;
    }));
    while (held > kMostCopied) await Promise.race(packed.slice(-64));
  }
  copied();
  const parts: BlobPart[] = [];
  for (const [index, each] of packed.entries()) {
    const result = await each;
    if (result === null) continue;
    exports.hw_snapshot_packed(index, result.length);
    parts.push(result);
  }
  const length = exports.hw_snapshot_head() >>> 0;
  const headAt = exports.hw_snapshot_head_at() >>> 0;
  return new Blob([bytes.slice(headAt, headAt + length) as Uint8Array<ArrayBuffer>, ...parts], { type: 'application/octet-stream' });
}

function begin({ exports, bytes }: Core, { notes, increment, order = [], chunkPages = 0 }: SaveOptions): number {
  const text = new TextEncoder().encode(notes);
  const parent = exports.hw_last_snapshot() >>> 0;
  if (increment && bytes.subarray(parent, parent + kIdBytes).every((byte) => byte === 0)) {
    throw new MachineFailure('bad-option', 'There is no snapshot of this machine yet that an increment could follow.');
  }
  const area = exports.hw_allocate(text.length + kIdBytes + order.length * 4 + 16) >>> 0;
  if (area === 0) throw new MachineFailure('out-of-memory', 'The core has no room for the snapshot.');
  try {
    const orderAt = (area + 3) & ~3;
    new Uint32Array(bytes.buffer, orderAt, order.length).set(order);
    const parentAt = orderAt + order.length * 4;
    bytes.copyWithin(parentAt, parent, parent + kIdBytes);
    const notesAt = parentAt + kIdBytes;
    bytes.set(text, notesAt);
    return exports.hw_snapshot_begin(notesAt, text.length, increment ? parentAt : 0, orderAt, order.length, chunkPages);
  } finally {
    exports.hw_release(area);
  }
}
