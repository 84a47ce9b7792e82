// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addNotedFiles, findNotedFiles, noteFiles, readNotedFiles } from '../api/boot-files.ts';
import { MachineError } from '../api/errors.ts';
import type { DefaultFiles } from '../api/options.ts';
import type { NamedFile } from '../../workers/protocol.ts';

const kDefaults: DefaultFiles = { kernel: { url: 'https://a/kernel' }, initrd: { url: 'https://a/initrd' }, snapshot: null };
const kHere: DefaultFiles = { kernel: { url: 'https://b/kernel' }, initrd: { url: 'https://b/initrd' }, snapshot: null };
const kernel = (source: NamedFile['source'] | null): NamedFile => ({ kind: 'kernel', source: source! });

/** What is found again elsewhere, through a snapshot's notes. */
function through(files: NamedFile[], here = kHere): NamedFile[] {
  const notes = addNotedFiles('{"console":"eA=="}', noteFiles(files, kDefaults));
  assert.equal((JSON.parse(notes) as { console: unknown }).console, 'eA==');
  return findNotedFiles(readNotedFiles(notes), here);
}

test('addresses are found again, and the defaults are those of the page that restores', () => {
  assert.deepEqual(through([kernel(kDefaults.kernel), { kind: 'initrd', source: kDefaults.initrd! }]),
    [kernel(kHere.kernel), { kind: 'initrd', source: kHere.initrd }]);
  assert.deepEqual(through([kernel({ url: 'https://c/Image' }), { kind: 'firmware', source: { url: 'https://c/fw' } }]),
    [kernel({ url: 'https://c/Image' }), { kind: 'firmware', source: { url: 'https://c/fw' } }]);
});

const refuses = (action: () => unknown, message: RegExp): void => {
  assert.throws(action, (error: unknown) => error instanceof MachineError && error.code === 'cannot-reboot' && message.test(error.message));
};

test('what was given as bytes, or is not here, is said', () => {
  refuses(() => through([kernel({ bytes: new Uint8Array(1) })]), /its kernel was given to it as bytes/);
  refuses(() => through([kernel(kDefaults.kernel), { kind: 'initrd', source: { blob: new Blob() } }]), /its initial RAM disk was given/);
  refuses(() => through([kernel(kDefaults.kernel)], { kernel: null, initrd: null, snapshot: null }), /none comes with this one/);
});

test('notes that have none', () => {
  for (const notes of ['', '{}', '{"console":"eA=="}', 'x', 'null', '{"files":1}', '{"files":{"kernel":"default"}}',
    '{"files":{"kernel":"default","initrd":"none","firmware":5}}']) {
    assert.equal(readNotedFiles(notes), null, notes);
  }
  refuses(() => findNotedFiles(null, kHere), /without a note of its kernel/);
  assert.equal(addNotedFiles('{"console":""}', null), '{"console":""}');
});
