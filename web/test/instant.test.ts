// SPDX-License-Identifier: Apache-2.0
// The snapshot that comes with the page: a machine at a prompt long before all of it has arrived. Made by the set-up's target
// `snapshot`; HARTWOOD_GUEST or build/guest has it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Machine } from '../api/machine.ts';
import { makeNodeHost } from './node-host.ts';

const kBuild = fileURLToPath(new URL('../../build/guest/snapshot', import.meta.url));
const kFolders = [process.env['HARTWOOD_GUEST'], kBuild].filter((folder) => folder !== undefined);
const kFile = kFolders.map((folder) => join(folder, 'prompt.hws')).find((file) => existsSync(file));
/** 4 MB less what the page itself is, packed: core 0.35 MB, scripts and styles 0.25 MB. */
const kMostBytes = 3_400_000;
const kSlow = { timeout: 60_000 };
const kAttempts = 3;
/** Of these, so many come by themselves. Which free pages the kernel takes is chance, so some are needed that come later. */
const kFirstBytes = 2_400_000;

/** Serves the beginning, and what is asked for by range; the rest when it is told to. Counts the bytes. */
class SlowServer {
  sent = 0;
  private readonly file: Buffer;
  private readonly answers: ServerResponse[] = [];
  private readonly server = createServer((request, response) => this.answer(request, response));

  constructor(file: Buffer) {
    this.file = file;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/prompt.hws`;
  }

  sendRest(): void {
    for (const answer of this.answers) answer.end(this.file.subarray(kFirstBytes));
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined || last === undefined) {
      this.answers.push(response);
      this.sent += kFirstBytes;
      response.writeHead(200, { 'content-length': this.file.length, 'accept-ranges': 'bytes' });
      response.write(this.file.subarray(0, kFirstBytes));
      return;
    }
    const part = this.file.subarray(Number(first), Number(last) + 1);
    this.sent += part.length;
    response.writeHead(206, { 'content-length': part.length });
    response.end(part);
  }
}

test('a prompt, and a command, after less than 4 MB; the rest while it runs', { timeout: 90_000 }, async () => {
  assert.ok(kFile !== undefined, `prompt.hws is in none of ${kFolders.join(', ')}`);
  const file = readFileSync(kFile);
  assert.ok(file.length > kMostBytes, 'so small a file proves nothing');
  for (let attempt = 0; attempt < kAttempts; attempt++) {
    const server = new SlowServer(file);
    const url = await server.listen();
    const errors: unknown[] = [];
    const machine = await Machine.restore(url, { onError: (error) => errors.push(error) }, makeNodeHost());
    try {
      const printed: Uint8Array[] = [];
      machine.console.onData((bytes) => void printed.push(bytes));
      assert.match(Buffer.concat(printed).toString(), /Linux version[^]*:~# $/, 'what it printed before');
      machine.console.write('echo $((6*7)); ls /\n');
      await machine.waitFor(/42\r\n[^]*:~# /, kSlow);
      assert.ok(server.sent <= kMostBytes, `${server.sent} bytes were sent by then`);
      assert.throws(() => machine.readMemory(0x8000_0000, 16), { code: 'not-loaded' });
      server.sendRest();
      await machine.loaded;
      assert.equal(machine.readMemory(0x8000_0000, 16).length, 16);
      machine.console.write('cat /bin/busybox | md5sum; poweroff -f\n');
      assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
      assert.deepEqual(errors, []);
    } finally {
      machine.terminate();
      server.close();
    }
  }
});
