// SPDX-License-Identifier: Apache-2.0
// Raw DEFLATE by the platform's own library, which works beside the event loop.
import { MachineFailure } from './incoming-file.ts';

async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream): Promise<ReadableStream<Uint8Array>> {
  const writer = stream.writable.getWriter();
  // What goes wrong shows at the other end too.
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  return stream.readable;
}

async function gather(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    size += value.length;
    if (size > most) {
      void reader.cancel();
      return null;
    }
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export async function pack(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await gather(await through(bytes, new CompressionStream('deflate-raw')), Number.MAX_SAFE_INTEGER);
  return packed as Uint8Array<ArrayBuffer>;
}

/** Exactly `size` bytes; else MachineFailure. */
export async function unpack(bytes: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  let whole: Uint8Array<ArrayBuffer> | null;
  try {
    whole = await gather(await through(bytes, new DecompressionStream('deflate-raw')), size);
  } catch (error) {
    throw new MachineFailure('bad-snapshot', 'The snapshot is damaged: a part of it cannot be unpacked.', { cause: error });
  }
  if (whole === null || whole.length !== size) {
    throw new MachineFailure('bad-snapshot', 'The snapshot is damaged: a part of it has the wrong length.');
  }
  return whole;
}
