// SPDX-License-Identifier: Apache-2.0
// Runs the torture suites (tests/torture/) in a terminal, each in a machine of its own: in our native binary, or in
// QEMU to tell the machine's mistakes from the suites'. `npm run test:long -- --only torture` runs them on the page.
// Needs the targets native and torture (npm run setup -- --tests native torture).
//
//   node tools/torture/run.mjs [--on native|qemu] [--name all|SUITE,SUITE] [--seconds 60] [--harts 2] [--log FOLDER]
//
// With --log, what each machine printed goes to FOLDER/ON-SUITE.log. The exit code is 0 if nothing was found.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir, readOptions, runMain, UserError } from '../lib/project.mjs';
import {
  commandLine, judge, memoryMegabytes, patienceSeconds, suiteNames, suites,
} from '../../tests/torture/suites.mjs';

const machines = {
  native: (harts, append) => [process.env.HARTWOOD_BINARY ?? join(buildDir, 'native/hartwood'),
    ['--harts', harts, '--memory', `${memoryMegabytes}M`, '--append', `console=hvc0 ${append}`], '--'],
  qemu: (harts, append) => [process.env.HARTWOOD_QEMU ?? 'qemu-system-riscv64',
    ['-machine', 'virt', '-smp', harts, '-m', `${memoryMegabytes}M`, '-nographic', '-no-reboot',
      '-append', `console=ttyS0 ${append}`], '-'],
};
const bootSeconds = 60;

/** What the machine prints until it ends, or is ended. */
async function outputOf(on, harts, name, seconds) {
  const command = `hartwood.run="~/torture ${name} ${seconds}; poweroff"`;
  const [program, args, dash] = machines[on](harts, `${commandLine} ${command}`);
  const folder = join(buildDir, 'guest/torture');
  const files = [`${dash}kernel`, join(folder, 'Image'), `${dash}initrd`, join(folder, 'initramfs.cpio')];
  const child = spawn(program, [...args, ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  const timer = setTimeout(() => child.kill('SIGKILL'), (bootSeconds + patienceSeconds(seconds)) * 1000);
  await new Promise((done, fail) => {
    child.on('close', done).on('error', (error) => fail(new UserError(`${program} cannot be run: ${error.message}`)));
  });
  clearTimeout(timer);
  return text;
}

await runMain(async (args) => {
  const { options } = readOptions(args, { on: 'native', name: 'all', seconds: '60', harts: '2', log: '' });
  if (!machines[options.on]) throw new UserError(`--on is one of ${Object.keys(machines).join(', ')}`);
  const seconds = Number(options.seconds);
  const names = options.name === 'all' ? suiteNames : options.name.split(',');
  const unknown = names.filter((name) => !suites[name]);
  if (unknown.length) {
    throw new UserError(`no such suite: ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`);
  }
  let failed = 0;
  for (const name of names) {
    const output = await outputOf(options.on, options.harts, name, seconds);
    if (options.log) {
      mkdirSync(options.log, { recursive: true });
      writeFileSync(join(options.log, `${options.on}-${name}.log`), output);
    }
    const { problems, ran } = judge(name, output, seconds);
    console.log(`${problems.length ? 'FAILED' : 'ok'} ${name} on ${options.on}, ${options.harts} harts`);
    for (const line of ran) console.log(`  ${line}`);
    for (const line of problems) console.log(`  ! ${line}`);
    if (!problems.length) continue;
    failed++;
    console.log('  what it printed ends with:');
    for (const line of output.trimEnd().split('\n').slice(-5)) console.log(`    | ${line.trimEnd()}`);
  }
  return failed ? 1 : 0;
});
