// SPDX-License-Identifier: Apache-2.0
// The bytes of a snapshot from servers of every kind: with and without ranges, that answer with the whole file, whose
// connections break, that have another file by then. And from memory and files.
import assert from 'node:assert/strict';
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { kPausesMs } from '../arriving-file.ts';
import { MachineFailure } from '../incoming-file.ts';
import type { ErrorCode } from '../protocol.ts';
import { SnapshotSource } from '../snapshot-source.ts';
import { Servers, type Answer, type BreakingServer } from './breaking-server.ts';
import { makeHead } from './snapshot-file.ts';

const kMiB = 1 << 20;
/** No two places have the same bytes. */
const kFile = new Uint8Array(Uint32Array.from({ length: kMiB }, (_, at) => Math.imul(at, 2654435761)).buffer);

const servers = new Servers();
afterEach(() => servers.close());

/** A source whose attempts to go on wait for nothing, and note for how long they would have. */
function impatient(server: BreakingServer): { source: SnapshotSource; pauses: number[] } {
  const pauses: number[] = [];
  const source = new SnapshotSource({ url: server.url }, async (milliseconds) => void pauses.push(milliseconds));
  return { source, pauses };
}

async function fails(reading: Promise<unknown>, code: ErrorCode, why: RegExp): Promise<void> {
  await assert.rejects(reading, (error: unknown) => {
    assert.ok(error instanceof MachineFailure, `${String(error)} is no MachineFailure`);
    assert.equal(error.code, code);
    assert.match(error.message, why);
    assert.match(error.message, /^[A-Z][^{}<>]+\.$/);
    assert.doesNotMatch(error.message, /TypeError|undefined|terminated|ECONN|fetch failed/);
    return true;
  });
}

const reads = async (source: SnapshotSource, offset: number, length: number): Promise<void> =>
  assert.deepEqual(await source.read(offset, length), kFile.slice(offset, offset + length), `${length} bytes at ${offset}`);

test('bytes and files: any part, in any order; behind the end it is cut off', async () => {
  for (const source of [new SnapshotSource({ bytes: kFile }), new SnapshotSource({ blob: new Blob([kFile]) })]) {
    for (const [offset, length] of [[100, 1000], [0, 10], [kFile.length - 5, 5], [kFile.length, 0], [7, 0]] as const) await reads(source, offset, length);
    await source.forget(1000);
    await fails(source.read(kFile.length - 5, 6), 'bad-snapshot', /^The snapshot is damaged: it is cut off\.$/);
  }
});

