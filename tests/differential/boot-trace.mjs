// SPDX-License-Identifier: Apache-2.0
// Boots OpenSBI and our kernel on one hart, here and in QEMU, with the same firmware, kernel and device tree, and
// compares pc and the integer registers before each instruction.
//
//   node tests/differential/boot-trace.mjs [--instructions 1000000]
// Also: --references FOLDER, --kernel IMAGE, --hartwood FILE, --plugin FILE, --opensbi 1.6
//
// In QEMU a plugin (boot-trace-plugin.cpp) writes what each instruction finds; here it is --trace. Both streams pass
// through named pipes and are compared as they come. An instruction takes 2 ns of virtual time on both sides (-icount
// shift=1; DeterministicClock), so that `time` depends on nothing else.
//
// CSRs are compared where software reads them, as the register that they are read into. What cannot agree is in
// `allowed` and `masked`, each with its reason; every use of an entry is printed. A register that differs for such a
// reason, and one that is computed from it, is not compared until both sides write the same value to it. The comparison ends early, with success, at the
// first interrupt: neither side promises to take it at a certain instruction.
import { spawn, execFileSync } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions, root, runMain, UserError } from '../../tools/lib/project.mjs';
import { defaultReferences, makeScratch } from './references.mjs';

// Extensions of our machine; the device tree keeps those of them that QEMU's names too.
const ourExtensions = new Set(('i m a f d c zicbom zicbop zicboz zicntr zicond zicsr zifencei zihintpause zihpm zawrs zfa zfh zfhmin '
  + 'zba zbb zbc zbs sstc svadu svinval svnapot svpbmt').split(' '));
// QEMU's hart made as ours: extensions that we lack off, identity registers zero, no debug triggers. Svadu and Svpbmt
// are off because QEMU's menvcfg starts with their bits set if it has them; ours starts as 0, and the tree, without
// them, lets nobody set them.
const cpu = 'rv64,h=off,v=off,sstc=on,svade=on,svadu=off,svpbmt=off,zfh=on,zfhmin=on,zfa=on,zicond=on,zbc=on,svinval=on,svnapot=on,'
  + 'zawrs=on,b=on,pmu-mask=0x1f8,debug=off,mvendorid=0,marchid=0,mimpid=0';
// Nodes of QEMU's tree for devices that our board does not have.
const foreignNodes = ['pmu', 'fw-cfg@10100000', 'flash@20000000', 'platform-bus@4000000', 'pci@30000000'];
const memoryMegabytes = 512;

// Where the two may part: an access to one of these CSRs traps on one side and not on the other. Firmware probes them
// so, and comes to the same conclusion either way; the comparison goes on where the paths meet again.
const allowed = [
  { first: 0x3c0, last: 0x3ef, name: 'pmpaddr16 to 63', reason: 'with 16 PMP entries the others may be read-only zero (ours) or absent (QEMU)' },
  { first: 0x3a4, last: 0x3af, name: 'pmpcfg4 to 15', reason: 'the same' },
  { first: 0xb03, last: 0xb1f, name: 'mhpmcounter3 to 31', reason: 'those from 9 on are read-only zero (ours) or absent (QEMU with pmu-mask)' },
  { first: 0x323, last: 0x33f, name: 'mhpmevent3 to 31', reason: 'the same' },
];

// CSRs whose value may differ when it is read.
const masked = [
  { csr: 0xc01, name: 'time', reason: 'after the paths have parted, and after a trap (QEMU counts the ecall, we count what retired), a tick may come an instruction earlier' },
];

/** Registers that an instruction may read, or some more. */
function sources(bits) {
  if ((bits & 3) === 3) return [bits >>> 15 & 31, bits >>> 20 & 31];
  return [bits >>> 7 & 31, bits >>> 2 & 31, 8 + (bits >>> 7 & 7), 8 + (bits >>> 2 & 7)];
}

