// SPDX-License-Identifier: Apache-2.0
// The programs that the page is compared with: native QEMU and our own native binary, each with the page's kernel and
// initramfs, its console on standard input and output.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildDir, UserError } from '../lib/project.mjs';
import { cpuShare } from './cpu-time.mjs';
import { promptPattern, readResult, resultPattern } from './numbers.mjs';

const patience = 300_000;  // ms

const commands = {
  qemu: ({ kernel, initrd, harts }) => [process.env.HARTWOOD_QEMU ?? 'qemu-system-riscv64', [
    '-machine', 'virt', '-smp', String(harts), '-m', '512M', '-nographic', '-no-reboot',
    '-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0',
  ]],
  native: ({ kernel, initrd, harts }) => [join(buildDir, 'native', 'hartwood'), [
    '--kernel', kernel, '--initrd', initrd, '--harts', String(harts), '--memory', '512M', '--append', 'earlycon=sbi console=hvc0',
  ]],
};

/** A started program whose console can be waited for. It is killed by close(), whatever state it is in. */
class ConsoleProgram {
  constructor(command, args) {
    this.name = command;
    this.text = '';
    this.wake = () => {};
    this.started = performance.now();
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdout.setEncoding('utf8').on('data', (chunk) => {
      this.text += chunk;
      this.wake();
    });
    this.child.stdin.on('error', () => {});  // its end is reported below
    this.child.on('error', (error) => this.fail(`${command} cannot be run: ${error.message}`));
    this.ended = new Promise((done) => this.child.on('close', (code, signal) => {
      this.fail(`${command} ended with ${signal ?? code}`);
      done();
    }));
  }

  fail(message) {
    this.failure ??= new UserError(`${message}; its output ends with ${JSON.stringify(this.text.slice(-400))}`);
    this.wake();
  }

  /** The first match in what was printed since the last one. */
  async waitFor(pattern) {
    const late = setTimeout(() => this.fail(`${this.name} did not print ${pattern} in ${patience / 1000} s`), patience);
    try {
      for (;;) {
        const match = pattern.exec(this.text);
        if (match) {
          this.text = this.text.slice(match.index + match[0].length);
          return match[0];
        }
        if (this.failure) throw this.failure;
        await new Promise((done) => { this.wake = done; });
      }
    } finally {
      clearTimeout(late);
    }
  }

  async close() {
    this.child.kill('SIGKILL');
    if (this.child.pid) await this.ended;
  }
}

/** `kind`: 'qemu' or 'native'. Calls body(program, milliseconds from exec to prompt). */
async function atPrompt(kind, machine, body) {
  const program = new ConsoleProgram(...commands[kind](machine));
  try {
    await program.waitFor(promptPattern);
    return await body(program, performance.now() - program.started);
  } finally {
    await program.close();
  }
}

/** Milliseconds from exec to prompt, two harts. */
export function bootTime(kind, files) {
  return atPrompt(kind, { ...files, harts: 2 }, (_, milliseconds) => milliseconds);
}

/** Map of program name to { seconds, result }, on one hart. */
export function runPrograms(kind, files, names, divisor) {
  return atPrompt(kind, { ...files, harts: 1 }, async (program) => {
    const results = new Map();
    for (const name of names) {
      program.child.stdin.write(`/root/bench ${name} ${divisor}\n`);
      results.set(name, readResult(await program.waitFor(resultPattern)));
    }
    return results;
  });
}

/** Share of one core at the idle prompt with two harts, over `seconds`, after `settle` seconds. */
export function idleShare(kind, files, seconds, settle) {
  return atPrompt(kind, { ...files, harts: 2 }, async (program) => {
    await new Promise((done) => setTimeout(done, settle * 1000));
    return cpuShare(program.child.pid, seconds);
  });
}
