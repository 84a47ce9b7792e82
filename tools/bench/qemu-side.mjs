// SPDX-License-Identifier: Apache-2.0
// The other half of `npm run bench`: native QEMU with the same kernel and initramfs, on its serial console.
import { spawn } from 'node:child_process';
import { UserError } from '../lib/project.mjs';
import { readKernelLines } from './kernel-lines.mjs';

const patience = 120_000;  // ms

/** Starts QEMU, calls body({ waitFor, write, started }) and ends it, whatever happens. */
async function withQemu({ kernel, initrd, harts }, body) {
  const started = performance.now();
  const qemu = spawn('qemu-system-riscv64', [
    '-machine', 'virt', '-smp', String(harts), '-m', '512M', '-nographic', '-no-reboot',
    '-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0',
  ], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  let wake = () => {};
  qemu.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
    wake();
  });
  let failure;
  qemu.on('error', (error) => { failure = new UserError(`qemu-system-riscv64 cannot be run: ${error.message}`); wake(); });
  qemu.on('close', (code) => { failure ??= new UserError(`qemu-system-riscv64 ended with ${code}`); wake(); });
  const waitFor = async (pattern) => {
    const late = setTimeout(() => { failure ??= new UserError(`QEMU did not print ${pattern}: ${text.slice(-500)}`); wake(); }, patience);
    try {
      for (;;) {
        const match = pattern.exec(text);
        if (match) {
          text = text.slice(match.index + match[0].length);
          return match[0];
        }
        if (failure) throw failure;
        await new Promise((done) => { wake = done; });
      }
    } finally {
      clearTimeout(late);
    }
  };
  try {
    return await body({ waitFor, started, write: (line) => qemu.stdin.write(line) });
  } finally {
    qemu.removeAllListeners('close');
    const ended = new Promise((done) => qemu.on('close', done));
    qemu.kill('SIGKILL');
    if (qemu.pid) await ended;
  }
}

/** Milliseconds from exec to prompt. */
export function bootQemu(files) {
  return withQemu({ ...files, harts: 2 }, async ({ waitFor, started }) => {
    await waitFor(/:~# /);
    return performance.now() - started;
  });
}

/** Map of kernel name to { seconds, result }. */
export function kernelsOnQemu(files, names) {
  return withQemu({ ...files, harts: 1 }, async ({ waitFor, write }) => {
    await waitFor(/:~# /);
    const kernels = new Map();
    for (const name of names) {
      write(`/root/kernels ${name}\n`);
      kernels.set(name, readKernelLines(await waitFor(/kernel \w+ \d+ \w+\r\n[^]*:~# /)).get(name));
    }
    return kernels;
  });
}
