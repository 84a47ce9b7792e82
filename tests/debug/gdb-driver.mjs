// SPDX-License-Identifier: Apache-2.0
// The real gdb, one command at a time: ask(command) resolves to all that gdb printed for it. Waits for output, never for
// time; a gdb that says nothing for a minute has failed.
import { spawn } from 'node:child_process';

const kSilence = 60_000;

export class Gdb {
  /** `args`: such as the file with the symbols. */
  constructor(args = []) {
    this.output = '';
    this.count = 0;
    // Both kinds of output through one pipe, or they come in any order.
    this.child = spawn('sh', ['-c', 'exec gdb-multiarch -q -nx "$@" 2>&1', 'sh', ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdout.on('data', (bytes) => this.take(bytes));
    this.child.stdin.on('error', () => {});
    this.exited = new Promise((resolve) => this.child.on('close', (code) => {
      this.fail('gdb has ended');
      resolve(code);
    }));
    for (const setting of ['confirm off', 'pagination off', 'width 0', 'height 0', 'style enabled off']) this.send(`set ${setting}`);
  }
  send(line) {
    this.child.stdin.write(`${line}\n`);
  }
  take(bytes) {
    this.output += bytes;
    this.look();
  }
  look() {
    const found = this.waiting && this.waiting.wanted.exec(this.output);
    clearTimeout(this.timer);
    if (found) {
      const { resolve } = this.waiting;
      this.waiting = undefined;
      const before = this.output.slice(0, found.index);
      this.output = this.output.slice(found.index + found[0].length);
      resolve(before.replaceAll('(gdb) ', '').trim());
    } else if (this.waiting) {
      this.timer = setTimeout(() => this.fail('gdb says nothing'), kSilence);
    }
  }
  fail(why) {
    clearTimeout(this.timer);
    this.waiting?.reject(new Error(`${why}: ${this.waiting.wanted}\n${this.output.slice(-2000)}`));
    this.waiting = undefined;
  }
  /** To what came before `wanted`, which is taken away with it. */
  waitFor(wanted) {
    return new Promise((resolve, reject) => {
      this.waiting = { wanted, resolve, reject };
      this.look();
    });
  }
  /** Sends a command without waiting for its end: see finish(). */
  start(command) {
    this.send(command);
    this.send(`echo \\n@@${++this.count}@@\\n`);
  }
  finish() {
    return this.waitFor(new RegExp(`\n@@${this.count}@@\n`));
  }
  ask(command) {
    this.start(command);
    return this.finish();
  }
  /** ^C */
  interrupt() {
    this.child.kill('SIGINT');
  }
  async quit() {
    this.send('quit');
    return this.exited;
  }
}
