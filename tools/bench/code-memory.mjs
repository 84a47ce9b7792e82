// SPDX-License-Identifier: Apache-2.0
// How much memory an engine takes for compiled code, for each byte of WebAssembly that the compiler emits: what the
// registry's budget (host/jit/registry.h, kMemoryPerByte) is calibrated with. Modules of a booting and computing Linux are
// collected; Node then instantiates them again and again, each time with other bytes, as an engine keeps equal modules
// once, and looks at what the process has grown by: with nothing compiled, all of it by the baseline compiler, and all of
// it by the optimizing one. Hot code is of the last kind.
//
//   node tools/bench/code-memory.mjs        needs build/wasm/hartwood_core.wasm and build/guest/ (npm test)
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, runMain } from '../lib/project.mjs';

const megabytes = 8;       // of modules in each measurement
const tableSlots = 70_000; // more than hw_table_base() and what the registry hands out
const work = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; find /bin /etc | sort | md5sum; seq 1 3000 | gzip | sha1sum; poweroff\n';
const engines = {
  'nothing compiled': [],
  'baseline code': ['--liftoff', '--no-wasm-tier-up', '--no-wasm-lazy-compilation'],
  'optimized code': ['--no-liftoff', '--no-wasm-lazy-compilation'],
};

async function collect(folder) {
  const { SyncMachine } = await import('../../tests/jit/sync-core.mjs');
  const machine = new SyncMachine(
    { harts: 1, memory: 128, append: 'console=hvc0', clock: 'virtual', seed: 5, compiler: true, compiler_visits: 20, compiler_after: 0 },
    { kernel: readFileSync(join(root, 'build/guest/kernel/Image')), initrd: readFileSync(join(root, 'build/guest/initramfs/initramfs.cpio')) });
  machine.onModule = (id, bytes) => writeFileSync(join(folder, `${id}.wasm`), bytes);
  let text = '', typed = false;
  while (machine.run(100_000)) {
    text += machine.output().toString('latin1');
    if (typed || !text.includes(':~# ')) continue;
    typed = true;
    machine.input(work);
  }
  return machine.modules;
}

function resident() {
  globalThis.gc();
  return Number(/^Rss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))[1]) * 1024;
}

/** In a process of its own. Prints { modules, bytes, grown }. */
async function measure(folder, instances) {
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: tableSlots });
  const core = { hw_jit_execute: () => 0, hw_jit_accesses: () => 0, hw_jit_system: () => 0n };
  const kept = [];
  const before = resident();
  let modules = 0, bytes = 0;
  while (bytes < megabytes * 1e6) {
    for (const file of files) {
      const number = Buffer.from(String(modules++).padStart(8, '0'));
      const module = new WebAssembly.Module(Buffer.concat([file, Buffer.from([0, 2 + number.length, 1, 0x6e]), number]));
      kept.push(module);
      for (let i = 0; i < instances; i++) kept.push(new WebAssembly.Instance(module, { env: { memory, table }, core }));
      bytes += file.length;
    }
  }
  await new Promise((done) => { setTimeout(done, 500); });
  console.log(JSON.stringify({ modules, bytes, grown: resident() - before }));
}

await runMain(async (args) => {
  if (args[0] === '--measure') {
    await measure(args[1], Number(args[2]));
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-modules-'));
  try {
    console.log(`${await collect(folder)} modules collected`);
    for (const [what, flags] of Object.entries(engines)) {
      for (const harts of [1, 2, 4]) {
        const text = execFileSync(process.execPath, ['--expose-gc', ...flags, fileURLToPath(import.meta.url), '--measure', folder, String(harts)]);
        const { modules, bytes, grown } = JSON.parse(text);
        console.log(`${what}, ${harts} harts: ${(grown / bytes).toFixed(1)} bytes for each that was emitted, ${Math.round(grown / modules / 1024)} KiB a module`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return 0;
});
