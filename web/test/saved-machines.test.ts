// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kSnapshotConfigBytesAt, kSnapshotPrefixBytes } from '../../build/generated/layout.ts';
import { SavedMachines, StorageError } from '../shared/saved-machines.ts';
import { FakeFolder, type Abilities } from './storage-fake.ts';

function store(can: Partial<Abilities> = {}): { folder: FakeFolder; machines: SavedMachines } {
  const folder = new FakeFolder(can);
  return { folder, machines: new SavedMachines(folder, folder.writer) };
}

/** As much of a snapshot as the list reads, and `more`. */
function snapshot(configuration: string, more: BlobPart = ''): Blob {
  const prefix = new DataView(new ArrayBuffer(kSnapshotPrefixBytes));
  prefix.setUint32(kSnapshotConfigBytesAt, new TextEncoder().encode(configuration).length, true);
  return new Blob([prefix, configuration, more]);
}
const kTwoHarts = '{"harts":2,"memory":512}';
const large = (letter: string): Blob => new Blob([letter.repeat(2_500_000)]);
const startsWith = async (folder: FakeFolder, file: string, letter: string): Promise<void> => {
  assert.equal((await folder.text(file))[0], letter);
};

/** Every kind of browser. */
const kKinds: [string, Partial<Abilities>][] = [
  ['that writes and moves', {}],
  ['that moves over no file', { move: 'free' }],
  ['that moves no files', { move: 'none' }],
  ['that writes in workers only', { writable: false }],
  ['that writes in workers only and moves over no file', { writable: false, move: 'free' }],
  ['that writes in workers only and moves no files', { writable: false, move: 'none' }],
];
/** Those that can put a whole file in another's place. */
const kReplacing = kKinds.filter(([, { writable = true, move = 'over' }]) => writable || move !== 'none');

