// SPDX-License-Identifier: Apache-2.0
// What is said of a snapshot's head before there is a core: one sentence, whatever is wrong with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { kSnapshotPrefixBytes } from '../../build/generated/layout.ts';
import { MachineFailure } from '../incoming-file.ts';
import { crc32, headLength, inspectHead } from '../snapshot-head.ts';
import { makeHead } from './snapshot-file.ts';

/** A message to be shown: a sentence, without what only a programmer knows. */
function says(action: () => unknown, why: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof MachineFailure, `${String(error)} is no MachineFailure`);
    assert.equal(error.code, 'bad-snapshot');
    assert.match(error.message, why);
    assert.match(error.message, /^[A-Z][^{}<>]+\.$/);
    assert.doesNotMatch(error.message, /JSON|token|position|Error|undefined|NaN|\[object/);
    return true;
  });
}

const both = (head: Uint8Array): unknown => (headLength(head.subarray(0, kSnapshotPrefixBytes)), inspectHead(head));

test('the checksum is that of zlib', () => {
  for (const size of [0, 1, 9, 1000]) {
    const bytes = Uint8Array.from({ length: size }, (_, at) => at * 37);
    assert.equal(crc32(bytes), zlibCrc32(bytes));
  }
});

test('a good head: its length, its configuration, its disks', () => {
  const head = makeHead({ configuration: '{"harts":2,"memory":512}', diskBytes: 5n << 20n });
  assert.equal(headLength(head), head.length);
  assert.deepEqual(inspectHead(head), { configuration: { harts: 2, memory: 512 }, diskBytes: 5 << 20 });
});

test('what is no snapshot, a newer one, and a beginning that makes no sense', () => {
  const head = makeHead({});
  for (let at = 0; at < 8; at++) {
    const other = head.slice();
    other[at] = (other[at] ?? 0) ^ 1;
    says(() => headLength(other), /^This file is no snapshot of a machine\.$/);
  }
  says(() => headLength(makeHead({ version: 2 })), /^The snapshot has format 2, and this Hartwood reads up to 1; use a newer one\.$/);
  says(() => headLength(makeHead({ version: 0xffff_ffff })), /format 4294967295/);
  // A newer format's other numbers may mean something else.
  says(() => headLength(makeHead({ version: 2, length: 0xffff_ffff })), /use a newer one/);
  says(() => headLength(makeHead({ version: 0 })), /damaged: its beginning makes no sense/);
  for (const length of [0, 31, (64 << 20) + 1, 0xffff_ffff]) says(() => headLength(makeHead({ length })), /damaged: its beginning makes no sense/);
});

test('every byte of a head that is altered is noticed', () => {
  const head = makeHead({ configuration: '{"harts":2,"memory":512}', notes: '{}' });
  for (let at = 0; at < head.length; at++) {
    for (const change of [0x01, 0x80, 0xff]) {
      const other = head.slice();
      other[at] = (other[at] ?? 0) ^ change;
      if (at >= 12 && at < 16) continue; // its length: the reader then has another head
      says(() => both(other), at < 8 ? /no snapshot/ : at < 12 ? /newer|makes no sense/ : /damaged/);
    }
  }
});

test('a configuration that cannot be read, though the checksum is right', () => {
  for (const configuration of ['', '{', '{"harts":', 'Hello', '\u0000']) {
    says(() => inspectHead(makeHead({ configuration })), /^The snapshot is damaged: its configuration cannot be read\.$/);
  }
  says(() => inspectHead(makeHead({ configuration: '{}', configurationLength: 0xffff_fff0 })), /its head contradicts itself/);
});

test('the view of a larger buffer', () => {
  const head = makeHead({});
  const larger = new Uint8Array(head.length + 100);
  larger.set(head, 50);
  assert.deepEqual(inspectHead(larger.subarray(50, 50 + head.length)), inspectHead(head));
});
