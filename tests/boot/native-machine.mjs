// SPDX-License-Identifier: Apache-2.0
// The native machine for the boot tests: its files, its console, and the socket of --agent. Waits for output, never for
// time; a machine that says nothing for a minute has failed.
import { spawn } from 'node:child_process';
import net from 'node:net';

const hartwood = process.env.HARTWOOD_BINARY ?? 'build/native/hartwood';
const guest = 'build/guest';
export const ours = ['--kernel', `${guest}/kernel/Image`, '--initrd', `${guest}/initramfs/initramfs.cpio`];
export const stock = ['--kernel', `${guest}/debian/Image`, '--initrd', `${guest}/initramfs/initramfs.cpio`];
const kSilence = 60_000;
const kPrompt = 'root@hartwood:~# ';

/**
 * A machine with its console: waitFor(text) resolves once `text`, a string or an expression, was printed after what was
 * awaited before; to the match.
 */
export class Machine {
  constructor(args) {
    this.output = '';
    this.at = 0;
    this.waiting = null;
    this.child = spawn(hartwood, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout.on('data', (bytes) => this.take(bytes));
    this.child.stderr.on('data', (bytes) => this.take(bytes));
    this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => {
      this.waiting?.reject(new Error(`the machine ended (${signal ?? code}) before it printed that:\n${this.tail()}`));
      resolve(code);
    }));
  }
  tail() {
    return this.output.slice(-1500);
  }
  take(bytes) {
    this.output += bytes;
    this.look();
  }
  look() {
    if (!this.waiting) return;
    clearTimeout(this.timer);
    const { text, resolve, reject } = this.waiting;
    const rest = this.output.slice(this.at);
    const found = typeof text === 'string' ? { 0: text, index: rest.indexOf(text) } : text.exec(rest);
    if (found && found.index >= 0) {
      this.at += found.index + found[0].length;
      this.waiting = null;
      resolve(found);
      return;
    }
    this.timer = setTimeout(() => {
      this.child.kill('SIGKILL');
      reject(new Error(`nothing printed for ${kSilence} ms while waiting for ${text}:\n${this.tail()}`));
    }, kSilence);
  }
  waitFor(text) {
    return new Promise((resolve, reject) => {
      this.waiting = { text, resolve, reject };
      this.look();
    });
  }
  waitForPrompt() {
    return this.waitFor(kPrompt);
  }
  /** Runs a command and returns what it printed. */
  async run(command) {
    await this.waitFor(kPrompt);
    const mark = Math.random().toString(36).slice(2);
    this.child.stdin.write(`echo "<${mark}""<"; ${command}; echo "<${mark}"">"\n`);
    // The echo of the typed line has the quotes in it; the command's own output does not.
    await this.waitFor(`<${mark}<\r\n`);
    const from = this.at;
    await this.waitFor(`<${mark}>`);
    return this.output.slice(from, this.at - mark.length - 2).replaceAll('\r\n', '\n');
  }
  async powerOff() {
    await this.waitFor(kPrompt);
    this.child.stdin.write('poweroff\n');
    return this.exited;
  }
}

/** A client of the socket that a machine made for --agent. */
export class Agent {
  static async connect(path) {
    const socket = net.connect(path);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Agent(socket);
  }
  constructor(socket) {
    this.socket = socket;
    this.text = '';
    this.lines = [];
    this.waiting = [];
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const parts = (this.text + bytes).split('\n');
      this.text = parts.pop();
      this.lines.push(...parts);
      while (this.waiting.length && this.lines.length) this.waiting.shift()(this.lines.shift());
    });
    socket.on('close', () => this.waiting.splice(0).forEach((resolve) => resolve('(closed)')));
  }
  send(line) {
    this.socket.write(`${line}\n`);
  }
  /** The next line that comes. */
  next() {
    if (this.lines.length) return Promise.resolve(this.lines.shift());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), kSilence);
      this.waiting.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }
  ask(line) {
    this.send(line);
    return this.next();
  }
  /** The agent listens: it starts in what time the guest's boot leaves. */
  async ready() {
    for (let tries = 0; tries < 500; tries++) {
      if (await this.ask('ping') === 'pong') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('no agent answers');
  }
  close() {
    this.socket.destroy();
  }
}
