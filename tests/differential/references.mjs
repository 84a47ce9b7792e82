// SPDX-License-Identifier: Apache-2.0
// The emulators that random programs are compared with: which there are, how each runs one of the generator's ELF
// files, and which extensions each implements. That is not taken from its documentation: every extension is tried with
// programs of its own, and a reference counts for it if it executes them. Whether its results are ours is another
// question, which the comparison itself answers.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../tools/lib/project.mjs';

const ramMegabytes = 64;

/** Where files that live for a moment go. RAM images are sparse; a file system in memory keeps them off the disk. */
export function makeScratch() {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'hartwood-differential-'));
}

const live = new Set();
process.on('exit', () => { for (const child of live) child.kill('SIGKILL'); });

/** Runs a program to its end: { code, signal, timedOut, out: Buffer, errors }. */
export function runProgram(command, args, { seconds = 60, cwd } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd });
    live.add(child);
    const chunks = [];
    let errors = '', timedOut = false;
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => { errors = (errors + text).slice(-4000); });
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    child.on('error', fail);
    child.on('close', (code, signal) => {
      live.delete(child);
      clearTimeout(timer);
      done({ code, signal, timedOut, out: Buffer.concat(chunks), errors });
    });
  });
}

function failure({ code, signal, timedOut, errors }) {
  if (timedOut) return 'did not end';
  if (signal) return `was ended by ${signal}`;
  return code === 0 ? undefined : `ended with code ${code} ${errors.trim().split('\n').at(-1)}`.trim();
}

/** Our machine. Returns { out } or { failed }. */
export async function runOurs(hartwood, files, seconds) {
  const result = await runProgram(hartwood, ['--bios', 'none', '--kernel', files.machine, '--memory', `${ramMegabytes}M`, '--zacas'], { seconds });
  const failed = failure(result) ?? (result.out.length === files.layout.outputBytes ? undefined : 'wrote only a part of its output');
  return { out: result.out, failed };
}

async function runProcess(reference, files, seconds) {
  const result = await runProgram(reference.path, ['-cpu', reference.cpu, files.process], { seconds });
  const failed = failure(result) ?? (result.out.length === files.layout.outputBytes ? undefined : 'wrote only a part of its output');
  return { out: result.out, failed };
}

async function runSystem(reference, files, seconds) {
  const ram = `${files.machine}.${reference.name.replace(/\W+/g, '-')}.ram`;
  rmSync(ram, { force: true });
  // With a second hart, atomics are executed as atomics; see image.cpp.
  const result = await runProgram(reference.path, [
    '-machine', 'virt,memory-backend=ram', '-cpu', reference.cpu, '-smp', '2', '-m', `${ramMegabytes}M`,
    '-object', `memory-backend-file,id=ram,size=${ramMegabytes}M,mem-path=${ram},share=on`,
    '-bios', 'none', '-kernel', files.machine, '-display', 'none', '-serial', 'none', '-monitor', 'none', '-nodefaults',
  ], { seconds });
  const out = Buffer.alloc(files.layout.outputBytes);
  if (existsSync(ram) && statSync(ram).size > 0) {
    const file = openSync(ram, 'r');
    readSync(file, out, 0, out.length, files.layout.output - files.layout.ram);
    closeSync(file);
  }
  rmSync(ram, { force: true });
  return { out, failed: failure(result) };
}

