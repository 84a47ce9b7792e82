// SPDX-License-Identifier: Apache-2.0
// The pager's worker before there is a machine: heads, and what is said where they cannot be had.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { FileSource, FromPager, ToPager } from '../protocol.ts';
import { Servers } from './breaking-server.ts';
import { makeHead } from './snapshot-file.ts';

const servers = new Servers();
let worker: Worker;
before(() => {
  worker = new Worker(new URL('../pager-worker.ts', import.meta.url));
});
after(() => worker.terminate());
afterEach(() => servers.close());

async function ask(message: ToPager): Promise<FromPager> {
  worker.postMessage(message);
  const [answer] = await once(worker, 'message') as [FromPager]; // rejects if the worker fails
  return answer;
}
const open = (...sources: FileSource[]): Promise<FromPager> => ask({ type: 'open', sources });

async function fails(answer: Promise<FromPager>, code: string, why: RegExp): Promise<void> {
  const message = await answer;
  assert.ok(message.type === 'error', JSON.stringify(message));
  assert.equal(message.error.code, code, message.error.message);
  assert.match(message.error.message, why);
  assert.match(message.error.message, /^[A-Z][^{}<>]+\.$/);
  assert.doesNotMatch(message.error.message, /JSON|Error|undefined|crashed|DataView|DecompressionStream/);
}

test('the heads of a snapshot and its increments, in order; the configuration is the last one’s', async () => {
  const [one, two] = [makeHead({ configuration: '{"harts":1}' }), makeHead({ configuration: '{"harts":2}', diskBytes: 4096n })];
  const server = await servers.of(Uint8Array.from([...one, ...new Uint8Array(1000)]));
  const answer = await open({ url: server.url }, { blob: new Blob([two]) });
  assert.deepEqual(answer, { type: 'heads', heads: [one, two], configuration: { harts: 2 }, diskBytes: 4096 });
});

test('whatever is wrong with a head is one sentence', async () => {
  const head = makeHead({});
  const altered = (at: number): Uint8Array => head.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
  await fails(open({ bytes: new Uint8Array(0) }), 'bad-snapshot', /no snapshot/);
  await fails(open({ bytes: altered(0) }), 'bad-snapshot', /no snapshot/);
  await fails(open({ bytes: altered(8) }), 'bad-snapshot', /newer/);
  for (const at of [16, 20, 23, 24, 31, 32, 40, head.length - 1]) await fails(open({ bytes: altered(at) }), 'bad-snapshot', /damaged/);
  await fails(open({ bytes: head.slice(0, -1) }), 'bad-snapshot', /cut off/);
  await fails(open({ bytes: makeHead({ configuration: 'harts: 2' }) }), 'bad-snapshot', /configuration cannot be read/);
  await fails(open({ bytes: head }, { bytes: altered(32) }), 'bad-snapshot', /damaged/);
  await fails(open({ bytes: head.slice(0, 40) }, { bytes: head }), 'bad-snapshot', /cut off/);
});

test('whatever is wrong with a server is one sentence', async () => {
  const missing = await servers.of(makeHead({}), [{ status: 404 }]);
  await fails(open({ url: missing.url }), 'fetch-failed', /the server says 404 Not Found/);
  const gone = await servers.of(makeHead({}));
  gone.close();
  await fails(open({ url: gone.url }), 'fetch-failed', /no connection/);
});

test('a head whose connection breaks is read on', async () => {
  const head = makeHead({ notes: 'x'.repeat(5000) });
  const server = await servers.of(head, [{ cutAfter: 20 }, { cutAfter: 1000 }, {}]);
  const answer = await open({ url: server.url });
  assert.deepEqual(answer.type === 'heads' ? answer.heads : answer, [head]);
  assert.deepEqual(server.requests.map(({ range }) => range?.first), [undefined, 20, 1020]);
});

test('before it has begun, nothing was waited for', async () => {
  assert.deepEqual(await ask({ type: 'report' }), { type: 'order', pages: [] });
});
