// SPDX-License-Identifier: Apache-2.0
// The bytes of one snapshot, from wherever it is: at hand, or arriving. A file that is loaded arrives from its beginning to
// its end, and what lies far ahead is asked for by itself where the server allows that.
import {
  kSnapshotConfigBytesAt, kSnapshotDiskBytesAt, kSnapshotHeadBytesAt, kSnapshotMaxHeadBytes, kSnapshotPrefixBytes,
} from '../build/generated/layout.ts';
import { MachineFailure } from './incoming-file.ts';
import type { FileSource } from './protocol.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What is farther ahead of what has arrived than this is worth a request of its own. */
const kFarAhead = 512 * 1024;

interface Reader {
  read(offset: number, length: number): Promise<Bytes>;
  /** Nothing before this offset will be asked for again. */
  forget(offset: number): void;
}

const kCutOff = 'The snapshot is damaged: it is cut off.';
const cutOff = (): MachineFailure => new MachineFailure('bad-snapshot', kCutOff);

/** The configuration in a head, and what its disks take together. The core checks all the rest. */
export function inspectHead(head: Uint8Array): { configuration: unknown; diskBytes: number } {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const length = view.getUint32(kSnapshotConfigBytesAt, true);
  const text = new TextDecoder().decode(head.slice(kSnapshotPrefixBytes, kSnapshotPrefixBytes + length));
  try {
    return { configuration: JSON.parse(text), diskBytes: Number(view.getBigUint64(kSnapshotDiskBytesAt, true)) };
  } catch (error) {
    throw new MachineFailure('bad-snapshot', 'The snapshot is damaged: its configuration cannot be read.', { cause: error });
  }
}

export class SnapshotSource {
  private readonly reader: Promise<Reader>;

  constructor(source: FileSource) {
    this.reader = open(source);
    this.reader.catch(() => {}); // who reads hears of it
  }

  /** The head's bytes; only its length has been looked at. */
  async head(): Promise<Bytes> {
    const reader = await this.reader;
    const prefix = await reader.read(0, kSnapshotPrefixBytes).catch((error: unknown) => {
      if (error instanceof MachineFailure && error.message === kCutOff) throw noSnapshot();
      throw error;
    });
    const length = new DataView(prefix.buffer).getUint32(kSnapshotHeadBytesAt, true);
    // What this is not is found by the core, which gets it as it is.
    if (length < kSnapshotPrefixBytes || length > kSnapshotMaxHeadBytes) throw noSnapshot();
    return reader.read(0, length);
  }

  async read(offset: number, length: number): Promise<Bytes> {
    return (await this.reader).read(offset, length);
  }

  async forget(offset: number): Promise<void> {
    (await this.reader).forget(offset);
  }
}

function noSnapshot(): MachineFailure {
  return new MachineFailure('bad-snapshot', 'This file is no snapshot of a machine.');
}

async function open(source: FileSource): Promise<Reader> {
  if ('bytes' in source) {
    return {
      async read(offset, length) {
        if (offset + length > source.bytes.length) throw cutOff();
        return source.bytes.slice(offset, offset + length);
      },
      forget() {},
    };
  }
  if ('blob' in source) {
    return {
      async read(offset, length) {
        if (offset + length > source.blob.size) throw cutOff();
        return new Uint8Array(await source.blob.slice(offset, offset + length).arrayBuffer());
      },
      forget() {},
    };
  }
  return ArrivingFile.request(source.url);
}

class ArrivingFile implements Reader {
  private readonly url: string;
  private readonly ranges: boolean;
  private readonly pieces: { at: number; bytes: Uint8Array }[] = [];
  private arrived = 0;
  private ended = false;
  private error: unknown = null;
  private waiting: (() => void)[] = [];

  static async request(url: string): Promise<ArrivingFile> {
    let response: Response;
    try {
      response = await fetch(url, { credentials: 'same-origin' });
    } catch (error) {
      throw new MachineFailure(
        'fetch-failed', `The snapshot could not be loaded from ${url}: no connection, or that server does not allow it (CORS).`,
        { cause: error },
      );
    }
    if (!response.ok || response.body === null) {
      const status = `${response.status} ${response.statusText}`.trim();
      throw new MachineFailure('fetch-failed', `The snapshot could not be loaded from ${url}: the server says ${status}.`);
    }
    const ranges = response.headers.get('accept-ranges') === 'bytes' && response.headers.get('content-encoding') === null;
    const file = new ArrivingFile(url, ranges);
    file.receive(response.body).catch((error: unknown) => {
      file.error = new MachineFailure('fetch-failed', 'The connection broke while the snapshot was loading.', { cause: error });
      file.wake();
    });
    return file;
  }

  private constructor(url: string, ranges: boolean) {
    this.url = url;
    this.ranges = ranges;
  }

  private async receive(body: ReadableStream<Uint8Array>): Promise<void> {
    for (const reader = body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      this.pieces.push({ at: this.arrived, bytes: value });
      this.arrived += value.length;
      this.wake();
    }
    this.ended = true;
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const each of waiting) each();
  }

  async read(offset: number, length: number): Promise<Bytes> {
    if (this.ranges && offset > this.arrived + kFarAhead && !this.ended) {
      const apart = await this.readApart(offset, length);
      if (apart !== null) return apart;
    }
    while (this.arrived < offset + length) {
      if (this.error !== null) throw this.error;
      if (this.ended) throw cutOff();
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    const bytes = new Uint8Array(length);
    for (const piece of this.pieces) {
      const from = Math.max(offset, piece.at);
      const to = Math.min(offset + length, piece.at + piece.bytes.length);
      if (from < to) bytes.set(piece.bytes.subarray(from - piece.at, to - piece.at), from - offset);
    }
    return bytes;
  }

  /** null: the server does not do that after all; the whole file arrives anyway. */
  private async readApart(offset: number, length: number): Promise<Bytes | null> {
    try {
      const response = await fetch(this.url, {
        credentials: 'same-origin', headers: { range: `bytes=${offset}-${offset + length - 1}` },
      });
      const bytes = response.status === 206 ? new Uint8Array(await response.arrayBuffer()) : null;
      return bytes?.length === length ? bytes : null;
    } catch {
      return null;
    }
  }

  forget(offset: number): void {
    while (this.pieces[0] !== undefined && this.pieces[0].at + this.pieces[0].bytes.length <= offset) this.pieces.shift();
  }
}
