// SPDX-License-Identifier: Apache-2.0
// The bytes of one snapshot, from wherever it is: at hand, in a file, or arriving.
import { kSnapshotPrefixBytes } from '../build/generated/layout.ts';
import { ArrivingFile, type Sleep } from './arriving-file.ts';
import { MachineFailure } from './incoming-file.ts';
import type { FileSource } from './protocol.ts';
import { cutOff, headLength, noSnapshot } from './snapshot-head.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface Reader {
  read(offset: number, length: number): Promise<Bytes>;
  /** Nothing before this offset will be asked for again. */
  forget(offset: number): void;
}

export class SnapshotSource {
  private readonly reader: Promise<Reader>;

  /** `sleep`: between attempts to go on with a connection that broke; by a timer, if absent. */
  constructor(source: FileSource, sleep?: Sleep) {
    this.reader = open(source, sleep);
    this.reader.catch(() => {}); // who reads hears of it
  }

  /** The head's bytes; its beginning is one. Rejects with MachineFailure, as read does. */
  async head(): Promise<Bytes> {
    const reader = await this.reader;
    const prefix = await reader.read(0, kSnapshotPrefixBytes).catch((error: unknown) => {
      throw error instanceof MachineFailure && error.code === 'bad-snapshot' ? noSnapshot() : error;
    });
    return reader.read(0, headLength(prefix));
  }

  /** Rejects with MachineFailure: 'bad-snapshot' where the snapshot ends before that, 'fetch-failed' where it cannot be had. */
  async read(offset: number, length: number): Promise<Bytes> {
    return (await this.reader).read(offset, length);
  }

  async forget(offset: number): Promise<void> {
    (await this.reader).forget(offset);
  }
}

async function open(source: FileSource, sleep?: Sleep): Promise<Reader> {
  if ('url' in source) return ArrivingFile.request(source.url, sleep);
  const size = 'bytes' in source ? source.bytes.length : source.blob.size;
  return {
    async read(offset, length) {
      if (offset + length > size) throw cutOff();
      if ('bytes' in source) return source.bytes.slice(offset, offset + length);
      try {
        return new Uint8Array(await source.blob.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        throw new MachineFailure('fetch-failed', 'The file of the snapshot cannot be read any more: it was changed, moved or deleted.', { cause: error });
      }
    },
    forget() {},
  };
}
