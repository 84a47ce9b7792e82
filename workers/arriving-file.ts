// SPDX-License-Identifier: Apache-2.0
// A file that is loaded from its beginning to its end and read meanwhile. What lies far ahead is asked for by itself where the
// server allows that. A connection that breaks is made again, from where it stopped: a machine that runs already waits for
// what is missing, and would have to end.
import { MachineFailure } from './incoming-file.ts';
import { cutOff } from './snapshot-head.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What is farther ahead of what has arrived than this is worth a request of its own. */
const kFarAhead = 512 * 1024;
/** Milliseconds before each attempt to go on; anything that arrives begins anew. Shorter together than what Linux calls a stall. */
export const kPausesMs: readonly number[] = [250, 500, 1000, 2000, 4000];

export type Sleep = (milliseconds: number) => Promise<void>;
const sleepByTimer: Sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const failure = (what: string, cause?: unknown): MachineFailure => new MachineFailure('fetch-failed', what, { cause });
const statusOf = (response: Response): string => `the server says ${`${response.status} ${response.statusText}`.trim()}`;

export class ArrivingFile {
  private readonly url: string;
  private readonly sleep: Sleep;
  private readonly tag: string | null;
  private ranges: boolean;
  private readonly pieces: { at: number; bytes: Uint8Array }[] = [];
  private arrived = 0;
  private ended = false;
  private error: unknown = null;
  private waiting: (() => void)[] = [];

  /** Rejects with MachineFailure 'fetch-failed'. */
  static async request(url: string, sleep: Sleep = sleepByTimer): Promise<ArrivingFile> {
    let response: Response;
    try {
      response = await fetch(url, { credentials: 'same-origin' });
    } catch (error) {
      throw failure(`The snapshot could not be loaded from ${url}: no connection, or that server does not allow it (CORS).`, error);
    }
    if (!response.ok || response.body === null) throw failure(`The snapshot could not be loaded from ${url}: ${statusOf(response)}.`);
    const file = new ArrivingFile(url, response, sleep);
    file.receive(response.body).catch((error: unknown) => {
      file.error = error;
      file.wake();
    });
    return file;
  }

  private constructor(url: string, response: Response, sleep: Sleep) {
    this.url = url;
    this.sleep = sleep;
    this.tag = tagOf(response);
    this.ranges = response.headers.get('accept-ranges') === 'bytes' && response.headers.get('content-encoding') === null;
  }

  /** Resolves when those bytes are here. Rejects with MachineFailure: 'bad-snapshot' where the file is shorter. */
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

  /** Nothing before this offset will be asked for again. */
  forget(offset: number): void {
    while (this.pieces[0] !== undefined && this.pieces[0].at + this.pieces[0].bytes.length <= offset) this.pieces.shift();
  }

  private async receive(first: ReadableStream<Uint8Array>): Promise<void> {
    let failures = 0;
    for (let next: { body: ReadableStream<Uint8Array>; at: number } | null = { body: first, at: 0 }; next !== null;) {
      const before = this.arrived;
      const broken = await this.drain(next.body, next.at).then(() => null, (error: unknown) => ({ error }));
      if (broken === null) break;
      if (this.arrived > before) failures = 0;
      let why = '';
      for (next = null; next === null;) {
        const pause = kPausesMs[failures++];
        if (pause === undefined) {
          throw failure(`The connection broke while the snapshot was loading, and could not be made again${why}.`, broken.error);
        }
        await this.sleep(pause);
        const again = await this.requestRest();
        if (again === 'ended') break;
        if ('why' in again) why = again.why;
        else next = again;
      }
    }
    this.ended = true;
    this.wake();
  }

  /** `at`: where in the file the body begins, which may be before what is here already. */
  private async drain(body: ReadableStream<Uint8Array>, at: number): Promise<void> {
    for (const reader = body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) return;
      const fresh = value.subarray(Math.max(0, this.arrived - at));
      at += value.length;
      if (fresh.length === 0) continue;
      this.pieces.push({ at: this.arrived, bytes: fresh });
      this.arrived += fresh.length;
      this.wake();
    }
  }

  /** The rest of the file, or all of it from a server that gives nothing less; or why not. Throws where the file is another one. */
  private async requestRest(): Promise<{ body: ReadableStream<Uint8Array>; at: number } | { why: string } | 'ended'> {
    let response: Response;
    try {
      response = await fetch(this.url, {
        credentials: 'same-origin', headers: this.ranges ? { range: `bytes=${this.arrived}-` } : {},
      });
    } catch {
      return { why: '' };
    }
    if (response.status === 416 && this.ranges) { // nothing is behind what is here
      await discard(response);
      return 'ended';
    }
    if (!response.ok || response.body === null) {
      await discard(response);
      return { why: `: ${statusOf(response)}` };
    }
    this.mustBeSame(response);
    const at = response.status === 206 ? this.arrived : 0;
    if (at !== 0 && !beginsAt(response, at)) {
      await discard(response);
      return { why: ': the server sends other parts than it is asked for' };
    }
    return { body: response.body, at };
  }

  /** null: the server does not do that after all, or the connection broke; the whole file arrives anyway. */
  private async readApart(offset: number, length: number): Promise<Bytes | null> {
    try {
      const response = await fetch(this.url, {
        credentials: 'same-origin', headers: { range: `bytes=${offset}-${offset + length - 1}` },
      });
      const right = response.status === 206 && beginsAt(response, offset) && this.isSame(response);
      if (!right) {
        // Else it would send all of the file once more, and again for the next part.
        if (response.ok) this.ranges = false;
        await discard(response);
        return null;
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      return bytes.length === length ? bytes : null;
    } catch {
      return null;
    }
  }

  private isSame(response: Response): boolean {
    const tag = tagOf(response);
    return tag === null || this.tag === null || tag === this.tag;
  }

  private mustBeSame(response: Response): void {
    if (this.isSame(response)) return;
    void discard(response);
    throw failure(`The snapshot at ${this.url} was replaced by another one while it was loading.`);
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const each of waiting) each();
  }
}

/** Whether a partial answer has the part that was asked for, as far as the server lets a page know. */
function beginsAt(response: Response, offset: number): boolean {
  const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return range === null || Number(range[1]) === offset;
}

/** What tells one version of a file from another. A weak tag is as good here: every part of a snapshot has its checksum. */
function tagOf(response: Response): string | null {
  return response.headers.get('etag')?.replace(/^W\//, '') ?? null;
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}
