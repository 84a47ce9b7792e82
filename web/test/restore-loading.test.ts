// SPDX-License-Identifier: Apache-2.0
// A machine that is restored from a server and runs before all of it is here: with and without ranges, over connections that
// break, with damage that shows late. Real machines under Node.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Servers, type BreakingServer } from '../../workers/test/breaking-server.ts';
import type { MachineError } from '../api/errors.ts';
import type { Machine } from '../api/machine.ts';
import type { RestoreOptions } from '../api/options.ts';
import { kPrompt, kSlow, linux, restore, terminateAll } from './guest.ts';

/** Of a machine that has a file of chance, so that the file is larger than what is read ahead. */
let whole: Uint8Array<ArrayBuffer>;
let sum: string;
before(async () => {
  const machine = await linux({ harts: 2 });
  await machine.waitFor(kPrompt, kSlow);
  sum = await answer(machine, 'head -c 6000000 /dev/urandom > /tmp/file; md5sum /tmp/file', /\n([0-9a-f]{32}) /);
  whole = new Uint8Array(await (await machine.snapshot()).arrayBuffer());
  machine.terminate();
});
const servers = new Servers();
afterEach(() => {
  terminateAll();
  servers.close();
});
after(terminateAll);

async function answer(machine: Machine, command: string, pattern: RegExp): Promise<string> {
  machine.console.write(`${command}\n`);
  const match = await machine.waitFor(pattern, kSlow);
  return match[1] ?? match[0];
}

async function restored(server: BreakingServer, options: RestoreOptions = {}): Promise<{ machine: Machine; errors: MachineError[] }> {
  const errors: MachineError[] = [];
  return { machine: await restore(server.url, { onError: (error) => errors.push(error), ...options }), errors };
}

/** All of it comes, and is right. */
async function worksIn({ machine, errors }: { machine: Machine; errors: MachineError[] }): Promise<void> {
  assert.equal(await answer(machine, 'md5sum /tmp/file', /\n([0-9a-f]{32}) /), sum);
  await machine.loaded;
  assert.deepEqual([errors, machine.state], [[], 'running']);
}

for (const ranges of [true, false]) {
  for (const lazy of [true, false]) {
    const name = `${ranges ? 'with' : 'without'} ranges, ${lazy ? 'lazily' : 'as a whole'}`;
    test(`a server ${name}`, async () => {
      const server = await servers.of(whole);
      server.ranges = ranges;
      await worksIn(await restored(server, { lazy }));
      assert.equal(server.requests.filter(({ range }) => range === null).length, 1, 'the file was asked for more than once');
    });

    test(`a connection that breaks twice: a server ${name}`, async () => {
      const server = await servers.of(whole, [{ cutAfter: 1_000_000 }, { cutAfter: 1_000_000 }, {}]);
      server.ranges = ranges;
      // What is wanted far ahead is asked for by itself, and may be what breaks.
      if (ranges && lazy) server.answers = Array.from({ length: 60 }, (_, n) => (n % 3 === 2 ? {} : { cutAfter: 1_000_000 }));
      await worksIn(await restored(server, { lazy }));
    });
  }
}

test('a server that answers a request for a part with the whole file', async () => {
  const server = await servers.of(whole, [{ holdAfter: 1_500_000 }, { whole: true }]);
  const machine = await restored(server);
  const working = worksIn(machine);
  const { range } = await server.nth(1);
  assert.ok(range !== null && range.last !== null);
  server.release();
  await working;
  assert.equal(server.requests.length, 2);
});

test('a machine that waits for a file that does not come any more ends with a sentence', async () => {
  const server = await servers.of(whole, [{ cutAfter: 1_500_000 }, { status: 503 }]);
  const { machine, errors } = await restored(server);
  machine.console.write('md5sum /tmp/file\n');
  const exit = await machine.exited;
  assert.equal(exit.reason, 'failed');
  assert.deepEqual(errors.map(({ code }) => code), ['fetch-failed']);
  assert.equal(errors[0]?.message, 'The connection broke while the snapshot was loading, and could not be made again: the server says 503 Service Unavailable.');
});

test('before it runs, the same is why it does not', async () => {
  const server = await servers.of(whole, [{ cutAfter: 1_500_000 }, { refuse: true }]);
  await assert.rejects(restored(server, { lazy: false }), { code: 'fetch-failed', message: /^The connection broke while the snapshot was loading, and could not be made again\.$/ });
});

test('a chunk of wrong content, and a file that is too short, end the machine with a sentence', async () => {
  const wrong = whole.slice();
  wrong.fill(0x55, wrong.length - 300_000, wrong.length - 200_000);
  for (const [file, why] of [[wrong, /^The snapshot is damaged: [^:{}]+\.$/], [whole.slice(0, -100_000), /^The snapshot is damaged: it is cut off\.$/]] as const) {
    const { machine, errors } = await restored(await servers.of(file));
    assert.equal((await machine.exited).reason, 'failed');
    assert.equal(errors[0]?.code, 'bad-snapshot');
    assert.match(errors[0]?.message ?? '', why);
  }
});

test('a head that is altered or cut off: a sentence, at once', async () => {
  const refused = async (file: Uint8Array, why: RegExp): Promise<void> => {
    await assert.rejects(restore(file), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'bad-snapshot', error.message);
      assert.match(error.message, why);
      assert.match(error.message, /^[A-Z][^{}<>]+\.$/);
      assert.doesNotMatch(error.message, /JSON|Error|undefined|crashed/);
      return true;
    });
  };
  for (const at of [0, 8, 12, 16, 24, 31, 40, 100, 1000]) {
    await refused(whole.map((byte, index) => (index === at ? byte ^ 0x04 : byte)), at < 8 ? /no snapshot/ : at < 12 ? /newer/ : /damaged/);
  }
  for (const length of [0, 31, 32, 1000]) await refused(whole.slice(0, length), length < 32 ? /no snapshot/ : /cut off/);
});