function makeTree(qemu, scratch) {
  const dumped = join(scratch, 'qemu.dtb'), edited = join(scratch, 'both.dts'), result = join(scratch, 'both.dtb');
  execFileSync(qemu, ['-machine', `virt,dumpdtb=${dumped}`, '-cpu', cpu, '-m', `${memoryMegabytes}M`, '-smp', '1', '-display', 'none'], { stdio: 'ignore' });
  let text = execFileSync('dtc', ['-q', '-I', 'dtb', '-O', 'dts', dumped], { encoding: 'utf8' });
  const replace = (pattern, by) => {
    if (!pattern.test(text)) throw new Error(`QEMU's device tree has no ${pattern}`);
    text = text.replace(pattern, by);
  };
  const theirs = /riscv,isa-extensions = "(.*?)";/.exec(text)[1].split('\\0');
  const both = theirs.filter((name) => ourExtensions.has(name));
  replace(/riscv,isa-extensions = ".*?";/, `riscv,isa-extensions = ${both.map((name) => `"${name}"`).join(', ')};`);
  replace(/riscv,isa = ".*?";/, `riscv,isa = "rv64${both.filter((name) => name.length === 1).join('')}_${both.filter((name) => name.length > 1).join('_')}";`);
  replace(/\n\t*rng-seed = <.*?>;/, '');
  for (const node of foreignNodes) {
    const start = new RegExp(`\\n(\\t+)${node} \\{`).exec(text);
    if (!start) throw new Error(`QEMU's device tree has no ${node}`);
    const end = text.indexOf(`\n${start[1]}};`, start.index);
    text = text.slice(0, start.index) + text.slice(end + start[1].length + 3);
  }
  writeFileSync(edited, text);
  execFileSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-o', result, edited]);
  return { file: result, both };
}

/** Steps of one side: { pc, before: [register, value, ...] } and for ours { pc, bits, after, interrupt }. */
class Steps {
  constructor(path, parse) {
    this.queue = [];
    this.at = 0;
    this.iterator = createReadStream(path, { highWaterMark: 1 << 20 })[Symbol.asyncIterator]();
    this.rest = Buffer.alloc(0);
    this.parse = parse;
    this.over = false;
  }
  /** At least `count` steps are in the queue, or there are no more. */
  async need(count) {
    if (this.at > 1 << 16) {
      this.queue = this.queue.slice(this.at);
      this.at = 0;
    }
    while (this.queue.length - this.at < count && !this.over) {
      const { value, done } = await this.iterator.next();
      if (done) this.over = true;
      else this.rest = this.parse(this.rest.length ? Buffer.concat([this.rest, value]) : value, this.queue);
    }
    return this.queue.length - this.at;
  }
  peek(ahead = 0) { return this.queue[this.at + ahead]; }
}

// Values are hexadecimal texts without leading zeros on both sides.
function parseQemu(bytes, queue) {
  let at = 0;
  while (at + 12 <= bytes.length) {
    const mask = bytes.readUInt32LE(at + 8);
    let count = 0;
    for (let rest = mask; rest; rest &= rest - 1) count++;
    if (at + 12 + 8 * count > bytes.length) break;
    const before = [];
    let value = at + 12;
    for (let register = 1; register < 32; register++) {
      if (!(mask >>> register & 1)) continue;
      before.push(register, bytes.readBigUInt64LE(value).toString(16));
      value += 8;
    }
    queue.push({ pc: bytes.readBigUInt64LE(at).toString(16), before });
    at = value;
  }
  return bytes.subarray(at);
}

const plain = (hex) => hex.replace(/^0x0*(?=.)/, '');

// The form of host/debug/trace.h.
function parseOurs(bytes, queue) {
  const end = bytes.lastIndexOf(10) + 1;
  for (const line of bytes.toString('latin1', 0, end).split('\n')) {
    if (line === '') continue;
    const words = line.split(/ +/);
    if (words[2] === 'trap') {
      // QEMU says nothing of an instruction that could not be fetched.
      if (['0x1', '0xc'].includes(words[3])) continue;
      queue.push({ pc: plain(words[7]), bits: 0, after: [], interrupt: words[3].length === 18 ? words[3] : undefined, line });
      continue;
    }
    const after = [];
    for (let i = 5; i + 1 < words.length; i += 2) if (words[i][0] === 'x') after.push(Number(words[i].slice(1)), plain(words[i + 1]));
    queue.push({ pc: plain(words[3]), bits: parseInt(words[4].slice(3), 16), after, line });
  }
  return bytes.subarray(end);
}

