// SPDX-License-Identifier: Apache-2.0
// From a head to the plan of a machine: what is refused before workers are started for it, and when it may run at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MachineError } from '../api/errors.ts';
import type { RestoreOptions, SnapshotInput } from '../api/options.ts';
import { planRestore, snapshotSources } from '../api/restore.ts';

const kBase = 'https://example.org/page/';
const kConfiguration = { harts: 2, memory: 512, append: 'quiet', console: 'virtio', firmware: 'built-in', compiler: true };

const plan = (configuration: unknown, options: RestoreOptions = {}, { heads = 1, diskBytes = 0 } = {}): ReturnType<typeof planRestore> =>
  planRestore({ type: 'heads', heads: Array.from({ length: heads }, () => new Uint8Array(40)), configuration, diskBytes }, options);

function refused(action: () => unknown, code: string, why: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof MachineError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, why);
    assert.match(error.message, /^[A-Z][^{}]+\.$/);
    return true;
  });
}

test('a configuration that makes no sense is refused, whatever it is', () => {
  const without = (key: keyof typeof kConfiguration): unknown => ({ ...kConfiguration, [key]: undefined });
  for (const wrong of [
    null, [], 'text', 3, {}, without('harts'), without('memory'), ...['2', 0, -1, 1.5, 1e9, null].map((harts) => ({ ...kConfiguration, harts })),
    ...['512M', 0, -512, 0.5, 4096, 1e9, null].map((memory) => ({ ...kConfiguration, memory })),
  ]) {
    refused(() => plan(wrong), 'bad-snapshot', /^The snapshot is damaged: its configuration makes no sense\.$/);
  }
});

test('it runs at once if it is one snapshot, without disks, and nobody says otherwise', () => {
  const lazy = (options: RestoreOptions, file: { heads?: number; diskBytes?: number } = {}): unknown => plan(kConfiguration, options, file).restore?.lazy;
  assert.deepEqual([lazy({}), lazy({ lazy: true }), lazy({ lazy: false })], [true, true, false]);
  assert.deepEqual([lazy({}, { heads: 2 }), lazy({}, { diskBytes: 1 }), lazy({ lazy: true }, { diskBytes: 1 })], [false, false, false]);
});

test('the compiler is as the one who restores it says; all else as it was saved', () => {
  assert.deepEqual(plan(kConfiguration, { compiler: false }).configuration, { ...kConfiguration, compiler: false });
  assert.equal(plan({ ...kConfiguration, compiler: false }).configuration.compiler, true);
  const { files, configuration } = plan({ ...kConfiguration, disks: [{ source: 'disk' }] });
  assert.deepEqual([files, configuration.disks], [[], [{ source: 'disk' }]]);
});

test('sources: one or several, of every kind; relative addresses', () => {
  const of = (source: SnapshotInput | SnapshotInput[]): unknown => snapshotSources(source, {}, kBase);
  const [blob, bytes] = [new Blob(['x']), new Uint8Array(3)];
  assert.deepEqual(of('a.hws'), [{ url: `${kBase}a.hws` }]);
  assert.deepEqual(of([new URL('https://elsewhere.org/b'), blob, bytes, bytes.buffer]), [{ url: 'https://elsewhere.org/b' }, { blob }, { bytes }, { bytes }]);
  refused(() => of([]), 'bad-option', /needs a snapshot/);
  for (const wrong of ['', 3, null, {}, [3]]) refused(() => of(wrong as unknown as SnapshotInput), 'bad-option', /The snapshot/);
  refused(() => snapshotSources(blob, { harts: 2 } as RestoreOptions, kBase), 'bad-option', /no option "harts"/);
});