for (const [kind, can] of kKinds) {
  test(`a browser ${kind}: saved, listed, renamed, loaded, removed`, async () => {
    const { folder, machines } = store(can);
    const progress: number[] = [];
    const blob = snapshot(kTwoHarts, 'x'.repeat(2_500_000));
    await machines.save('a/b & ü', blob, { onProgress: (bytes) => progress.push(bytes) });
    assert.deepEqual(progress, [1 << 20, 2 << 20, blob.size]);
    const [entry, ...others] = await machines.list();
    assert.deepEqual(others, []);
    assert.deepEqual({ ...entry, date: 0 },
      { name: 'a/b & ü', file: 'a%2Fb%20%26%20%C3%BC.hws', damaged: false, date: 0, size: blob.size, harts: 2, memory: 512 });
    await machines.rename('a/b & ü', 'c');
    assert.deepEqual(folder.names(), ['c.hws']);
    assert.equal(await (await machines.load('c')).text(), await blob.text());
    await machines.remove((await machines.list())[0]!);
    assert.deepEqual(folder.names(), []);
  });

  test(`a browser ${kind}: one without room says so and leaves nothing; what there was stays`, async () => {
    const { folder, machines } = store({ ...can, room: 3_000_000 });
    await machines.save('kept', new Blob(['k']));
    for (const name of ['new', 'kept']) {
      await assert.rejects(machines.save(name, new Blob(['n'.repeat(4_000_000)])), /no room for this machine/);
      assert.deepEqual(folder.names(), ['kept.hws']);
      await startsWith(folder, 'kept.hws', 'k');
    }
  });

  test(`a browser ${kind}: saving is cancelled`, async () => {
    const { folder, machines } = store(can);
    await machines.save('kept', new Blob(['k']));
    const abort = new AbortController();
    const saved = machines.save('kept', large('n'), {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await assert.rejects(saved, { name: 'AbortError' });
    assert.deepEqual(folder.names(), ['kept.hws']);
    await startsWith(folder, 'kept.hws', 'k');
  });
}

for (const [kind, can] of kReplacing) {
  test(`a browser ${kind}: the old file stays until the new one is whole`, async () => {
    const { folder, machines } = store(can);
    await machines.save('name', large('o'));
    folder.beforePiece = () => assert.equal(folder.files.get('name.hws')?.content.size, 2_500_000);
    await machines.save('name', large('n'));
    assert.deepEqual(folder.names(), ['name.hws']);
    await startsWith(folder, 'name.hws', 'n');

    let pieces = 0;
    folder.beforePiece = () => {
      if (++pieces === 2) throw new DOMException('lost', 'InvalidStateError');
    };
    await assert.rejects(machines.save('name', large('x')), /could not be saved: lost/);
    assert.deepEqual(folder.names(), ['name.hws']);
    await startsWith(folder, 'name.hws', 'n');
  });
}

test('where a file cannot be replaced safely it is not', async () => {
  const { folder, machines } = store({ writable: false, move: 'none' });
  await machines.save('name', new Blob(['o']));
  await assert.rejects(machines.save('name', new Blob(['n'])), /cannot replace a saved machine safely/);
  assert.deepEqual(folder.names(), ['name.hws']);
  await startsWith(folder, 'name.hws', 'o');
});

test('a move that fails when the old file is aside already brings it back', async () => {
  const { folder, machines } = store({ move: 'free' });
  await machines.save('name', new Blob(['o']));
  const get = folder.getFileHandle.bind(folder);
  folder.getFileHandle = async (name, options) => {
    const handle = await get(name, options);
    if (name.endsWith('.partial')) handle.move = async () => Promise.reject(new DOMException('locked', 'NoModificationAllowedError'));
    return handle;
  };
  await assert.rejects(machines.save('name', new Blob(['n'])), /locked/);
  assert.deepEqual(folder.names(), ['name.hws']);
  await startsWith(folder, 'name.hws', 'o');
});

test('what cannot be read is listed as damaged, beside the others, and can be removed', async () => {
  const { folder, machines } = store();
  folder.put('%E0%A4%A.hws', snapshot(kTwoHarts));
  folder.put('short.hws', 'x');
  folder.put('text.hws', 'this is no snapshot of a machine at all, but long enough');
  folder.put('list.hws', snapshot('[1]'));
  folder.put('gone.hws', snapshot(kTwoHarts));
  folder.unreadable.add('gone.hws');
  await machines.save('good', snapshot(kTwoHarts));
  const list = await machines.list();
  assert.deepEqual(list.filter(({ damaged }) => !damaged).map(({ name }) => name), ['good']);
  assert.deepEqual(list.filter(({ damaged }) => damaged).map(({ name }) => name).sort(), ['%E0%A4%A.hws', 'gone', 'list', 'short', 'text']);
  for (const each of list.filter(({ damaged }) => damaged)) await machines.remove(each);
  assert.deepEqual(folder.names(), ['good.hws']);
  await assert.rejects(machines.remove({ file: 'short.hws' }), StorageError);
});

test('an unknown name is answered with those that there are', async () => {
  const { folder, machines } = store();
  await assert.rejects(machines.load('x'), /no saved machine “x” in this browser\. No machine is saved here\./);
  await machines.save('one', snapshot(kTwoHarts));
  await assert.rejects(machines.load('x'), /There is “one”\./);
  await machines.save('two', snapshot(kTwoHarts));
  folder.put('bad.hws', '');
  await assert.rejects(machines.load('x'), /There are “two”, “one”\./);
});

test('names that are refused', async () => {
  const { folder, machines } = store();
  for (const name of ['', '  ', 'x'.repeat(61), '\ud800', '字'.repeat(60)]) {
    await assert.rejects(machines.save(name, new Blob(['x'])), StorageError);
    await assert.rejects(machines.rename('a', name), StorageError);
  }
  await machines.save('a', new Blob(['a']));
  await machines.save('b', new Blob(['b']));
  await assert.rejects(machines.rename('a', 'b'), /“b” already/);
  await assert.rejects(machines.rename('c', 'd'), StorageError);
  await machines.rename('a', 'a');
  assert.equal(await machines.has('a'), true);
  assert.equal(await machines.has('c'), false);
  assert.deepEqual(folder.names(), ['a.hws', 'b.hws']);
});

test('what an interrupted run left is cleared away, and what it was replacing comes back', async () => {
  const { folder, machines } = store();
  const now = 1e9;
  folder.put('young.partial', 'x', now - 1000);
  folder.put('old.partial', 'x', now - 25 * 3600 * 1000);
  folder.put('both.hws', 'new');
  folder.put('both.hws.old', 'old');
  folder.put('lost.hws.old', 'old');
  await machines.tidy(now);
  assert.deepEqual(folder.names(), ['both.hws', 'lost.hws', 'young.partial']);
  assert.equal(await folder.text('both.hws'), 'new');
  assert.equal(await folder.text('lost.hws'), 'old');
});