class Comparison {
  constructor(ours, theirs, limit) {
    Object.assign(this, { ours, theirs, limit });
    this.x = Array(32).fill('0');
    this.y = Array(32).fill('0');
    this.excused = new Set();
    this.agreed = 0;
    this.history = [];
    this.partings = new Map();
  }
  difference(registers) {
    for (const register of registers) {
      if (this.x[register] === this.y[register]) this.excused.delete(register);
      else if (!this.excused.has(register)) return register;
    }
    return undefined;
  }
  /** Follows one step of each side; the registers that may have changed since the last comparison. */
  advanceTheirs() {
    const step = this.theirs.peek();
    this.theirs.at++;
    for (let i = 0; i < step.before.length; i += 2) this.y[step.before[i]] = step.before[i + 1];
    return step;
  }
  /** Excuses what an instruction may compute from excused registers, or reads from a masked CSR. */
  excuse(step, registers) {
    const isCsr = (step.bits & 0x7f) === 0x73 && (step.bits >>> 12 & 3) !== 0;
    const entry = isCsr && masked.find((one) => one.csr === step.bits >>> 20);
    if (!entry && !(this.excused.size && sources(step.bits).some((one) => this.excused.has(one)))) return;
    for (const register of registers) {
      if (this.x[register] === this.y[register]) continue;
      this.excused.add(register);
      if (entry) this.partings.set(entry, { times: (this.partings.get(entry)?.times ?? 0) + 1 });
    }
  }
  applyOurs(step) {
    for (let i = 0; i < step.after.length; i += 2) this.x[step.after[i]] = step.after[i + 1];
  }

  async skipBootRom() {
    // Our hart starts behind the boot ROM, with what it leaves in the registers.
    await this.ours.need(1);
    const start = this.ours.peek()?.pc;
    let skipped = 0;
    for (;; skipped++) {
      if (await this.theirs.need(1) === 0 || start === undefined) return 'one side executed nothing';
      this.advanceTheirs();
      if (this.theirs.queue[this.theirs.at - 1].pc === start) break;
    }
    this.theirs.at--;
    this.x = [...this.y];
    console.log(`QEMU's boot ROM: ${skipped} instructions, then 0x${start} with a0 = 0x${this.y[10]}, a1 = 0x${this.y[11]}, a2 = 0x${this.y[12]}`);
  }

  /** Finds where two paths that parted at an access to an allowed CSR meet again. */
  async rejoin(last) {
    const csr = last.bits >>> 20;
    const isCsr = (last.bits & 0x7f) === 0x73 && (last.bits >>> 12 & 3) !== 0;
    const entry = isCsr && allowed.find((one) => csr >= one.first && csr <= one.last);
    if (!entry) return false;
    const far = 2000, same = 24;
    const mine = Math.min(await this.ours.need(far), far), other = Math.min(await this.theirs.need(far), far);
    for (let sum = 1; sum < mine + other; sum++) {
      for (let i = Math.max(0, sum - other + same); i <= Math.min(sum, mine - same); i++) {
        const j = sum - i;
        let k = 0;
        while (k < same && this.ours.peek(i + k).pc === this.theirs.peek(j + k).pc) k++;
        if (k < same) continue;
        for (let skip = 0; skip < i; skip++) {
          this.applyOurs(this.ours.peek());
          this.ours.at++;
        }
        for (let skip = 0; skip < j; skip++) this.advanceTheirs();
        const step = this.theirs.peek();
        for (let n = 0; n < step.before.length; n += 2) this.y[step.before[n]] = step.before[n + 1];
        for (let register = 1; register < 32; register++) if (this.x[register] !== this.y[register]) this.excused.add(register);
        const use = this.partings.get(entry) ?? { times: 0, ours: 0, theirs: 0 };
        this.partings.set(entry, { times: use.times + 1, ours: use.ours + i, theirs: use.theirs + j });
        return true;
      }
    }
    return false;
  }

  /** Undefined if all agree, or what is different. */
  async run() {
    const nothing = await this.skipBootRom();
    if (nothing) return nothing;
    let last;
    const changed = [];
    while (this.agreed < this.limit) {
      const count = Math.min(await this.ours.need(4096), await this.theirs.need(4096));
      if (count === 0) return `a trace ended after ${this.agreed} instructions`;
      for (let i = 0; i < count && this.agreed < this.limit; i++) {
        const mine = this.ours.peek();
        if (mine.interrupt) {
          this.end = `our first interrupt (${mine.interrupt})`;
          return undefined;
        }
        const other = this.theirs.peek();
        if (mine.pc !== other.pc) {
          if (last && await this.rejoin(last)) {
            last = undefined;
            changed.length = 0;
            break;
          }
          return this.describe(`Hartwood is at 0x${mine.pc}, QEMU at 0x${other.pc}`);
        }
        this.advanceTheirs();
        for (let n = 0; n < other.before.length; n += 2) changed.push(other.before[n]);
        if (last) this.excuse(last, changed);
        const register = this.difference(changed);
        if (register !== undefined) return this.describe(`x${register} is 0x${this.x[register]} here and 0x${this.y[register]} in QEMU`);
        changed.length = 0;
        this.applyOurs(mine);
        for (let n = 0; n < mine.after.length; n += 2) changed.push(mine.after[n]);
        this.ours.at++;
        this.history[this.agreed % 12] = mine.line;
        this.agreed++;
        last = mine;
      }
    }
    return undefined;
  }
  describe(what) {
    const lines = Array.from({ length: 12 }, (_, i) => this.history[(this.agreed + i) % 12]).filter(Boolean);
    return `after ${this.agreed} instructions ${what}\n  ${[...lines, `next: ${this.ours.peek().line}`].join('\n  ')}`;
  }
}

