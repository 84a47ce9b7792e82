// SPDX-License-Identifier: Apache-2.0
// A lock between processes that cannot be left behind: a child has the file open, flock(1) locks it, and the child ends
// when its standard input does, which is when this process releases the lock or dies in any way, also while it waits.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from './project.mjs';

// flock(1) does not notice the end of anything while it waits, so it waits in the background, and whoever reads standard
// input ends the group: the shell was made leader of one of its own (`detached` below), with nobody else in it.
const script = `exec 9>>"$1"
(flock 9 && echo held || echo failed) &
cat >/dev/null
kill -KILL 0`;

/** Take the lock that `path` names, waiting for it; `onWait` is called once if it is not free. Returns release(). */
export async function takeLock(path, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  const holder = spawn('sh', ['-c', script, 'lock', path], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  holder.stdin.on('error', () => {}); // it has ended before its input did; 'close' tells
  const waiting = setTimeout(() => onWait?.(), 1000);
  await new Promise((done, fail) => {
    holder.on('error', (error) => fail(new UserError(`sh cannot be run: ${error.message}`)));
    holder.on('close', () => fail(new UserError(`cannot lock ${path}`)));
    holder.stdout.once('data', (answer) => {
      if (`${answer}`.startsWith('held')) return done();
      holder.stdin.end();
      fail(new UserError(`cannot lock ${path}: flock (package util-linux) failed`));
    });
  }).finally(() => clearTimeout(waiting));
  return () => new Promise((done) => {
    holder.removeAllListeners('close');
    holder.on('close', done);
    holder.stdin.end();
  });
}
