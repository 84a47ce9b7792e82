// SPDX-License-Identifier: Apache-2.0
// Runs the guest's stress program in a terminal: in our native binary, or in QEMU to compare. `npm test -- --only stress`
// runs it on the page. Needs the targets native and stress (npm run setup -- --tests native stress).
//
//   node tools/stress/run.mjs [--on native|qemu] [--name all] [--seconds 60] [--seed 1] [--harts 2] [--memory 512]
//
// QEMU runs its harts in one thread: with a thread for each, its versions 7.2 and 10.0 run code that another hart has
// replaced, after the fence (patch and alias say so). They also lose flags that an instruction without a floating-point
// result raises, when the thread is switched away (flags says so).
//
// The exit code is 0 if the program printed that all has passed.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildDir, readOptions, runMain, UserError } from '../lib/project.mjs';

const machines = {
  native: (harts, memory, append) => [process.env.HARTWOOD_BINARY ?? join(buildDir, 'native/hartwood'),
    ['--harts', harts, '--memory', `${memory}M`, '--append', `console=hvc0 quiet ${append}`]],
  qemu: (harts, memory, append) => [process.env.HARTWOOD_QEMU ?? 'qemu-system-riscv64',
    ['-machine', 'virt', '-accel', 'tcg,thread=single', '-smp', harts, '-m', `${memory}M`, '-nographic', '-no-reboot', '-append', `console=ttyS0 quiet ${append}`]],
};

await runMain(async (args) => {
  const { options } = readOptions(args, { on: 'native', name: 'all', seconds: '60', seed: '1', harts: '2', memory: '512' });
  if (!machines[options.on]) throw new UserError(`--on is one of ${Object.keys(machines).join(', ')}`);
  const command = `~/stress ${options.name} ${options.seconds} ${options.seed}; poweroff`;
  const [program, programArgs] = machines[options.on](options.harts, options.memory, `hartwood.run="${command}"`);
  const dash = options.on === 'qemu' ? '-' : '--';
  const child = spawn(program, [...programArgs, `${dash}kernel`, join(buildDir, 'guest/kernel/Image'), `${dash}initrd`, join(buildDir, 'guest/stress/initramfs.cpio')],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  await new Promise((done, fail) => child.on('close', done).on('error', (error) => fail(new UserError(`${program} cannot be run: ${error.message}`))));
  return /^stress passed \d+\r?$/m.test(text) ? 0 : 1;
});