await runMain(async (args) => {
  const { options } = readOptions(args, {
    instructions: '1000000', references: defaultReferences, opensbi: '1.6', kernel: join(root, 'build/guest/kernel/Image'),
    hartwood: join(root, 'build/native/hartwood'), plugin: join(root, 'build/native/boot_trace_plugin.so'),
  });
  const qemu = join(options.references, 'bin/qemu-system-riscv64');
  const firmware = join(options.references, `opensbi-${options.opensbi}/fw_dynamic.bin`);
  for (const file of [qemu, firmware, options.kernel, options.hartwood, options.plugin]) {
    if (!existsSync(file)) throw new UserError(`${file} is not there; kernel/fetch-references.sh and the native build make what this test needs`);
  }
  const limit = Number(options.instructions);
  const scratch = makeScratch();
  const children = [];
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(scratch, { recursive: true, force: true });
  });
  const tree = makeTree(qemu, scratch);
  console.log(`one device tree (${readFileSync(tree.file).length} bytes) with ${tree.both.join(' ')}`);
  const pipes = { ours: join(scratch, 'ours'), theirs: join(scratch, 'theirs') };
  execFileSync('mkfifo', [pipes.ours, pipes.theirs]);
  // Some more than are compared: skipped ones, and the look ahead.
  const steps = limit + 100_000;
  const errors = {};
  const start = (name, command, args) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    child.stderr.setEncoding('utf8').on('data', (text) => { errors[name] = ((errors[name] ?? '') + text).slice(-2000); });
    // A program that ends before it opens its pipe would leave the reader waiting.
    child.on('exit', () => spawn('sh', ['-c', ': >"$1" & sleep 1; kill $! 2>/dev/null', 'sh', pipes[name]], { stdio: 'ignore' }));
    child.on('error', (error) => { errors[name] = error.message; });
  };
  const ours = new Steps(pipes.ours, parseOurs), theirs = new Steps(pipes.theirs, parseQemu);
  start('ours', options.hartwood, ['--bios', firmware, '--kernel', options.kernel, '--dtb', tree.file, '--memory', `${memoryMegabytes}M`,
    '--deterministic', '--max-instructions', String(steps), '--trace', pipes.ours]);
  start('theirs', qemu, ['-machine', 'virt', '-cpu', cpu, '-m', `${memoryMegabytes}M`, '-smp', '1', '-bios', firmware, '-kernel', options.kernel,
    '-dtb', tree.file, '-icount', 'shift=1,sleep=off', '-display', 'none', '-serial', 'none', '-monitor', 'none', '-nodefaults',
    '-plugin', `${options.plugin},out=${pipes.theirs},limit=${steps}`]);
  const comparison = new Comparison(ours, theirs, limit);
  const began = performance.now();
  let wrong;
  try {
    wrong = await comparison.run();
  } finally {
    // Whoever waits for its pipe would keep this process.
    for (const child of children) child.kill('SIGKILL');
  }
  console.log(`\nnot compared, and why:\n  boot ROM: our harts start behind it\n  device registers: compared where they are read into a register, as all memory`);
  for (const entry of allowed) {
    const use = comparison.partings.get(entry);
    console.log(`  ${entry.name}: ${entry.reason}${use ? `; parted ${use.times} times, for ${use.ours} instructions here and ${use.theirs} in QEMU` : '; not met'}`);
  }
  for (const entry of masked) console.log(`  ${entry.name}: ${entry.reason}; ${comparison.partings.get(entry)?.times ?? 0} reads differed`);
  console.log(`\n${comparison.agreed} instructions agree in pc and integer registers${comparison.end ? `, up to ${comparison.end}` : ''}; ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const enough = comparison.agreed >= Math.min(limit, 1_000_000);
  if (wrong) console.log(wrong);
  if (wrong && errors.ours) console.log(`Hartwood: ${errors.ours}`);
  if (wrong && errors.theirs) console.log(`QEMU: ${errors.theirs}`);
  const failed = wrong !== undefined || !enough;
  console.log(failed ? '0 passed, 1 failed' : '1 passed, 0 failed');
  process.exit(failed ? 1 : 0);
});
