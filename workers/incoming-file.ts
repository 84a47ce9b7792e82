// SPDX-License-Identifier: Apache-2.0
// A file on its way into the machine: it begins to arrive at once, is asked for its size so that the memory can be made,
// and then goes chunk by chunk into the place that the core allocated for it. io worker only. A file is never held twice:
// chunks that arrived before there was a place are dropped as they are copied.
import type { ErrorCode, FileKind, NamedFile } from './protocol.ts';

/** A failure that is not our bug; reaches the page as an ErrorReport. */
export class MachineFailure extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type Progress = (loaded: number, total: number | null) => void;

const kNames: Record<FileKind, string> = {
  kernel: 'kernel',
  initrd: 'initial RAM disk',
  firmware: 'firmware',
  dtb: 'device tree',
  disk: 'disk image',
};
export const fileName = (kind: FileKind): string => kNames[kind];

const kProgressStep = 256 * 1024; // bytes between two reports

export class IncomingFile {
  readonly kind: FileKind;
  /** Bytes. Rejects with MachineFailure when the file cannot be had. */
  readonly size: Promise<number>;
  private readonly arrived: Promise<void>;
  private readonly progress: Progress;
  private told = '';
  private waiting: Uint8Array[] = [];
  private target: Uint8Array | null = null;
  private loaded = 0;
  private reported = 0;
  private expected: number | null = null;

  constructor({ kind, source }: NamedFile, progress: Progress) {
    this.kind = kind;
    this.progress = progress;
    let sizeKnown!: (size: number) => void;
    let sizeFailed!: (error: unknown) => void;
    this.size = new Promise((resolve, reject) => {
      sizeKnown = resolve;
      sizeFailed = reject;
    });
    const know = (size: number): void => {
      this.expected = size;
      this.report();
      sizeKnown(size);
    };
    this.report();
    this.arrived = this.receive(source, know).then(() => know(this.loaded), (error: unknown) => {
      sizeFailed(error);
      throw error;
    });
    this.arrived.catch(() => {}); // whoever awaits `size` or place() hears of it
    this.size.catch(() => {});
  }

  /** Copies the whole file to `target`, which is exactly as large as `size` said. */
  async place(target: Uint8Array): Promise<void> {
    this.target = target;
    let at = 0;
    for (const chunk of this.waiting) {
      target.set(chunk, at);
      at += chunk.length;
    }
    this.waiting = [];
    await this.arrived;
    if (this.loaded !== target.length) {
      throw this.failure(`ended after ${this.loaded} of ${target.length} bytes.`);
    }
  }

  private failure(what: string): MachineFailure {
    return new MachineFailure('fetch-failed', `The ${fileName(this.kind)} ${what}`);
  }

  private async receive(source: NamedFile['source'], know: (size: number) => void): Promise<void> {
    if ('bytes' in source) {
      know(source.bytes.length);
      this.take(source.bytes);
    } else if ('blob' in source) {
      know(source.blob.size);
      await this.drain(source.blob.stream());
    } else {
      await this.fetch(source.url, source.size, know);
    }
    this.expected = this.loaded;
    this.report();
  }

  private report(): void {
    const state = `${this.loaded} ${this.expected}`;
    if (state === this.told) return;
    this.told = state;
    this.progress(this.loaded, this.expected);
  }

  private async fetch(url: string, size: number | undefined, know: (size: number) => void): Promise<void> {
    if (size !== undefined) know(size);
    let response: Response;
    try {
      response = await fetch(url, { credentials: 'same-origin' });
    } catch (error) {
      throw new MachineFailure(
        'fetch-failed',
        `The ${fileName(this.kind)} could not be loaded from ${url}: no connection, or that server does not allow it (CORS).`,
        { cause: error },
      );
    }
    if (!response.ok || response.body === null) {
      const status = `${response.status} ${response.statusText}`.trim();
      throw this.failure(`could not be loaded from ${url}: the server says ${status}.`);
    }
    // With an encoding the header counts the compressed bytes; the size is then known at the end.
    const length = response.headers.get('content-length');
    if (size === undefined && length !== null && response.headers.get('content-encoding') === null) know(Number(length));
    try {
      await this.drain(response.body);
    } catch (error) {
      if (error instanceof MachineFailure) throw error;
      throw new MachineFailure('fetch-failed', `The connection broke while the ${fileName(this.kind)} was loading.`,
        { cause: error });
    }
  }

  private async drain(stream: ReadableStream<Uint8Array>): Promise<void> {
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.take(value);
    }
  }

  private take(chunk: Uint8Array): void {
    if (this.target === null) this.waiting.push(chunk);
    else if (this.loaded + chunk.length <= this.target.length) this.target.set(chunk, this.loaded);
    else throw this.failure(`is larger than the ${this.target.length} bytes that were announced.`);
    this.loaded += chunk.length;
    if (this.loaded - this.reported >= kProgressStep) {
      this.reported = this.loaded;
      this.report();
    }
  }
}
