// SPDX-License-Identifier: Apache-2.0
// The programs that the page is compared with: native QEMU, a newer one, and our own native binary, each with the page's
// kernel and initramfs, its console on standard input and output.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildDir, output, UserError } from '../lib/project.mjs';
import { cpuShare } from './cpu-time.mjs';
import { promptPattern, readResult, resultPattern } from './numbers.mjs';

const patience = 300_000;  // ms

const references = process.env.HARTWOOD_REFERENCES || join(buildDir, 'guest', 'references');
const emulators = {
  qemu: process.env.HARTWOOD_QEMU ?? 'qemu-system-riscv64',
  newest: join(references, 'bin', 'qemu-system-riscv64'),  // the newest that kernel/fetch-references.sh knows
};

const qemuArguments = ({ kernel, initrd, harts }) => [
  '-machine', 'virt', '-smp', String(harts), '-m', '512M', '-nographic', '-no-reboot',
  '-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0',
];

const commands = {
  qemu: (machine) => [emulators.qemu, qemuArguments(machine)],
  newest: (machine) => [emulators.newest, qemuArguments(machine)],
  native: ({ kernel, initrd, harts }) => [join(buildDir, 'native', 'hartwood'), [
    '--kernel', kernel, '--initrd', initrd, '--harts', String(harts), '--memory', '512M', '--append', 'earlycon=sbi console=hvc0',
  ]],
};

/** What a QEMU calls itself, as "7.2.22". `kind`: 'qemu' or 'newest'. */
export async function versionOf(kind) {
  const version = /version (\S+)/.exec(await output(emulators[kind], ['--version']) ?? '')?.[1];
  if (version === undefined) throw new UserError(`${emulators[kind]} cannot be run; npm run setup -- --tests references installs it`);
  return version;
}

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

/** `kind`: 'qemu', 'newest' or 'native'. Calls body(program, milliseconds from exec to prompt). */
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

/** Calls body(run) at the prompt: run(command) types a command of tests/bench and resolves to what it printed. */
export function withGuest(kind, files, harts, body) {
  return atPrompt(kind, { ...files, harts }, (program) => body((command) => {
    program.child.stdin.write(`${command}\n`);
    return program.waitFor(resultPattern);
  }));
}

/** Map of program name to { seconds, result }, on one hart. */
export function runPrograms(kind, files, names, divisor) {
  return withGuest(kind, files, 1, async (run) => {
    const results = new Map();
    for (const name of names) results.set(name, readResult(await run(`~/bench ${name} ${divisor}`)));
    return results;
  });
}

/** Share of one core at the idle prompt, over `seconds`, after `settle` seconds. */
export function idleShare(kind, files, harts, seconds, settle) {
  return atPrompt(kind, { ...files, harts }, async (program) => {
    await new Promise((done) => setTimeout(done, settle * 1000));
    return cpuShare(program.child.pid, seconds);
  });
}
