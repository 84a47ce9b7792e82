// SPDX-License-Identifier: Apache-2.0
// The snapshot that comes with the page: a machine at a prompt long before all of it has arrived. Made by the set-up's target
// `snapshot`; HARTWOOD_GUEST or build/guest has it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Machine } from '../api/machine.ts';
import { makeNodeHost } from './node-host.ts';

const kBuild = fileURLToPath(new URL('../../build/guest/snapshot', import.meta.url));
const kFolders = [process.env['HARTWOOD_GUEST'], kBuild].filter((folder) => folder !== undefined);
const kFile = kFolders.map((folder) => join(folder, 'prompt.hws')).find((file) => existsSync(file));
/** 4 MB less what the page itself is, packed: core 0.35 MB, scripts and styles 0.25 MB. */
const kMostBytes = 3_400_000;
const kSlow = { timeout: 60_000 };
const kAttempts = 5;
/** Until one that has not answered gets the rest. */
const kPatienceMs = 10_000;

/** Serves so many bytes, and the rest when it is asked to; says nothing of ranges: what is not sent is not to be had. */
async function serveFirst(file: Buffer, first: number): Promise<{ url: string; sendRest: () => void; close: () => void }> {
  const answers: ServerResponse[] = [];
  const server = createServer((_, response) => {
    answers.push(response);
    response.writeHead(200, { 'content-length': file.length });
    response.write(file.subarray(0, first));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prompt.hws`,
    sendRest: () => answers.forEach((answer) => answer.end(file.subarray(first))),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a prompt, and a command, after less than 4 MB; the rest while it runs', async () => {
  assert.ok(kFile !== undefined, `prompt.hws is in none of ${kFolders.join(', ')}`);
  const file = readFileSync(kFile);
  assert.ok(file.length > kMostBytes, 'so small a file proves nothing');
  let early = 0;
  for (let attempt = 0; attempt < kAttempts; attempt++) {
    const { url, sendRest, close } = await serveFirst(file, kMostBytes);
    const errors: unknown[] = [];
    const machine = await Machine.restore(url, { onError: (error) => errors.push(error) }, makeNodeHost());
    try {
      const printed: Uint8Array[] = [];
      machine.console.onData((bytes) => void printed.push(bytes));
      assert.match(Buffer.concat(printed).toString(), /Linux version[^]*:~# $/, 'what it printed before');
      machine.console.write('echo $((6*7)); ls /\n');
      const answered = machine.waitFor(/42\r\n[^]*:~# /, kSlow);
      early += await Promise.race([answered.then(() => 1), setTimeout(kPatienceMs, 0)]);
      assert.throws(() => machine.readMemory(0x8000_0000, 16), { code: 'not-loaded' });
      sendRest();
      await answered;
      await machine.loaded;
      assert.equal(machine.readMemory(0x8000_0000, 16).length, 16);
      machine.console.write('cat /bin/busybox | md5sum; poweroff -f\n');
      assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
      assert.deepEqual(errors, []);
    } finally {
      machine.terminate();
      close();
    }
  }
  // Which free pages the kernel takes first is chance: now and then one is needed that no trial had needed.
  assert.ok(early >= kAttempts - 1, `only ${early} of ${kAttempts} had their prompt by then`);
});
