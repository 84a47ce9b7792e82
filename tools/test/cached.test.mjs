// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { root } from '../lib/project.mjs';

const folder = mkdtempSync(join(tmpdir(), 'hartwood-cached-'));
after(() => rmSync(folder, { recursive: true }));
const input = join(folder, 'input');
const runs = join(folder, 'runs');
const cache = join(folder, 'cache');
const cached = async (...args) => (await promisify(execFile)(join(root, 'tools/cached'), args, { env: { ...process.env, HARTWOOD_CACHE: cache } })).stdout.trim();
const runCount = () => readFileSync(runs, 'utf8').length;

test('a command runs once for each content of its inputs', async () => {
  writeFileSync(runs, '');
  const command = ['--', 'sh', '-c', `printf x >>${runs}; cat ${input} >"$OUT/copy"; echo {} >&2`];
  writeFileSync(input, 'one');
  const first = await cached('demo', input, ...command);
  assert.equal(readFileSync(join(first, 'copy'), 'utf8'), 'one');
  assert.equal(await cached('demo', input, ...command), first);
  assert.equal(runCount(), 1);
  writeFileSync(input, 'two');
  const second = await cached('demo', input, ...command);
  assert.notEqual(second, first);
  assert.equal(readFileSync(join(second, 'copy'), 'utf8'), 'two');
  assert.notEqual(await cached('demo', input, '--value', 'gcc 13', ...command), second);
  assert.equal(runCount(), 3);
});

test('concurrent callers share one run', async () => {
  writeFileSync(runs, '');
  writeFileSync(input, 'shared');
  // The command ends only when the second caller is known to wait: it says so on its standard error after a second.
  const go = join(folder, 'go');
  const command = ['--', 'sh', '-c', `printf x >>${runs}; until [ -e ${go} ]; do sleep 0.05; done; cp ${input} {}`];
  const options = { env: { ...process.env, HARTWOOD_CACHE: cache } };
  const start = () => {
    const promise = promisify(execFile)(join(root, 'tools/cached'), ['both', input, ...command], options);
    promise.child.stderr.on('data', (text) => /waiting for another run/.test(text) && writeFileSync(go, ''));
    return promise;
  };
  const [a, b] = await Promise.all([start(), start()]);
  assert.equal(a.stdout, b.stdout);
  assert.equal(runCount(), 1);
});

test('a command that fails leaves nothing that counts', async () => {
  await assert.rejects(cached('broken', input, '--', 'sh', '-c', 'echo half >{}/file; exit 3'), /ended with 3/);
  await assert.rejects(cached('broken', input, '--', 'sh', '-c', 'echo half >{}/file; exit 3'), /ended with 3/);
  assert.ok(!readdirSync(cache).some((name) => /^broken-[0-9a-f]+$/.test(name)));
});

test('an input that does not exist is an error', async () => {
  await assert.rejects(cached('demo', join(folder, 'absent'), '--', 'true'), /no such input/);
});