test('a file that is changed meanwhile is said to be', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-source-'));
  try {
    const path = join(folder, 'machine.hws');
    writeFileSync(path, kFile);
    const source = new SnapshotSource({ blob: await openAsBlob(path) });
    await reads(source, 5, 50);
    writeFileSync(path, 'another one');
    await fails(source.read(5, 50), 'fetch-failed', /changed, moved or deleted/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('heads: whole ones, short ones, what is none', async () => {
  const head = makeHead({});
  assert.deepEqual(await new SnapshotSource({ bytes: Uint8Array.from([...head, 1, 2, 3]) }).head(), head);
  for (const bytes of [new Uint8Array(0), head.slice(0, 31), new TextEncoder().encode('<!doctype html>'.repeat(9))]) {
    await fails(new SnapshotSource({ bytes }).head(), 'bad-snapshot', /^This file is no snapshot of a machine\.$/);
    await fails(impatient(await servers.of(bytes)).source.head(), 'bad-snapshot', /^This file is no snapshot of a machine\.$/);
  }
  await fails(new SnapshotSource({ bytes: head.slice(0, 40) }).head(), 'bad-snapshot', /cut off/);
  await fails(impatient(await servers.of(head.slice(0, 40))).source.head(), 'bad-snapshot', /cut off/);
  await fails(new SnapshotSource({ bytes: makeHead({ version: 9 }) }).head(), 'bad-snapshot', /has format 9/);
});

test('no server, no such file, no permission', async () => {
  const gone = await servers.of(kFile);
  gone.close();
  await fails(new SnapshotSource({ url: gone.url }).head(), 'fetch-failed', /could not be loaded from http:.*no connection/);
  for (const [status, text] of [[404, 'Not Found'], [403, 'Forbidden'], [500, 'Internal Server Error']] as const) {
    const { source } = impatient(await servers.of(kFile, [{ status }]));
    await fails(source.head(), 'fetch-failed', new RegExp(`could not be loaded from http.*: the server says ${status} ${text}\\.`));
    await fails(source.read(0, 1), 'fetch-failed', new RegExp(`${status}`));
  }
});

test('a server with ranges is asked for what lies far ahead by itself, and for nothing else', async () => {
  const server = await servers.of(kFile, [{ holdAfter: 100_000 }, {}]);
  const { source } = impatient(server);
  await reads(source, 0, 90_000);
  await reads(source, 3 * kMiB, 5000);
  await reads(source, kFile.length - 7, 7);
  assert.deepEqual(server.requests.map(({ range }) => range), [
    null, { first: 3 * kMiB, last: 3 * kMiB + 4999 }, { first: kFile.length - 7, last: kFile.length - 1 },
  ]);
  const near = reads(source, 200_000, 1000);
  server.release();
  await near;
  assert.equal(server.requests.length, 3);
});

test('a server without ranges sends the file once', async () => {
  const server = await servers.of(kFile, [{ holdAfter: 100_000 }, {}]);
  server.ranges = false;
  const { source } = impatient(server);
  const far = reads(source, 3 * kMiB, 5000);
  await reads(source, 10, 10);
  server.release();
  await far;
  assert.equal(server.requests.length, 1);
});

test('a server that announces ranges and answers with the whole file is asked once; that answer is broken off', async () => {
  const server = await servers.of(kFile, [{ holdAfter: 100_000 }, { whole: true, holdAfter: 1000 }]);
  const { source } = impatient(server);
  await reads(source, 0, 90_000);
  const far = reads(source, 3 * kMiB, 5000);
  assert.equal(await (await server.nth(1)).closed, false, 'the second answer was taken to its end');
  const farther = reads(source, 3 * kMiB + 9000, 5000);
  server.release();
  await Promise.all([far, farther]);
  assert.equal(server.requests.length, 2);
});

test('an answer with another part than was asked for is not taken for it', async () => {
  const server = await servers.of(kFile, [{ holdAfter: 100_000 }, { shift: -4096 }]);
  const { source } = impatient(server);
  await reads(source, 0, 90_000);
  const far = reads(source, 3 * kMiB, 5000);
  await (await server.nth(1)).closed;
  server.release();
  await far;
});

test('a part whose connection breaks comes with the rest of the file', async () => {
  const server = await servers.of(kFile, [{ holdAfter: 100_000 }, { cutAfter: 700 }]);
  const { source } = impatient(server);
  await reads(source, 0, 90_000);
  const far = reads(source, 3 * kMiB, 5000);
  await (await server.nth(1)).closed;
  server.release();
  await far;
});

test('a connection that breaks is made again from where it stopped', async () => {
  const server = await servers.of(kFile, [{ cutAfter: 1_000_000 }, { cutAfter: 500_000 }, { refuse: true }, {}]);
  const { source, pauses } = impatient(server);
  await reads(source, 0, kFile.length);
  assert.deepEqual(server.requests.map(({ range }) => range), [
    null, { first: 1_000_000, last: null }, { first: 1_500_000, last: null }, { first: 1_500_000, last: null },
  ]);
  assert.deepEqual(pauses, [kPausesMs[0], kPausesMs[0], kPausesMs[1]], 'what arrived begins the pauses anew');
});

test('so it is with a server without ranges, or that forgot about them: what is here already is passed over', async () => {
  for (const ranges of [false, true]) {
    const server = await servers.of(kFile, [{ cutAfter: 1_000_000 }, { whole: true, cutAfter: 600_000 }, { whole: true, cutAfter: 2_000_000 }, { whole: true }]);
    server.ranges = ranges;
    const { source } = impatient(server);
    await reads(source, 0, kFile.length);
    assert.deepEqual(server.requests.map(({ range }) => range?.first), ranges ? [undefined, 1_000_000, 1_000_000, 2_000_000] : Array(4).fill(undefined));
  }
});

test('a packed transfer is made again from its beginning, because its parts are not those of the file', async () => {
  const packed = new Uint8Array(gzipSync(kFile));
  const encoded: Answer = { headers: { 'content-encoding': 'gzip' } };
  const server = await servers.of(packed, [{ ...encoded, cutAfter: packed.length >> 1 }, encoded]);
  const { source } = impatient(server);
  await reads(source, 0, kFile.length);
  assert.deepEqual(server.requests.map(({ range }) => range), [null, null]);
});

test('attempts come to an end, after pauses that grow, and say why', async () => {
  assert.ok(kPausesMs.every((pause, at) => pause >= 2 * (kPausesMs[at - 1] ?? 0)));
  for (const [answer, why] of [
    [{ refuse: true }, /^The connection broke while the snapshot was loading, and could not be made again\.$/],
    [{ status: 503 }, /could not be made again: the server says 503 Service Unavailable\.$/],
    [{ cutAfter: 0 }, /could not be made again\.$/],
    [{ shift: 1 }, /could not be made again: the server sends other parts than it is asked for\.$/],
  ] as const) {
    const server = await servers.of(kFile, [{ cutAfter: 100_000 }, answer]);
    const { source, pauses } = impatient(server);
    const whole = fails(source.read(0, kFile.length), 'fetch-failed', why);
    await reads(source, 0, 100_000);
    await whole;
    assert.deepEqual(pauses, kPausesMs);
    assert.equal(server.requests.length, 1 + kPausesMs.length);
    await reads(source, 50_000, 50_000); // what has arrived is still good
    await fails(source.read(200_000, 1), 'fetch-failed', why);
  }
});

test('a file that was replaced meanwhile is not mixed with what is here', async () => {
  const tag = (name: string): Answer => ({ headers: { etag: `"${name}"` } });
  for (const whole of [false, true]) {
    const server = await servers.of(kFile, [{ ...tag('one'), cutAfter: 100_000 }, { ...tag('two'), whole }]);
    const { source, pauses } = impatient(server);
    await fails(source.read(0, kFile.length), 'fetch-failed', /was replaced by another one while it was loading\.$/);
    assert.equal(pauses.length, 1, 'it does not become the old one again');
  }
  const weak = await servers.of(kFile, [{ headers: { etag: '"one"' }, cutAfter: 100_000 }, { headers: { etag: 'W/"one"' } }]);
  await reads(impatient(weak).source, 0, kFile.length);
});

test('a part of a file that was replaced meanwhile is not taken', async () => {
  const server = await servers.of(kFile, [{ headers: { etag: '"one"' }, holdAfter: 100_000 }, { headers: { etag: '"two"' } }]);
  const { source } = impatient(server);
  await reads(source, 0, 90_000);
  server.file = kFile.map((byte) => ~byte);
  const far = reads(source, 3 * kMiB, 5000);
  await (await server.nth(1)).closed;
  server.release();
  await far;
});

test('a file that is shorter than it should be is cut off, whether its end is seen or its connection breaks there', async () => {
  const short = kFile.slice(0, kMiB);
  for (const answers of [[{}], [{ cutAfter: kMiB, headers: { 'content-length': String(2 * kMiB) } }, {}]]) {
    const { source } = impatient(await servers.of(short, answers));
    const behind = fails(source.read(kMiB - 10, 11), 'bad-snapshot', /cut off/);
    await reads(source, kMiB - 10, 10);
    await behind;
  }
});

test('what is forgotten is not kept', async () => {
  const server = await servers.of(kFile);
  server.ranges = false;
  const { source } = impatient(server);
  await reads(source, kFile.length - 1, 1);
  await source.forget(2 * kMiB);
  await reads(source, 2 * kMiB, kMiB);
  const gone = await source.read(0, 4096);
  assert.notDeepEqual(gone, kFile.slice(0, 4096), 'it is all still here');
});
