// SPDX-License-Identifier: Apache-2.0
// Writes a file into the browser's own storage (OPFS), for browsers where only a worker can: in place, piece by piece. It
// finds the file by its names, because not every browser passes file handles to workers. One file for each worker.
import { describeError, parentPort } from './platform.ts';
import type { FromStorage, ToStorage } from './protocol.ts';

const kPiece = 1 << 20; // bytes

const parent = parentPort<ToStorage, FromStorage>();
let cancelled = false;

async function write({ folder, name, data }: Extract<ToStorage, { type: 'write' }>): Promise<void> {
  const root = await navigator.storage.getDirectory();
  const file = await (await root.getDirectoryHandle(folder)).getFileHandle(name, { create: true });
  const access = await file.createSyncAccessHandle();
  try {
    access.truncate(0);
    for (let at = 0; at < data.size; at += kPiece) {
      const piece = new Uint8Array(await data.slice(at, at + kPiece).arrayBuffer());
      if (cancelled) throw new DOMException('The writing was cancelled.', 'AbortError');
      if (access.write(piece, { at }) !== piece.length) throw new DOMException('The storage is full.', 'QuotaExceededError');
      parent.postMessage({ type: 'written', bytes: at + piece.length });
    }
    access.flush();
  } finally {
    access.close();
  }
}

parent.onmessage = ({ data }) => {
  if (data.type === 'cancel') {
    cancelled = true;
    return;
  }
  write(data).then(
    () => parent.postMessage({ type: 'done' }),
    (error: unknown) => parent.postMessage({ type: 'failed', name: error instanceof Error ? error.name : '', message: describeError(error).message }),
  );
};
