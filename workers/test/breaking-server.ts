// SPDX-License-Identifier: Apache-2.0
// A server of one file whose answers a test scripts: whole or in part, cut off in the middle, of the wrong kind.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Request {
  /** The range that was asked for; `last` null: to the end. */
  range: { first: number; last: number | null } | null;
  /** Resolves when the connection is closed; whether all that was to be sent was taken. */
  closed: Promise<boolean>;
}

export interface Answer {
  /** 200 or 206 by what is asked for, unless `whole` or `status` say otherwise. */
  status?: number;
  /** All of the file, whatever is asked for. */
  whole?: boolean;
  headers?: Record<string, string>;
  /** Bytes of the body after which the connection is cut. */
  cutAfter?: number;
  /** Bytes of the body after which nothing comes any more, until release(). */
  holdAfter?: number;
  /** Added to where the part begins that is sent, in the header and in truth. */
  shift?: number;
  /** Not even an answer. */
  refuse?: boolean;
}

export class BreakingServer {
  url = '';
  readonly requests: Request[] = [];
  /** For the nth request; the last one for all later ones. */
  answers: Answer[] = [{}];
  file: Uint8Array;
  ranges = true;
  private readonly held: (() => void)[] = [];
  private readonly expecting: (() => void)[] = [];
  private readonly server = createServer((request, response) => this.answer(request, response));

  constructor(file: Uint8Array) {
    this.file = file;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/machine.hws`;
    return this;
  }

  /** The nth request, from 0, when it has come. */
  async nth(number: number): Promise<Request> {
    for (;;) {
      const request = this.requests[number];
      if (request !== undefined) return request;
      await new Promise<void>((resolve) => this.expecting.push(resolve));
    }
  }

  /** What was held back is sent. */
  release(): void {
    for (const each of this.held.splice(0)) each();
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const answer = this.answers[Math.min(this.requests.length, this.answers.length - 1)] ?? {};
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const range = first === undefined ? null : { first: Number(first), last: last === undefined || last === '' ? null : Number(last) };
    this.requests.push({
      range, closed: new Promise((resolve) => response.on('close', () => resolve(response.writableFinished))),
    });
    for (const each of this.expecting.splice(0)) each();
    if (answer.refuse === true) {
      request.socket.destroy();
      return;
    }
    const size = this.file.length;
    const partial = range !== null && this.ranges && answer.whole !== true && answer.status === undefined;
    if (partial && range.first >= size) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const from = partial ? range.first + (answer.shift ?? 0) : 0;
    const to = partial ? Math.min(range.last ?? size - 1, size - 1) + (answer.shift ?? 0) : size - 1;
    const body = this.file.subarray(from, to + 1);
    response.writeHead(answer.status ?? (partial ? 206 : 200), {
      'content-length': String(body.length),
      ...(this.ranges ? { 'accept-ranges': 'bytes' } : {}),
      ...(partial ? { 'content-range': `bytes ${from}-${to}/${size}` } : {}),
      ...answer.headers,
    });
    if (answer.cutAfter !== undefined) {
      // The connection is closed in order, behind what was sent: a reset could overtake it.
      response.write(body.subarray(0, answer.cutAfter), () => response.socket?.end());
    } else if (answer.holdAfter !== undefined) {
      response.write(body.subarray(0, answer.holdAfter));
      this.held.push(() => response.end(body.subarray(answer.holdAfter)));
    } else {
      response.end(body);
    }
  }
}

/** Servers for close() in a test file's afterEach. */
export class Servers {
  private readonly all: BreakingServer[] = [];

  async of(file: Uint8Array, answers: Answer[] = [{}]): Promise<BreakingServer> {
    const server = await new BreakingServer(file).listen();
    server.answers = answers;
    this.all.push(server);
    return server;
  }

  close(): void {
    for (const server of this.all.splice(0)) server.close();
  }
}