function onPath(name) {
  try {
    return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Every reference that is there: { name, kind, path, cpu, levels, run(files, seconds) }. */
export function findReferences(folder) {
  const candidates = [
    { kind: 'qemu-user', path: join(folder, 'bin/qemu-riscv64') },
    { kind: 'qemu-user', path: onPath('qemu-riscv64-static') ?? onPath('qemu-riscv64') },
    { kind: 'qemu-system', path: join(folder, 'bin/qemu-system-riscv64') },
    { kind: 'qemu-system', path: onPath('qemu-system-riscv64') },
  ];
  const found = [];
  for (const { kind, path } of candidates) {
    if (!path || !existsSync(path)) continue;
    const version = /version (\d+)\.(\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    const name = `${kind} ${version[1]}.${version[2]}`;
    if (found.some((one) => one.name === name)) continue;
    // zama16b lets misaligned atomics succeed, which no program here expects.
    const cpu = Number(version[1]) >= 9 ? 'max,zama16b=off' : 'rv64,Zfh=on,Zfhmin=on,svinval=on';
    const reference = { name, kind, path, cpu, levels: kind === 'qemu-user' ? ['user'] : ['machine', 'user'] };
    reference.run = (files, seconds) => (kind === 'qemu-user' ? runProcess : runSystem)(reference, files, seconds);
    found.push(reference);
  }
  return found;
}

export const defaultReferences = process.env.HARTWOOD_REFERENCES || join(root, 'build/guest/references');

// What the generator needs to make any program at all.
export const baseExtensions = ['i', 'f', 'd', 'zicsr'];
// Without these a part of the extension does not exist.
const together = { zfa: ['zfh'], zfh: ['zfhmin'], zacas: ['a'] };
// Nothing of these can be used by a process.
const privileged = new Set(['s', 'svinval', 'zicbom']);

// What a reference has, but is not compared with, and why.
const knownFaults = [
  { reference: 'qemu-user 7.2', extension: 'zbb', reason: 'ctzw counts on behind bit 31' },
  { reference: 'qemu-system 7.2', extension: 'zbb', reason: 'the same' },
  { reference: 'qemu-system 7.2', extension: 's', reason: 'mtval is 0 after ebreak, which is allowed but not what we and newer ones do' },
  { reference: 'qemu-system 7.2', extension: 'svinval', reason: 'mtval is 0 after an illegal sinval.vma; likewise' },
];

/** How many illegal instructions the trap logs of an output name. */
function illegalInstructions({ layout, count }, out) {
  let found = 0;
  for (let slot = 0; slot < count; slot++) {
    const at = slot * layout.bytes;
    const traps = Math.min(Number(out.readBigUInt64LE(at + layout.traps)), layout.logEntries);
    for (let i = 0; i < traps; i++) found += out.readBigUInt64LE(at + layout.log + 24 * i) === 2n ? 1 : 0;
  }
  return found;
}

/**
 * Fills `reference.extensions` of each reference, and returns the table's extensions. `generate(options)` makes files of
 * programs, `compare(reference, files)` runs them on both sides and returns what is wrong.
 */
export async function findCoverage(references, extensions, generate, compare) {
  for (const reference of references) {
    reference.extensions = [];
    reference.refused = new Map();
    for (const extension of extensions) {
      const level = privileged.has(extension) ? 'machine' : 'user';
      if (!reference.levels.includes(level)) continue;
      const wanted = [...new Set([...baseExtensions, ...(together[extension] ?? []), extension])];
      const files = await generate({ level, extensions: wanted, seed: 1, first: 0, count: 60 });
      if (!files.counts.some((row) => row.extension === extension && row.count > 0)) throw new Error(`the programs made for ${extension} do not use it`);
      const wrong = await compare(reference, files, 10);
      const absent = wrong && (wrong.broken || illegalInstructions(files, wrong.theirs) > illegalInstructions(files, wrong.ours));
      const fault = knownFaults.find((one) => one.reference === reference.name && one.extension === extension);
      if (absent || fault) reference.refused.set(extension, { message: fault?.reason ?? wrong.message, fault });
      else reference.extensions.push(extension);
    }
  }
}

/** `-`: not implemented, or out of reach of a process. `not used`: see knownFaults. */
export function printMatrix(references, extensions) {
  const width = Math.max(...extensions.map((name) => name.length));
  console.log(`${'extension'.padEnd(width)}  ${references.map((one) => one.name).join('  ')}`);
  for (const extension of extensions) {
    const cell = (one) => (one.extensions.includes(extension) ? 'yes' : one.refused.get(extension)?.fault ? 'not used' : '-');
    const cells = references.map((one) => cell(one).padEnd(one.name.length));
    console.log(`${extension.padEnd(Math.max(width, 9))}  ${cells.join('  ')}`.trimEnd());
  }
  for (const one of references) {
    for (const [extension, { message, fault }] of one.refused) if (fault) console.log(`${one.name}, ${extension}: ${message}`);
    if (!one.extensions.length) console.log(`${one.name} cannot be used: ${[...one.refused.values()][0]?.message}`);
  }
}
