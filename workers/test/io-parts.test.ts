// SPDX-License-Identifier: Apache-2.0
// The io worker's parts that need no core: memory sizes, files on their way, the hart's loop.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { HartShared_mail_posted, HartShared_mail_taken, sizeof_HartShared } from '../../build/generated/layout.ts';
import { kExitBudget, kExitEnded, kExitMail, kExitStopped } from '../core.ts';
import { runHart } from '../hart-loop.ts';
import { IncomingFile, MachineFailure } from '../incoming-file.ts';
import { memoryPages } from '../io-machine.ts';
import type { FileSource, MachineConfiguration } from '../protocol.ts';

const kMiB = 1 << 20;
const kContent = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) >> 3);

const server = createServer((request, response) => {
  const path = request.url ?? '';
  if (path === '/plain') response.writeHead(200, { 'Content-Length': kContent.length }).end(kContent);
  else if (path === '/gzip') {
    const packed = gzipSync(kContent);
    response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': packed.length }).end(packed);
  } else if (path === '/chunked') {
    response.writeHead(200);
    response.write(kContent.subarray(0, 1000));
    response.end(kContent.subarray(1000));
  } else if (path === '/broken') {
    response.writeHead(200, { 'Content-Length': kContent.length });
    response.write(kContent.subarray(0, 1000), () => response.destroy());
  } else response.writeHead(404).end('nothing here');
});
let base = '';
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});

test('the memory holds RAM, core, harts and files', () => {
  const configuration: MachineConfiguration = { harts: 2, memory: 512, append: '', console: 'virtio', firmware: 'built-in', compiler: true };
  const mib = (changes: Partial<MachineConfiguration>, files: number[] = []) =>
    (memoryPages({ ...configuration, ...changes }, files) * 65536) / kMiB;
  assert.ok(mib({}) >= 512 + 96 + 2 * 24);
  assert.ok(mib({}, [10 * kMiB, 1]) > mib({}) + 10);
  assert.ok(mib({}, [10 * kMiB, 1]) < mib({}) + 11);
  assert.ok(mib({ memory: 1024 }) >= mib({}) + 512);
  assert.ok(mib({ harts: 3 }) >= mib({}) + 24);
  assert.ok(mib({ harts: 8, memory: 2048 }) < 4096, 'the largest machine fits 32-bit addresses');
});

async function receive(source: FileSource): Promise<{ bytes: Uint8Array; reports: [number, number | null][] }> {
  const reports: [number, number | null][] = [];
  const file = new IncomingFile({ kind: 'kernel', source }, (loaded, total) => reports.push([loaded, total]));
  const bytes = new Uint8Array(new SharedArrayBuffer(await file.size));
  await file.place(bytes);
  return { bytes, reports };
}

test('a file arrives from every kind of source', async () => {
  const sources: FileSource[] = [
    { bytes: kContent }, { blob: new Blob([kContent]) }, { url: `${base}/plain` }, { url: `${base}/gzip` },
    { url: `${base}/chunked` }, { url: `${base}/gzip`, size: kContent.length },
  ];
  for (const source of sources) {
    const { bytes, reports } = await receive(source);
    assert.deepEqual(bytes.slice(), kContent);
    assert.deepEqual(reports.at(-1), [kContent.length, kContent.length]);
    for (let i = 1; i < reports.length; i++) assert.ok((reports[i]?.[0] ?? 0) >= (reports[i - 1]?.[0] ?? 0));
  }
});

test('a file that cannot be had is an error that names it and its address', async () => {
  const failure = (message: RegExp) => (error: unknown) =>
    error instanceof MachineFailure && error.code === 'fetch-failed' && message.test(error.message);
  await assert.rejects(receive({ url: `${base}/missing` }), failure(/The kernel could not be loaded from .*\/missing: the server says 404 Not Found/));
  await assert.rejects(receive({ url: 'http://127.0.0.1:1/x' }), failure(/127\.0\.0\.1:1\/x: no connection/));
  await assert.rejects(receive({ url: `${base}/broken` }), failure(/connection broke/));
  await assert.rejects(receive({ url: `${base}/plain`, size: 1000 }), failure(/larger than the 1000 bytes|of 1000 bytes/));
  await assert.rejects(receive({ url: `${base}/plain`, size: kContent.length + 1 }), failure(/ended after 300000 of 300001/));
});

test('a hart takes its mail between slices and leaves when it is stopped or the machine ends', async () => {
  const words = new Int32Array(new SharedArrayBuffer(sizeof_HartShared));
  const budgets: number[] = [];
  const exits = [kExitBudget, kExitMail, kExitBudget, kExitBudget, kExitEnded];
  let turns = 0;
  const run = (budget: number): number => {
    budgets.push(budget);
    const exit = exits[budgets.length - 1] ?? kExitEnded;
    if (exit === kExitMail) Atomics.add(words, HartShared_mail_posted / 4, 1);
    return exit;
  };
  const turn = async () => {
    // It arrives in the second turn: in between, the hart runs on in small slices.
    if (++turns === 2) Atomics.add(words, HartShared_mail_taken / 4, 1);
  };
  assert.equal(await runHart({ run, words, turn }), kExitEnded);
  assert.equal(turns, 2);
  assert.equal(budgets.length, 5);
  assert.ok((budgets[2] ?? Infinity) < (budgets[0] ?? 0));
  assert.equal(budgets[3], budgets[0]);
  assert.equal(await runHart({ run: () => kExitStopped, words, turn }), kExitStopped);
});
