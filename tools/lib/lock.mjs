// SPDX-License-Identifier: Apache-2.0
// A lock between processes that cannot be left behind: a flock(1) child holds it, and ends when its standard input
// does, which is when this process releases it or dies in any way.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from './project.mjs';

/** Take the lock that `path` names, waiting for it; `onWait` is called once if it is not free. Returns release(). */
export async function takeLock(path, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const waiting = setTimeout(() => onWait?.(), 1000);
  await new Promise((done, fail) => {
    holder.on('error', (error) => fail(new UserError(`flock (package util-linux) cannot be run: ${error.message}`)));
    holder.on('close', () => fail(new UserError(`cannot lock ${path}`)));
    holder.stdout.once('data', done);
  }).finally(() => clearTimeout(waiting));
  return () => new Promise((done) => {
    holder.removeAllListeners('close');
    holder.on('close', done);
    holder.stdin.end();
  });
}
