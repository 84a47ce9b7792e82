// SPDX-License-Identifier: Apache-2.0
// A folder of the browser's own storage, as far as saved-machines.ts uses one, in memory: with what browsers differ in, and
// with a limit.
import type { FileHandle, Folder, Writer } from '../shared/saved-machines.ts';

export interface Abilities {
  /** FileHandle.createWritable; else there is `writer`. */
  writable: boolean;
  /** FileHandle.move: also over a file that exists, only to where none is, or not at all. */
  move: 'over' | 'free' | 'none';
  /** Bytes that all files together may have, those being written included. */
  room: number;
}

const quota = (): DOMException => new DOMException('full', 'QuotaExceededError');

export class FakeFolder implements Folder {
  readonly files = new Map<string, { content: Blob; date: number }>();
  /** Files that getFile fails for. */
  readonly unreadable = new Set<string>();
  /** Called before each piece is written: to look at what is there, or to throw. */
  beforePiece: () => void = () => {};
  private readonly can: Abilities;
  private time = 1_000_000;

  constructor(can: Partial<Abilities> = {}) {
    this.can = { writable: true, move: 'over', room: Infinity, ...can };
  }

  /** What a worker does: in place, so that a failure leaves a part. */
  readonly writer: Writer = async (_folder, name, data, { onProgress, signal }) => {
    const entry = this.entry(name);
    entry.content = new Blob();
    const kPiece = 1 << 20;
    for (let at = 0; at < data.size; at += kPiece) {
      this.beforePiece();
      const piece = data.slice(at, at + kPiece);
      if (this.used() + piece.size > this.can.room) throw quota();
      entry.content = new Blob([entry.content, piece]);
      entry.date = ++this.time;
      signal?.throwIfAborted();
      onProgress?.(entry.content.size);
    }
  };

  names(): string[] {
    return [...this.files.keys()].sort();
  }

  async text(name: string): Promise<string> {
    return this.entry(name).content.text();
  }

  put(name: string, content: Blob | string, date = ++this.time): void {
    this.files.set(name, { content: new Blob([content]), date });
  }

  async *keys(): AsyncIterable<string> {
    yield* [...this.files.keys()];
  }

  async removeEntry(name: string): Promise<void> {
    this.entry(name);
    this.files.delete(name);
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<FileHandle> {
    if (create && !this.files.has(name)) this.put(name, '');
    this.entry(name);
    let place = name;
    return {
      getFile: async () => {
        const { content, date } = this.entry(place);
        if (this.unreadable.has(place)) throw new DOMException('cannot be read', 'NotReadableError');
        return new File([content], place, { lastModified: date });
      },
      ...(this.can.writable ? { createWritable: async () => this.writable(place) } : {}),
      ...(this.can.move === 'none' ? {} : {
        move: async (to: string) => {
          if (this.can.move === 'free' && this.files.has(to)) throw new DOMException('it exists', 'InvalidModificationError');
          const entry = this.entry(place);
          this.files.delete(place);
          this.files.set(to, entry);
          place = to;
        },
      }),
    };
  }

  /** As the standard has it: the file changes when it is closed. */
  private writable(name: string) {
    let written: Blob | null = new Blob();
    return {
      write: async (data: Blob) => {
        this.beforePiece();
        if (written === null) throw new TypeError('closed');
        if (this.used() + written.size + data.size > this.can.room) throw quota();
        written = new Blob([written, data]);
      },
      close: async () => {
        if (written === null) throw new TypeError('closed');
        this.put(name, written);
        written = null;
      },
      abort: async () => {
        written = null;
      },
    };
  }

  private used(): number {
    return [...this.files.values()].reduce((sum, { content }) => sum + content.size, 0);
  }

  private entry(name: string): { content: Blob; date: number } {
    const entry = this.files.get(name);
    if (entry === undefined) throw new DOMException(`no file ${name}`, 'NotFoundError');
    return entry;
  }
}
