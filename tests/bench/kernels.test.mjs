// SPDX-License-Identifier: Apache-2.0
// The kernels compute what they say, however they are compiled; what is made of their times.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { firstRun, hartRows, scaling } from '../../tools/bench/harts.mjs';
import { kernelRows, kernels } from '../../tools/bench/kernels.mjs';
import { checkResults, readResults } from '../../tools/bench/numbers.mjs';
import { compileArguments } from '../../tools/bench/programs.mjs';

const folder = mkdtempSync(join(tmpdir(), 'hartwood-kernels-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const allKernels = Object.values(kernels).flat();
const sanitized = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

function compile(name, file, flags = []) {
  execFileSync('gcc', [...compileArguments('host', name, join(folder, file)), ...flags]);
  return (...args) => readResults(execFileSync(join(folder, file), args, { encoding: 'utf8' }));
}

const mask = (1n << 64n) - 1n;
/** The RESULT of a kernel whose turns have these results. */
function folded(turns) {
  const sum = turns.reduce((before, turn) => (before ^ turn) * 0x9e3779b97f4a7c15n & mask, 0n);
  return sum.toString(16).padStart(16, '0');
}
const eachTurn = (result) => folded(Array(8).fill(BigInt(result)));

const expected = {
  sieve() {
    const limit = 2 ** 18;
    let primes = 0n, sum = 0n;
    const crossed = new Uint8Array(limit);
    for (let i = 2; i < limit; i++) {
      if (crossed[i]) continue;
      primes++;
      sum += BigInt(i);
      for (let j = i * i; j < limit; j += i) crossed[j] = 1;
    }
    return eachTurn(sum << 20n | primes);
  },
  sha() {
    const message = Buffer.from(Array.from({ length: 96 << 10 }, (_, i) => i * 167 + (i >> 8)));
    return eachTurn(createHash('sha256').update(message).digest().readBigUInt64BE());
  },
  qsort() {
    const mixed = (x) => {
      x = Math.imul(x ^ x >>> 16, 0x7feb352d);
      x = Math.imul(x ^ x >>> 15, 0x846ca68b);
      return BigInt((x ^ x >>> 16) >>> 0);
    };
    const count = 6000;
    return folded(Array.from({ length: 8 }, (_, turn) => BigInt64Array
      .from({ length: count }, (__, i) => BigInt.asIntN(64, mixed(i + turn * count) << 32n | mixed(~i))).sort()
      .reduce((sum, value) => sum * 3n + value & mask, 0n)));
  },
  fib: () => eachTurn(75025),
  vm() {
    const gcd = (a, b) => (b ? gcd(b, a % b) : a);
    let sum = 0;
    for (let i = 1; i <= 48; i++) for (let j = 1; j <= 48; j++) sum += gcd(i, j);
    return eachTurn(sum);
  },
};

test('kernels compute what they should, optimised and with sanitizers', () => {
  const fast = compile('kernels', 'fast'), checked = compile('kernels', 'checked', sanitized);
  assert.deepEqual(execFileSync(join(folder, 'fast'), { encoding: 'utf8' }).trim().split('\n'), allKernels);
  for (const name of allKernels) {
    const lines = fast(name, '1');
    assert.deepEqual([...lines.keys()], [`${name}_warmup`, name]);
    assert.equal(checked(name, '1').get(name).result, lines.get(name).result, name);
    if (expected[name]) assert.equal(lines.get(name).result, expected[name](), name);
  }
  assert.throws(() => execFileSync(join(folder, 'fast'), ['nothing'], { stdio: 'ignore' }));
});

test('steady speed and the time until it, of given rounds', () => {
  const probe = join(folder, 'probe.c');
  writeFileSync(probe, `
    #include "${new URL('rounds.c', import.meta.url).pathname}"
    const struct Kernel kKernels[] = {{NULL, NULL, NULL}};
    static struct Rounds rounds;
    int main(int argc, char** argv) {
      for (int i = 1; i < argc; i++) rounds.nanoseconds[rounds.count++] = (uint32_t)atoi(argv[i]);
      printf("%.1f %.1f %.1f", steady_round(&rounds), time_to_speed(&rounds), mean_round(&rounds));
    }`);
  execFileSync('gcc', ['-Wall', '-Werror', ...sanitized, '-o', join(folder, 'probe'), probe]);
  const measured = (...times) => execFileSync(join(folder, 'probe'), times.map(String), { encoding: 'utf8' }).split(' ').map(Number);
  const steady = Array(12).fill(100);
  assert.deepEqual(measured(...steady), [100, 0, 100]);
  assert.deepEqual(measured(900, 500, 112, ...steady), [100, 1512, 100]);                        // 112 is not yet nine tenths
  assert.deepEqual(measured(900, 500, 111, ...steady), [100, 1400, 100]);
  assert.deepEqual(measured(900, 100, 700, 700, 700, ...steady), [100, 3100, 100]);              // one fast round is no speed
  assert.deepEqual(measured(100, 400, 100, 100, 100, ...steady, 2198, 2), [100, 0, 300]);         // nor a slow one its end
});

test('two processors', { skip: availableParallelism() < 2 && 'needs two' }, () => {
  const harts = compile('harts', 'harts', sanitized), { result } = compile('kernels', 'one')('fib', '1').get('fib');
  const scaled = harts('scale', 'fib', '5'), moved = harts('move', 'fib', '5');
  assert.deepEqual([...scaled.keys()], ['fib_alone0', 'fib_alone1', 'fib_both0', 'fib_both1']);
  assert.deepEqual([...moved.keys()], ['fib_hot', 'fib_first', 'fib_early', 'fib_there']);
  for (const line of [...scaled.values(), ...moved.values()]) assert.equal(line.result, result);
});

const lines = (values) => readResults(Object.entries(values).map(([name, time]) => `bench ${name} ${time} ${'0'.repeat(15)}1\n`).join(''));

test('all sides must agree', () => {
  const same = [lines({ a: 1, b: 2 })], other = [readResults(`bench a 1 ${'0'.repeat(15)}1\nbench b 1 ${'0'.repeat(15)}2\n`)];
  checkResults({ x: same, y: same }, ['a', 'b'], {});
  checkResults({ x: same, y: other }, ['a'], {});
  assert.throws(() => checkResults({ x: same, y: other }, ['a', 'b'], { x: 'X', y: 'Y' }), /b computes 0+2 on Y and 0+1 on X/);
});

test('rows of kernels: ratios of medians, means of classes, the worst one', () => {
  const side = (time, warmup, more = {}) => [lines({
    ...Object.fromEntries(allKernels.flatMap((name) => [[name, time], [`${name}_warmup`, warmup]])), ...more,
  })];
  const runs = {
    page: [...side(100000, 120000, { vm: 400000 }), ...side(100000, 120000, { vm: 400000 }), ...side(900000, 1, { vm: 1 })],
    qemu: side(200000, 30000), newest: side(400000, 1), wasm32: side(50000, 1),
  };
  const rows = new Map(kernelRows(runs, { qemu: '7.2.1', newest: '10.0.2' }).map((each) => [each.what, each]));
  const near = (what, value, met) => {
    assert.ok(Math.abs(rows.get(what).value - value) < 1e-9, `${what}: ${rows.get(what).value}`);
    assert.equal(rows.get(what).met, met, what);
  };
  near('integer kernel sha, Chromium, a round', 1, null);
  assert.equal(rows.get('integer kernel sha, Chromium, a round').note, 'x 0.50; x 0.25 QEMU 10.0.2; x 2.00 wasm32; at speed after 120 ms, QEMU 30 ms');
  near('integer kernels, Chromium: time', 0.5, true);
  near('float kernels, Chromium: time', 0.5, false);
  near('indirect kernels, Chromium: time', 1, false);  // 2 and 0.5
  near('all kernels, Chromium: time', 0.5 * 4 ** (1 / 12), false);
  near('the slowest kernel beside QEMU, Chromium: time', 2, false);
  assert.equal(rows.get('the slowest kernel beside QEMU, Chromium: time').note, 'vm');
  near('all kernels, Chromium: time beside wasm32', 2 * 4 ** (1 / 12), true);
  near('from the first execution to 90 % of steady speed, Chromium', 120, true);
});

test('rows of two harts', () => {
  const side = (both, first) => [lines({
    core_alone0: 100, core_alone1: 100, core_both0: both, core_both1: both,
    ...Object.fromEntries(['sieve', 'core', 'vm', 'matmul'].flatMap((name) => ['first', 'early', 'there'].map((what) => [`${name}_${what}`, what === 'first' ? first : 100]))),
    vm_first: first + 20,
  })];
  assert.equal(scaling(side(100, 0)[0], 'core'), 1);
  assert.equal(scaling(side(200, 0)[0], 'core'), 0.5);
  assert.equal(firstRun(side(100, 140)[0], 'vm'), 1.6);
  const [scaled, first] = hartRows({ page: side(160, 140), qemu: side(200, 300), host: side(125, 0) });
  assert.ok(Math.abs(scaled.value - 125 / 160) < 1e-9 && scaled.met === false);
  assert.ok(Math.abs(scaled.reference - 125 / 200) < 1e-9);
  assert.deepEqual([first.value, first.reference, first.met], [1.6, 3.2, false]);
});
