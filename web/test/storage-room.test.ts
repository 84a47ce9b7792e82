// SPDX-License-Identifier: Apache-2.0
// A full disk is told from other failures of writing, whatever the browser calls it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeRoom, type Estimate } from '../shared/storage-room.ts';
import { SavedMachines, StorageError, type FileHandle, type Folder } from '../shared/saved-machines.ts';

const kMuch: Estimate = async () => ({ quota: 1e12, usage: 5 });
const kSize = 5_000_000;
const named = (name: string): DOMException => new DOMException('The operation failed.', name);
const nameOf = (error: unknown): string => (error as Error).name;

test('a quota, and what a full disk looks like', async () => {
  for (const name of ['QuotaExceededError', 'NotReadableError', 'UnknownError', 'NS_ERROR_FILE_NO_DEVICE_SPACE']) {
    const error = named(name);
    const judged = await judgeRoom(error, kSize, kMuch);
    assert.equal(nameOf(judged), 'QuotaExceededError', name);
    if (name !== 'QuotaExceededError') assert.equal((judged as Error).cause, error);
    // As a worker tells of it.
    assert.equal(nameOf(await judgeRoom(Object.assign(new Error('failed'), { name }), kSize, kMuch)), 'QuotaExceededError', name);
  }
});

test('other failures stay what they are, unless the browser has too little room', async () => {
  for (const error of [named('NoModificationAllowedError'), named('InvalidStateError'), named('SecurityError')]) {
    assert.equal(await judgeRoom(error, kSize, kMuch), error);
    for (const left of [0, kSize - 1, kSize + 1000]) {
      assert.equal(nameOf(await judgeRoom(error, kSize, async () => ({ quota: 1e9, usage: 1e9 - left }))), 'QuotaExceededError', `${left} left`);
    }
    assert.equal(await judgeRoom(error, kSize, async () => ({ quota: 1e9, usage: 1e9 - 2 * kSize })), error);
  }
});

test('no estimate is none of too little room', async () => {
  const error = named('InvalidStateError');
  for (const estimate of [async () => ({}), async () => ({ quota: 1 }), () => Promise.reject(new TypeError('not here'))] as Estimate[]) {
    assert.equal(await judgeRoom(error, kSize, estimate), error);
  }
});

test('our own bugs, messages of ours, and who gave up, are never a full disk', async () => {
  const none: Estimate = async () => ({ quota: 1, usage: 1 });
  for (const error of [new TypeError('x is undefined'), new StorageError('A name has 1 to 60 characters.'), named('AbortError'), 'text', undefined, null]) {
    assert.equal(await judgeRoom(error, kSize, none), error);
  }
});

const kNoWriter = (): Promise<void> => Promise.reject(new TypeError('not asked for'));

/** A folder whose files fail at one step. */
function failingFolder(step: 'create' | 'write' | 'close', error: Error): { folder: Folder; removed: string[] } {
  const removed: string[] = [];
  const at = (which: string): void => {
    if (which === step) throw error;
  };
  const handle: FileHandle = {
    getFile: async () => new File([], 'none'),
    createWritable: async () => {
      at('create');
      return { write: async () => at('write'), close: async () => at('close'), abort: async () => {} };
    },
    move: async () => {},
  };
  const folder: Folder = {
    getFileHandle: async () => handle,
    removeEntry: async (name) => void removed.push(name),
    async *keys() {},
  };
  return { folder, removed };
}

test('saving says so, at whatever step it fails, and leaves nothing behind', async () => {
  for (const step of ['create', 'write', 'close'] as const) {
    for (const name of ['QuotaExceededError', 'NotReadableError', 'UnknownError']) {
      const { folder, removed } = failingFolder(step, named(name));
      await assert.rejects(new SavedMachines(folder, kNoWriter).save('one', new Blob(['machine'])), (error: unknown) => {
        assert.ok(error instanceof StorageError);
        assert.match(error.message, /no room for this machine/, `${name} at ${step}`);
        return true;
      });
      assert.match(removed.at(-1) ?? '', /\.partial$/);
    }
  }
  const { folder } = failingFolder('write', named('NoModificationAllowedError'));
  await assert.rejects(new SavedMachines(folder, kNoWriter).save('one', new Blob(['machine'])), /could not be saved: The operation failed/);
});
