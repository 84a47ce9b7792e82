// SPDX-License-Identifier: Apache-2.0
// A lock's processes end with whoever asked for it: on release, and when it is killed while it holds or waits.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { takeLock } from '../lib/lock.mjs';
import { root } from '../lib/project.mjs';

const folder = mkdtempSync(join(tmpdir(), 'hartwood-lock-'));
after(() => rmSync(folder, { recursive: true }));

/** Processes that have the file open. */
function holders(path) {
  const has = (pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => {
        try {
          return readlinkSync(`/proc/${pid}/fd/${fd}`) === path;
        } catch {
          return false; // closed meanwhile
        }
      });
    } catch {
      return false; // ended meanwhile, or not ours
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && has(name));
}
async function until(what, condition) {
  for (let ms = 0; ms < 10_000; ms += 20) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`after 10 s: ${what}`);
}
/** Another process that takes the lock and keeps it; says "waits" and "held". */
function other(path) {
  const script = `import { takeLock } from './tools/lib/lock.mjs';
    await takeLock(process.argv[1], () => console.log('waits'));
    console.log('held');
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ['--input-type=module', '-e', script, path], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
}

test('one after the other, and nothing is left', async () => {
  const path = join(folder, 'turns');
  const release = await takeLock(path);
  let second = false;
  const waiting = takeLock(path).then((release) => {
    second = true;
    return release;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(second, false);
  await release();
  await (await waiting)();
  assert.deepEqual(holders(path), []);
});

test('whoever is killed while it waits leaves nobody', async () => {
  const path = join(folder, 'waiter');
  const release = await takeLock(path);
  try {
    const before = holders(path);
    const others = () => holders(path).filter((pid) => !before.includes(pid)).length;
    const waiter = other(path);
    assert.equal(`${(await once(waiter.stdout, 'data'))[0]}`.trim(), 'waits');
    assert.ok(others() > 0);
    waiter.kill('SIGKILL');
    await until('its processes wait on', () => others() === 0);
  } finally {
    await release();
  }
  assert.deepEqual(holders(path), []);
});

test('whoever is killed while it holds the lock gives it back', async () => {
  const path = join(folder, 'holder');
  const holder = other(path);
  assert.equal(`${(await once(holder.stdout, 'data'))[0]}`.trim(), 'held');
  holder.kill('SIGKILL');
  await (await takeLock(path))();
  await until('its processes live on', () => holders(path).length === 0);
});

test('a lock that cannot be had is an error, not a wait', async () => {
  await assert.rejects(takeLock(folder), /cannot lock/); // a folder cannot be opened for writing
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  writeFileSync(join(programs, 'flock'), '#!/bin/sh\nexit 1\n');
  chmodSync(join(programs, 'flock'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${programs}:${path}`;
  try {
    await assert.rejects(takeLock(join(folder, 'broken')), /flock \(package util-linux\) failed/);
  } finally {
    process.env.PATH = path;
  }
  await until('its processes live on', () => holders(join(folder, 'broken')).length === 0);
});
