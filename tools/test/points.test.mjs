// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partOf, readPoints } from '../points.mjs';
import { parts } from '../test-parts.mjs';

test('rows are read, other tables and text are not', () => {
  const rows = readPoints([
    '# Points', '| what | target |', '|---|---|', '| speed | 400 |', '',
    '| point | command | state |', '|---|---|---|',
    '| boots | `npm test -- --only boot` | done |',
    '| pipes | `echo a | wc -l`, then `true` | done (since today) |',
    '| JIT | | later |', '', 'text', '| stray | `false` | done |',
  ].join('\n'));
  assert.deepEqual(rows, [
    { point: 'boots', commands: ['npm test -- --only boot'], state: 'done', line: 8 },
    { point: 'pipes', commands: ['echo a | wc -l', 'true'], state: 'done', line: 9 },
    { point: 'JIT', commands: [], state: 'later', line: 10 },
  ]);
});

test('a command that is a part of the suite is recognised', () => {
  const [part] = parts;
  assert.equal(partOf(`npm test -- --only ${part.name}`), part);
  assert.equal(partOf(`npm test -- --only "${part.name}"`), part);
  assert.equal(partOf(part.command), part);
  assert.equal(partOf('npm test -- --only nonsense'), undefined);
});

test('the table of parts is sound', () => {
  assert.equal(new Set(parts.map(({ name }) => name)).size, parts.length);
  for (const part of parts) {
    assert.match(part.name, /^[a-z0-9][a-z0-9 -]*$/);
    for (const key of Object.keys(part)) assert.ok(['name', 'command', 'needs', 'long', 'minutes'].includes(key), `${part.name}: ${key}`);
  }
});
