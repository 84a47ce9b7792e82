// SPDX-License-Identifier: Apache-2.0
// Our symbols against those of binutils: what build/native/hartwood_symbols says about an address must be what
// `addr2line -f -i` says, function, file and line of every inlined call; and our rules of call frames what readelf reads.
// Small programs at every address; Debian's C library, with its split debug file, and our kernel with debug information
// at 10,000 random ones.
//
//   node --test tests/debug/symbols.mjs          needs build/native, build/guest/debug-libc (npm test)
// The kernel takes minutes to build and is not in `npm test`: `npm run test:long -- --only symbols-kernel` builds it, once, and
// compares; from then on it is compared here too. DEBUG_KERNEL=1: it has to be there. SEED: for other addresses (1).
//
// Where the two may differ, because addr2line of binutils 2.40 is wrong. Each such place is held against readelf's decoded
// lines, which another reader of the same binutils makes:
//   - in DWARF 5 it starts each sequence of lines with file 0, where the standard says 1 ("file" register: 1);
//   - it knows no line for the first address of some units, and gives the symbol before;
// and where it means something else:
//   - in a function without a DIE, it names the nearest label, we the function whose size covers the address;
//   - for a place without a line, it prints the file that the symbol table was made from (which may be ""), we "??".
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const binary = join(root, 'build/native/hartwood_symbols');
const fixtures = join(root, 'build/native/debug-fixtures');
const libc = join(root, 'build/guest/debug-libc');
const kernel = join(root, 'build/guest/debug-kernel/vmlinux');
const prefix = 'riscv64-linux-gnu-';
const kAddresses = 10000;

/** Runs a program and hands each line of its output to `each`. Fails if it does. */
function lines(program, args, input, each) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let rest = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop();
      parts.forEach(each);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => { errors = (errors + text).slice(-4000); });
    child.stdin.on('error', () => {});  // one that has ended reads no more: its exit code tells
    child.on('error', fail);
    child.on('close', (code) => {
      if (rest) each(rest);
      if (code !== 0) fail(new Error(`${program} ${args.join(' ')}: ${code}: ${errors}`));
      else done(errors);
    });
    child.stdin.end(input);
  });
}

/** A small generator of random numbers below 2^32, so that a seed is one set of addresses. */
function random(seed) {
  let state = BigInt(seed) * 2654435769n + 1n;
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(state >> 32n);
  };
}

/** The executable sections of a file: {name, address, bytes}. */
async function codeOf(file) {
  const sections = [];
  await lines(`${prefix}readelf`, ['-SW', file], '', (line) => {
    const match = line.match(/^ +\[ *\d+\] (\S+) +\S+ +([0-9a-f]{16}) [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +(\w+) /);
    if (match?.[4].includes('A') && match[4].includes('X')) sections.push({ name: match[1], address: BigInt(`0x${match[2]}`), bytes: parseInt(match[3], 16) });
  });
  assert.notEqual(sections.length, 0, `${file} has no code`);
  return sections;
}

/** So many random even addresses of code, each once; or all of them, if `count` is not given. */
function addressesIn(sections, count) {
  const total = sections.reduce((sum, each) => sum + each.bytes, 0);
  const at = (offset) => {
    for (const each of sections) {
      if (offset < each.bytes) return each.address + BigInt(offset & ~1);
      offset -= each.bytes;
    }
    throw new Error('outside');
  };
  const found = new Set();
  if (count === undefined) for (let i = 0; i < total; i += 2) found.add(at(i));
  const next = random(Number(process.env.SEED ?? 1));
  while (count !== undefined && found.size < count) found.add(at(next() % total));
  return [...found];
}

const hex = (address) => `0x${address.toString(16).padStart(16, '0')}`;

/** address -> [{function, file, line}], from either program. */
async function framesFrom(program, args, addresses) {
  const places = new Map();
  let current;
  let name;
  const errors = await lines(program, args, addresses.map((each) => `${each.toString(16)}\n`).join(''), (line) => {
    if (/^0x[0-9a-f]{16}$/.test(line)) {
      current = [];
      places.set(line, current);
      name = undefined;
    } else if (name === undefined) {
      name = line;
    } else {
      const match = line.match(/^(.*):(\d+|\?)(?: \(discriminator \d+\))?$/);
      assert.ok(match, `${program} printed ${line}`);
      current.push({ name, file: match[1], line: match[2] === '0' ? '?' : match[2] });
      name = undefined;
    }
  });
  assert.equal(places.size, addresses.length);
  return { places, errors };
}

/** The rows of readelf's decoded lines for some addresses: address -> {file (its last part), line}. */
async function rowsFor(file, addresses) {
  const rows = [];
  await lines(`${prefix}readelf`, ['-W', '--debug-dump=decodedline', file], '', (line) => {
    const match = line.match(/^(\S.*?) +(\d+|-) +(?:0x)?([0-9a-f]+)(?:\[\d+\])?(?: +\d+)?(?: +x)?(?: +END)?$/);
    if (match) rows.push({ file: match[1].split('/').pop(), line: match[2], at: BigInt(`0x${match[3]}`), order: rows.length });
  });
  // Where one sequence ends and another begins, the one that begins counts.
  const ends = (row) => row.line === '-';
  rows.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : ends(a) !== ends(b) ? (ends(a) ? -1 : 1) : a.order - b.order));
  return new Map(addresses.map((address) => {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].at <= address) low = middle + 1; else high = middle;
    }
    return [hex(address), low === 0 || ends(rows[low - 1]) ? undefined : rows[low - 1]];
  }));
}

