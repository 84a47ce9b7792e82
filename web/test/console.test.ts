// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleStream } from '../api/console.ts';
import { MachineError } from '../api/errors.ts';
import { Transcript } from '../api/transcript.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

test('console: text is sent as UTF-8, bytes as a copy', () => {
  const sent: Uint8Array[] = [];
  const stream = new ConsoleStream((data) => sent.push(data));
  const own = bytes('b');
  stream.write('ä');
  stream.write(own);
  own[0] = 0;
  stream.write('');
  assert.deepEqual(sent.map(text), ['ä', 'b']);
  assert.throws(() => stream.write(5 as unknown as string), TypeError);
});

test('console: what came before the first listener is kept for it', async () => {
  const stream = new ConsoleStream(() => {});
  await stream.deliver(bytes('one '));
  await stream.deliver(bytes('two'));
  const seen: string[] = [];
  const remove = stream.onData((data) => void seen.push(text(data)));
  await stream.deliver(bytes(' three'));
  remove();
  await stream.deliver(bytes(' four'));
  assert.equal(seen.join(''), 'one two three');
});

test('console: a slow listener holds the output back', async () => {
  const stream = new ConsoleStream(() => {});
  let release!: () => void;
  stream.onData(() => new Promise((resolve) => (release = resolve)));
  let delivered = false;
  const delivery = stream.deliver(bytes('x')).then(() => (delivered = true));
  await Promise.resolve();
  assert.equal(delivered, false);
  release();
  await delivery;
});

test('console: as an async sequence it ends with the machine', async () => {
  const stream = new ConsoleStream(() => {});
  await stream.deliver(bytes('a'));
  const all = (async () => {
    let whole = '';
    for await (const data of stream) whole += text(data);
    return whole;
  })();
  await Promise.resolve();
  void stream.deliver(bytes('b'));
  stream.end();
  assert.equal(await all, 'ab');
});

test('waitFor: finds text across pieces, and only after the last match', async () => {
  const transcript = new Transcript();
  const first = transcript.waitFor(/# $/);
  transcript.append(bytes('boot\n'));
  transcript.append(bytes('# '));
  assert.equal((await first)[0], '# ');
  const second = transcript.waitFor(/# $/, { timeout: 20 });
  await assert.rejects(second, (error: unknown) => error instanceof MachineError && error.code === 'timeout');
  const third = transcript.waitFor('1+1=2');
  transcript.append(bytes('1+1='));
  transcript.append(bytes('2\n'));
  assert.equal((await third)[0], '1+1=2');
});

test('waitFor: groups, flags, and letters cut in two', async () => {
  const transcript = new Transcript();
  const found = transcript.waitFor(/(\d+) ä/giy);
  const data = bytes('x 42 Ä');
  transcript.append(data.subarray(0, data.length - 1));
  transcript.append(data.subarray(data.length - 1));
  assert.equal((await found)[1], '42');
});

test('waitFor: ends with the machine, and says how', async () => {
  const transcript = new Transcript();
  const waiting = transcript.waitFor(/never/);
  transcript.append(bytes('Power down'));
  transcript.end('powered off');
  await assert.rejects(waiting, /The machine powered off before \/never\/ appeared.*Power down/);
  await assert.rejects(transcript.waitFor(/again/), (error: unknown) => error instanceof MachineError && error.code === 'ended');
  assert.equal((await transcript.waitFor(/down/))[0], 'down');
});
