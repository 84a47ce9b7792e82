// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbedChannel, ProtocolError, readMessage, readOrigins, type ToEmbed } from '../embed/protocol.ts';

const kOwn = 'https://machine.example';
const origins = (text: string) => readOrigins(new URLSearchParams({ origins: text }), kOwn);

test('origins: without a list only the own one', () => {
  assert.deepEqual(readOrigins(new URLSearchParams(''), kOwn), [kOwn]);
  assert.deepEqual(origins('  '), [kOwn]);
});

test('origins: a list replaces the own one', () => {
  assert.deepEqual(origins('https://a.example, http://localhost:8080/ https://a.example'), ['https://a.example', 'http://localhost:8080']);
});

for (const text of ['*', 'null', 'a.example', 'https://a.example/path', 'https://*.example', 'file:///x', 'data:,x', 'https://u@a.example']) {
  test(`origins: "${text}" is refused`, () => {
    assert.throws(() => origins(text), ProtocolError);
  });
}

test('messages of others are not ours', () => {
  for (const data of [null, undefined, 1, 'ready', {}, { type: 'input' }, []]) assert.equal(readMessage(data), null);
});

test('messages that are right', () => {
  const right: ToEmbed[] = [
    { type: 'ready' },
    { type: 'input', text: 'ls\n' },
    { type: 'resize', columns: 80, rows: 24 },
    { type: 'resize', columns: null, rows: null },
    { type: 'state', state: 'running' },
    { type: 'save' },
    { type: 'restore', snapshot: 'machine.hws' },
    { type: 'restore', snapshot: new Blob(['x']) },
    { type: 'restore', snapshot: new ArrayBuffer(1) },
    { type: 'restore', snapshot: new Uint8Array(1) },
  ];
  for (const message of right) assert.deepEqual(readMessage({ hartwood: 1, ...message }), message);
});

const kWrong: [object, RegExp][] = [
  [{ hartwood: 2, type: 'ready' }, /version 2/],
  [{ hartwood: '1', type: 'ready' }, /version 1 is not known/],
  [{ hartwood: 1 }, /no message type "undefined"/],
  [{ hartwood: 1, type: 'output', text: 'x' }, /no message type "output"/],
  [{ hartwood: 1, type: 'input' }, /"text"/],
  [{ hartwood: 1, type: 'input', text: 5 }, /"text"/],
  [{ hartwood: 1, type: 'input', text: 'x'.repeat((1 << 20) + 1) }, /at most/],
  [{ hartwood: 1, type: 'resize', columns: 80 }, /"rows"/],
  [{ hartwood: 1, type: 'resize', columns: 0, rows: 1 }, /whole numbers/],
  [{ hartwood: 1, type: 'resize', columns: 80.5, rows: 1 }, /whole numbers/],
  [{ hartwood: 1, type: 'resize', columns: null, rows: 1 }, /both null/],
  [{ hartwood: 1, type: 'state', state: 'poweroff' }, /only state/],
  [{ hartwood: 1, type: 'restore' }, /"snapshot" must be a Blob/],
  [{ hartwood: 1, type: 'restore', snapshot: '' }, /"snapshot" must be a Blob/],
  [{ hartwood: 1, type: 'restore', snapshot: [1] }, /"snapshot" must be a Blob/],
];
kWrong.forEach(([data, message], index) => {
  test(`a wrong message is named (${index + 1})`, () => {
    assert.throws(() => readMessage(data), (error: unknown) => error instanceof ProtocolError && message.test(error.message));
  });
});

function channel(allowed: string[], known: string | null) {
  const sent: { message: unknown; origin: string }[] = [];
  const handled: ToEmbed[] = [];
  const peer = { postMessage: (message: unknown, origin: string) => void sent.push({ message, origin }) };
  const made = new EmbedChannel(peer, allowed, known, (message) => void handled.push(message));
  return { sent, handled, peer, made };
}
const kHello = { hartwood: 1, type: 'ready' };

test('only allowed origins are heard, and only the surrounding window', () => {
  const { handled, peer, made, sent } = channel(['https://a.example'], null);
  made.receive({ source: peer, origin: 'https://b.example', data: kHello });
  made.receive({ source: { postMessage() {} }, origin: 'https://a.example', data: kHello });
  assert.deepEqual([handled, sent], [[], []]);
  made.receive({ source: peer, origin: 'https://a.example', data: kHello });
  assert.deepEqual(handled, [{ type: 'ready' }]);
});

test('output goes to allowed origins, then to the one that has spoken', () => {
  const { sent, peer, made } = channel(['https://a.example', 'https://b.example'], null);
  made.send({ type: 'output', text: 'x' });
  assert.deepEqual(sent.map(({ origin }) => origin), ['https://a.example', 'https://b.example']);
  made.receive({ source: peer, origin: 'https://b.example', data: kHello });
  made.send({ type: 'output', text: 'y' });
  assert.deepEqual(sent.at(-1), { message: { hartwood: 1, type: 'output', text: 'y' }, origin: 'https://b.example' });
  assert.equal(sent.length, 3);
});

test('a surrounding page that is known and not allowed gets nothing', () => {
  const { sent, handled, peer, made } = channel([kOwn], 'https://evil.example');
  made.send({ type: 'output', text: 'secret' });
  made.receive({ source: peer, origin: 'https://evil.example', data: kHello });
  made.receive({ source: peer, origin: kOwn, data: kHello });
  assert.deepEqual([sent, handled], [[], []]);
});

test('a wrong message is answered with an error', () => {
  const { sent, peer, made } = channel([kOwn], null);
  made.receive({ source: peer, origin: kOwn, data: { hartwood: 9, type: 'ready' } });
  assert.equal(sent.length, 1);
  assert.equal((sent[0]?.message as { type: string }).type, 'error');
});