/** Sized functions: whether `name` is one that covers the address. */
async function symbolsOf(file) {
  const symbols = new Map();
  await lines(`${prefix}nm`, ['-S', file], '', (line) => {
    const match = line.match(/^([0-9a-f]+) ([0-9a-f]+) \w (.*)$/);
    if (!match) return;
    if (!symbols.has(match[3])) symbols.set(match[3], []);
    symbols.get(match[3]).push({ low: BigInt(`0x${match[1]}`), high: BigInt(`0x${match[1]}`) + BigInt(`0x${match[2]}`) });
  });
  return (name, address) => symbols.get(name)?.some((each) => address >= each.low && address < each.high) ?? false;
}

const same = (a, b) => a.name === b.name && a.file === b.file && a.line === b.line;

/** Compares all addresses; every difference must be one of those in this file's head. Returns how many there were of each. */
async function compare(t, debugFile, ourArgs, addresses, theirArgs = ['-e', debugFile]) {
  const theirs = await framesFrom(`${prefix}addr2line`, ['-a', '-f', '-i', ...theirArgs], addresses);
  const ours = await framesFrom(binary, ourArgs, addresses);
  const different = addresses.filter((address) => {
    const [a, b] = [theirs.places.get(hex(address)), ours.places.get(hex(address))];
    return a.length !== b.length || !a.every((each, i) => same(each, b[i]));
  });
  const counts = { same: addresses.length - different.length, 'file 0 for file 1': 0, 'line not known': 0, 'no line': 0, label: 0 };
  const wrong = [];
  if (different.length !== 0) {
    const rows = await rowsFor(debugFile, different);
    const covers = await symbolsOf(debugFile);
    for (const address of different) {
      const [a, b] = [theirs.places.get(hex(address)), ours.places.get(hex(address))];
      const row = rows.get(hex(address));
      const confirmed = row && b[0].file.split('/').pop() === row.file && b[0].line === row.line;
      // Only the file of the place itself, whose line is equal, or whose callers are.
      if (a.length === b.length && confirmed && a[0].name === b[0].name && a[0].line === b[0].line && a.slice(1).every((each, i) => same(each, b[i + 1])))
        counts['file 0 for file 1']++;
      else if (a.length === 1 && b.length === 1 && confirmed && a[0].line === '?' && covers(b[0].name, address))
        counts['line not known']++;
      else if (a.length === 1 && b.length === 1 && a[0].name === b[0].name && a[0].line === '?' && b[0].line === '?' && b[0].file === '??')
        counts['no line']++;
      else if (a.length === 1 && b.length === 1 && (a[0].file === b[0].file || b[0].file === '??') && a[0].line === b[0].line && !covers(a[0].name, address) && covers(b[0].name, address))
        counts.label++;
      else
        wrong.push(`${hex(address)}: addr2line ${JSON.stringify(a)}, we ${JSON.stringify(b)}`);
    }
  }
  t.diagnostic(`${addresses.length} addresses: ${Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', ')}`);
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} of ${addresses.length} addresses differ`);
  return counts;
}

const abi = ['zero', 'ra', 'sp', 'gp', 'tp', 't0', 't1', 't2', 's0', 's1', ...Array.from({ length: 8 }, (_, i) => `a${i}`),
  ...Array.from({ length: 10 }, (_, i) => `s${i + 2}`), 't3', 't4', 't5', 't6'];

/** Every row of readelf's interpreted frames against our rules. */
async function compareFrames(t, file, section) {
  const rows = new Map();
  let columns;
  let wanted = false;
  await lines(`${prefix}readelf`, ['-W', '--debug-dump=frames-interp', file], '', (line) => {
    if (line.startsWith('Contents of')) wanted = line.includes(section);
    if (/^ +LOC /.test(line)) columns = line.trim().split(/ +/);
    const cells = line.trim().split(/ +/);
    // The row of a CIE is at address 0.
    if (wanted && columns && /^[0-9a-f]{16}$/.test(cells[0]) && cells.length === columns.length && !/^0+$/.test(cells[0])) rows.set(`0x${cells[0]}`, { columns, cells });
  });
  assert.ok(rows.size > 10, 'readelf has rows');
  let checked = 0;
  await lines(binary, ['--rules', file], [...rows.keys()].map((each) => `${each.slice(2)}\n`).join(''), (line) => {
    const [address, cfa, ...rules] = line.split(' ');
    const { columns: names, cells } = rows.get(`0x${address}`);
    const ours = new Map(rules.map((each) => each.split('=')));
    const theirCfa = cells[1].replace(/^([a-z]\w*)(?=[+-])/, (name) => `x${abi.indexOf(name)}`);
    const all = [`cfa ${theirCfa}`];
    const mine = [`cfa ${cfa}`];
    for (const [i, name] of names.entries()) {
      const number = abi.indexOf(name);
      if (i < 2 || number < 0) continue;  // the address, the CFA, and registers that are not ours
      all.push(`${name} ${cells[i]}`);
      mine.push(`${name} ${ours.get(`x${number}`) ?? 'u'}`);
      ours.delete(`x${number}`);
    }
    assert.deepEqual(mine, all, `rules at ${address}`);
    assert.deepEqual([...ours.keys()], [], `rules at ${address} that readelf does not have`);
    checked++;
  });
  assert.equal(checked, rows.size);
  t.diagnostic(`${checked} rows of ${section}`);
}

test('small programs of every version, at every address', async (t) => {
  const names = readdirSync(fixtures).filter((name) => /^(dwarf\d|compressed|shared|frames|types|lto)\.elf$/.test(name));
  assert.equal(names.length, 9);
  for (const name of names) {
    await t.test(name, async (inner) => {
      const file = join(fixtures, name);
      const counts = await compare(inner, file, [file], addressesIn(await codeOf(file)));
      if (name !== 'lto.elf') assert.equal(counts.same, Object.values(counts).reduce((sum, each) => sum + each));
    });
  }
});

test('an object file, whose sections are placed', async (t) => {
  for (const name of ['module.o', 'module4.o']) {
    await t.test(name, async (inner) => {
      const file = join(fixtures, name);
      const text = (await codeOf(file)).filter((each) => each.name === '.text');
      const away = (await codeOf(file)).filter((each) => each.name !== '.text').map((each, i) => ['--place', `${each.name}=${(0x100000 * (i + 1)).toString(16)}`]);
      await compare(inner, file, [...away.flat(), file], addressesIn(text), ['-j', '.text', '-e', file]);
    });
  }
});

test('frames of small programs', async (t) => {
  for (const [name, section] of [['dwarf5.elf', '.eh_frame'], ['shared.elf', '.eh_frame'], ['frames.elf', '.debug_frame']])
    await compareFrames(t, join(fixtures, name), section);
});

test("Debian's C library with its split debug file", async (t) => {
  const debug = join(libc, 'libc.so.6.debug');
  const addresses = addressesIn(await codeOf(debug), kAddresses);
  const counts = await compare(t, debug, ['--debug', debug, join(libc, 'libc.so.6')], addresses);
  assert.ok(counts.same > 0.9 * kAddresses, `${counts.same} the same`);
});

test("frames of Debian's C library", (t) => compareFrames(t, join(libc, 'libc.so.6'), '.eh_frame'));

const noKernel = !existsSync(kernel) && !process.env.DEBUG_KERNEL && 'not built: npm run test:long -- --only symbols-kernel';
test('our kernel with debug information', { skip: noKernel }, async (t) => {
  assert.ok(existsSync(kernel), 'build/guest/debug-kernel/vmlinux is there');
  const counts = await compare(t, kernel, [kernel], addressesIn(await codeOf(kernel), kAddresses));
  assert.ok(counts.same > 0.9 * kAddresses, `${counts.same} the same`);
});
