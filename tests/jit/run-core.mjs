// SPDX-License-Identifier: Apache-2.0
// The WebAssembly core with the command line of build/native/hartwood, as far as the differential tests use it: one hart,
// bare metal or Linux. HARTWOOD_ENGINE: `interpreter`, `compiled` (hot code is compiled) or `eager` (all that is jumped to).
import { readFileSync } from 'node:fs';
import { SyncMachine } from './sync-core.mjs';

const engine = process.env.HARTWOOD_ENGINE ?? 'compiled';
const args = process.argv.slice(2);
const value = (name, other) => (args.includes(name) ? args[args.indexOf(name) + 1] : other);
const configuration = {
  harts: 1, memory: Number.parseInt(value('--memory', '64M'), 10), append: value('--append', ''),
  firmware: value('--bios', 'built-in') === 'none' ? 'none' : 'built-in', zacas: args.includes('--zacas'),
  compiler: engine !== 'interpreter', compiler_eager: engine === 'eager',
};
const files = { kernel: readFileSync(value('--kernel')) };
const initrd = value('--initrd');
if (initrd !== undefined) files.initrd = readFileSync(initrd);
const machine = new SyncMachine(configuration, files);
const slice = Number(process.env.HARTWOOD_SLICE ?? (engine === 'eager' ? 60 : 20000));
while (machine.run(slice)) {
  const out = machine.output();
  if (out.length) process.stdout.write(out);
}
process.stdout.write(machine.output());
if (process.env.HARTWOOD_VERBOSE) console.error(`${machine.modules} modules, ${machine.emitted} bytes`);
process.exitCode = machine.power === 4 ? machine.exitCode : 0;
