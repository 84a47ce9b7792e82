// SPDX-License-Identifier: Apache-2.0
// The compiler's special cases by name. Each is a program of tests/jit/cases that checks itself, run interpreted, compiled
// (what is hot, with slices of different lengths) and compiled eagerly. Exit code, instructions retired and all of RAM,
// which holds the registers as they were in the end, must be the same, and compiled code must have run.
//
//   node --test tests/jit/cases.mjs        needs build/wasm/hartwood_core.wasm and a riscv64 compiler (npm test)
//   node --test --test-name-pattern "fork" tests/jit/cases.mjs
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { kRamBase } from '../../build/generated/layout.ts';
import { root } from '../../tools/lib/project.mjs';
import { SyncMachine } from './sync-core.mjs';

const compiler = process.env.HARTWOOD_GUEST_CC ?? 'riscv64-linux-gnu-gcc';
const flags = ['-O2', '-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany', '-mno-relax', '-ffreestanding', '-fno-pic', '-fno-pie',
  '-fno-stack-protector', '-fno-tree-loop-distribute-patterns', '-nostdlib', '-static', '-no-pie', '-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none'];
const sources = join(root, 'tests/jit/cases');
const folder = mkdtempSync(join(tmpdir(), 'hartwood-cases-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function build(source, define) {
  const elf = join(folder, `${define ?? source}.elf`);
  execFileSync(compiler, [...flags, ...(define ? [`-D${define}`] : []), '-T', join(sources, 'case.ld'), '-o', elf,
    join(sources, 'start.S'), join(sources, source)], { stdio: ['ignore', 'ignore', 'inherit'] });
  return readFileSync(elf);
}

/** Offset in RAM of a symbol: the linker put it into the file's table. */
function symbol(elf, name) {
  const sections = Array.from({ length: elf.readUInt16LE(60) }, (_, i) => Number(elf.readBigUInt64LE(40)) + i * elf.readUInt16LE(58));
  const table = sections.find((at) => elf.readUInt32LE(at + 4) === 2);
  const [from, bytes] = [24, 32].map((field) => Number(elf.readBigUInt64LE(table + field)));
  const names = Number(elf.readBigUInt64LE(sections[elf.readUInt32LE(table + 40)] + 24));
  for (let at = from; at < from + bytes; at += 24) {
    const start = names + elf.readUInt32LE(at);
    if (elf.toString('latin1', start, elf.indexOf(0, start)) === name) return Number(elf.readBigUInt64LE(at + 8)) - kRamBase;
  }
  throw new Error(`no symbol ${name}`);
}

const inlineCalls = 1 << 3; // of hw_compiler_passes
const engines = [
  ['interpreted', {}, 1000],
  ['compiled', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 1000],
  ['compiled, without passes', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 1000, 0],
  ['compiled, every call a call', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 1000, ~inlineCalls],
  ['compiled in short slices', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 61],
  ['compiled eagerly', { compiler: true, compiler_eager: true }, 211],
];
const mostInstructions = 2e8;

/** One run. `prepare(machine, elf)` hooks into it and may return a function that is called between the machine's slices. */
function execute(elf, engine, slice, passes, prepare) {
  const machine = new SyncMachine({ harts: 1, memory: 64, firmware: 'none', clock: 'virtual', ...engine }, { kernel: elf });
  if (passes !== undefined) machine.exports.hw_compiler_passes(passes);
  const between = prepare?.(machine, elf);
  while (machine.run(slice)) {
    between?.();
    if (machine.retired > mostInstructions) throw new Error('no end');
  }
  return { machine, retired: machine.retired, power: machine.power, code: machine.exitCode };
}

/** `share`: how much of the program must have been executed in compiled code, at least. */
function runCase(name, { source, define, share, prepare, look }) {
  test(name, async (t) => {
    const elf = build(source, define);
    let first;
    for (const [kind, engine, slice, passes] of engines) {
      await t.test(kind, (t) => {
        const result = execute(elf, engine, slice, passes, prepare);
        assert.equal(result.power, 4, 'it ends by itself');
        assert.equal(result.code, 0, `the program says ${result.code}`);
        if (kind === 'interpreted') {
          first = { ...result, ram: Buffer.from(result.machine.ram) };
          t.diagnostic(`${result.retired} instructions`);
          return;
        }
        const { entries, instructions, evicted } = result.machine.compiled;
        t.diagnostic(`${result.machine.modules} modules of ${Math.round(result.machine.emitted / result.machine.modules)} bytes, ${entries} entries, ${Math.round((100 * instructions) / result.retired)} % in compiled code, ${evicted} dropped`);
        look?.(result.machine);
        assert.equal(result.retired, first.retired, 'instructions retired');
        const ram = Buffer.from(result.machine.ram);
        if (!ram.equals(first.ram)) {
          let at = 0;
          while (ram[at] === first.ram[at]) at++;
          at -= at % 8;
          assert.fail(`RAM differs first at ${(at + kRamBase).toString(16)}: ${ram.readBigUInt64LE(at).toString(16)}, interpreted ${first.ram.readBigUInt64LE(at).toString(16)}`);
        }
        assert.ok(entries > 0 && instructions >= share * result.retired, `only ${instructions} of ${result.retired} instructions ran compiled`);
      });
    }
  });
}

test('nothing is compiled before some hart has executed compiler_after instructions', () => {
  const elf = build('longjmp.S');
  const modulesAfter = (instructions) =>
    execute(elf, { compiler: true, compiler_visits: 1, compiler_after: instructions }, 1000).machine.modules;
  const { retired } = execute(elf, {}, 1000);
  assert.equal(modulesAfter(retired + 1), 0);
  const all = modulesAfter(0);
  assert.ok(all > 0);
  assert.ok(modulesAfter(Math.floor(retired / 2)) > 0, 'and something after them');
});

/** Modules are installed only some slices after they were made. */
function late(machine) {
  const waiting = [];
  machine.later = (id, bytes) => waiting.push([4, id, bytes]) > 0;
  return () => {
    for (const each of waiting) each[0]--;
    while (waiting.length && waiting[0][0] <= 0) machine.install(...waiting.shift().slice(1));
  };
}

/**
 * Somebody else writes the constant of agent.S: in turn between a request and its translation, and between that and the
 * installation; every few slices where nothing is compiled.
 */
function agent(machine, elf) {
  const constant = symbol(elf, 'constant'), written = symbol(elf, 'written');
  const most = 6;
  let slices = 0;
  machine.writes = 0;
  const write = () => {
    if (machine.writes === most) return;
    machine.writes++;
    const view = new DataView(machine.ram.buffer, machine.ram.byteOffset);
    view.setUint32(constant, 0x513 | machine.writes << 20, true); // addi a0, zero, ...
    view.setUint32(written, machine.writes, true);
  };
  if (!machine.compiling) return () => ++slices % 40 === 0 && write();
  let requests = 0;
  machine.beforeCompiling = () => {
    const now = machine.words[(machine.exports.hw_compiler_word() >>> 0) / 4];
    if (now !== requests && machine.writes % 2 === 0) write();
    requests = now;
  };
  machine.onModule = () => machine.writes % 2 === 1 && write();
  return undefined;
}

runCase('fork: parent and child return from one ecall to different code', { source: 'fork.c', share: 0.3 });
runCase('exec: new code at the same addresses, SFENCE.VMA and FENCE.I', { source: 'exec.c', share: 0.3 });
runCase('a context switch a hundred frames deep', { source: 'switch.S', share: 0.5 });
runCase('longjmp out of fifty frames', { source: 'longjmp.S', share: 0.5 });
runCase('a callee rewrites its caller behind the call', { source: 'rewrite.S', share: 0.1 });
runCase('FENCE.I in a callee', { source: 'fence_i.S', share: 0.1 });
runCase('S-mode code and data that differ between spaces; SFENCE.VMA for one ASID', { source: 'spaces.c', share: 0.2 });
runCase('SFENCE.VMA in a callee that remaps its caller or its data', { source: 'remap.c', share: 0.3 });
runCase('SFENCE.VMA in a callee that remaps the second of its caller\'s pages', { source: 'remap.c', define: 'CASE_SPAN', share: 0.3 });
runCase('SUM changes in a callee and before an access', { source: 'modes.c', define: 'CASE_SUM', share: 0.1 });
runCase('MPRV changes in a callee and before an access', { source: 'modes.c', define: 'CASE_MPRV', share: 0.1 });
runCase('FS changes in a callee and before arithmetic; so does the rounding mode', { source: 'modes.c', define: 'CASE_FS', share: 0.05 });
runCase('S-mode jumps to compiled code of U-mode', { source: 'privilege.c', share: 0.05 });
runCase('a page is written by somebody else while it is compiled', {
  source: 'agent.S', share: 0.3, prepare: agent,
  look: (machine) => assert.equal(machine.writes, 6),
});
// A place that was dropped eight times is not asked for again: eager compilation uses that up early.
runCase('code is evicted while it is hot', {
  source: 'evict.S', share: 0.01,
  prepare: (machine) => {
    if (machine.compiling) machine.exports.hw_compiler_budget(16000);
  },
  look: (machine) => assert.ok(machine.compiled.evicted > 40, `${machine.compiled.evicted} dropped`),
});
for (const [what, source] of [['rewritten', 'rewrite.S'], ['remapped', 'remap.c'], ['replaced', 'exec.c'], ['fenced', 'fence_i.S']]) {
  runCase(`code is ${what} between request and installation`, { source, share: 0.05, prepare: late });
}
runCase('code that only compiled code comes to', { source: 'gap.S', share: 0.4 });
runCase('an irreducible loop', { source: 'flow.c', define: 'CASE_IRREDUCIBLE', share: 0.5 });
runCase('a jump table', { source: 'flow.c', define: 'CASE_JUMP_TABLE', share: 0.3 });
runCase('computed gotos', { source: 'flow.c', define: 'CASE_GOTO', share: 0.5 });
runCase('misaligned accesses over two pages, with faults at the second', { source: 'misaligned.c', share: 0.2 });
runCase('frames in all positions, moved by callees, and with MPRV between their uses', { source: 'frames.c', share: 0.3 });
runCase('timer interrupts in the middle of hot code', { source: 'timer.c', share: 0.3 });
runCase('every access to every empty slot of the TLB faults', { source: 'slots.c', share: 0.1 });
