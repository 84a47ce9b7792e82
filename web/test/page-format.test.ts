// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultName, downloadName } from '../page/machines-panel.ts';
import { formatMemory, formatSpeed, formatUptime } from '../page/status-line.ts';
import { describeExit, explain } from '../shared/explain.ts';
import { leavesTerminal } from '../shared/leave-keys.ts';

test('figures of the status line', () => {
  assert.deepEqual([0, 59_999, 60_000, 3_599_000, 3_600_000, 36_061_000].map(formatUptime),
    ['0:00', '0:59', '1:00', '59:59', '1:00:00', '10:01:01']);
  assert.deepEqual([64, 512, 1024, 2048].map(formatMemory), ['64 MiB', '512 MiB', '1 GiB', '2 GiB']);
  assert.deepEqual([0, 3.14159, 9.96, 432.7].map(formatSpeed), ['0.0', '3.1', '10.0', '433']);
});

test('names of saved machines, by local time', () => {
  const date = new Date(2026, 10, 7, 4, 5);
  assert.equal(defaultName(date), '2026-11-07 04.05');
  assert.equal(downloadName(date), 'hartwood-2026-11-07-0405.hws');
});

test('every end and error has words', () => {
  for (const reason of ['poweroff', 'reboot', 'crashed', 'terminated', 'failed'] as const) {
    assert.match(describeExit({ reason, code: 0 }), /machine/);
  }
  assert.match(describeExit({ reason: 'exited', code: 3 }), /code 3/);
  assert.notEqual(explain('bad-file').advice, '');
});

test('the keys that leave the terminal, and those that belong to the guest', () => {
  const press = (key: string, modifiers: object) =>
    leavesTerminal({ key, ctrlKey: false, shiftKey: false, altKey: false, metaKey: false, ...modifiers });
  assert.ok(press('Escape', { ctrlKey: true, shiftKey: true }));
  assert.ok(press('F6', { ctrlKey: true }));
  assert.ok(!press('Escape', {}));
  assert.ok(!press('Escape', { ctrlKey: true }));
  assert.ok(!press('F6', {}));
  assert.ok(!press('Escape', { ctrlKey: true, shiftKey: true, altKey: true }));
});
