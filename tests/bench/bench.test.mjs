// SPDX-License-Identifier: Apache-2.0
// The benchmark's own parts that need neither guest nor browser.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { serve } from '../../tools/serve.mjs';
import { cpuShare } from '../../tools/bench/cpu-time.mjs';
import { startCountingProxy } from '../../tools/bench/counting-proxy.mjs';
import { appendFiles } from '../../tools/bench/guest-archive.mjs';
import { dispersedRows } from '../../tools/bench/dispersed.mjs';
import { latencyRows } from '../../tools/bench/latency.mjs';
import { mainThreadRows, mainThreadTasks } from '../../tools/bench/main-thread.mjs';
import { memoryRows, residentBytes } from '../../tools/bench/memory.mjs';
import { chooseWorkloads, workloadRows, workloads } from '../../tools/bench/workloads.mjs';
import { formatTable, geometricMean, median, promptPattern, readResult, resultPattern, row } from '../../tools/bench/numbers.mjs';

function withFolder(body) {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-bench-'));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('an appended archive is one that cpio reads', () => withFolder((folder) => {
  const data = Buffer.from('seven b');
  const archive = appendFiles(Buffer.alloc(0), { 'root/a': data, 'root/longer-name': Buffer.alloc(5000, 7) });
  assert.equal(archive.length % 512, 0);
  execFileSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames'], { cwd: folder, input: archive });
  assert.deepEqual(readFileSync(join(folder, 'root/a')), data);
  assert.deepEqual(readFileSync(join(folder, 'root/longer-name')), Buffer.alloc(5000, 7));
  const before = Buffer.alloc(700, 1);
  const both = appendFiles(before, { 'root/a': data });
  assert.deepEqual(both.subarray(0, 700), before);
  assert.equal(both.toString('latin1', 1024, 1030), '070701');
  assert.equal(both.indexOf(data) % 8, 0);
}));

test('result lines are found in what a console prints', () => {
  const text = 'root@hartwood:~# ~/bench sort 4\r\nbench sort 1250000 7af72aab856b40a1\r\nroot@hartwood:~# \x1b[6n';
  assert.ok(resultPattern.test(text));
  assert.ok(promptPattern.test(text));
  assert.deepEqual(readResult(text), { name: 'sort', seconds: 1.25, result: '7af72aab856b40a1' });
  assert.equal(resultPattern.test('root@hartwood:~# ~/bench sort 4\r\n'), false);
  assert.equal(readResult('bench sort x 1'), undefined);
});

test('the rows of interrupt latency', () => {
  const round = (...microseconds) => new Map(['median', 'p99', 'worst'].map((share, i) => [`latency_${share}`, { seconds: microseconds[i] / 1e6 }]));
  const rows = latencyRows({ page: [round(20, 1500, 2000), round(30, 900, 4000), round(10, 300, 5000)], qemu: [round(10, 100, 1000)] });
  assert.deepEqual(rows.map(({ value, reference, target, met }) => [value, reference, target, met]), [
    [0.02, 0.01, null, null], [0.9, 0.1, 1, true], [4, 1, null, null],
  ]);
});

test('the tasks of a main thread in a trace', () => {
  const of = (tid) => (name, ts, dur, more = {}) => ({ ph: 'X', pid: 5, tid, name, ts, dur, ...more });
  const main = of(1), other = of(2);
  const tasks = mainThreadTasks([
    { ph: 'M', pid: 5, tid: 1, name: 'thread_name', args: { name: 'CrRendererMain' } },
    { ph: 'M', pid: 5, tid: 2, name: 'thread_name', args: { name: 'DedicatedWorker thread' } },
    main('ThreadControllerImpl::RunTask', 0, 9000, { tdur: 3000 }), main('ParseHTML', 100, 500), main('EvaluateScript', 700, 2000),
    main('RunTask', 10_000, 20_000, { tdur: 17_000 }), other('RunTask', 0, 90_000),
  ]);
  assert.deepEqual(tasks, [{ milliseconds: 17, what: 'RunTask' }, { milliseconds: 3, what: 'EvaluateScript' }]);
  const [shown] = mainThreadRows([tasks, tasks.slice(1), tasks]);
  assert.deepEqual([shown.value, shown.met], [17, false]);
});

test('the rows of memory and of dispersed code', () => {
  assert.deepEqual(memoryRows({ few: [100e6, 300e6, 200e6], many: [230e6] }).map(({ value, met }) => [Math.round(value), met]), [[200, null], [10, true]]);
  const round = (few, many) => new Map([['dispersed2000', { seconds: few / 1e6 }], ['dispersed20000', { seconds: many / 1e6 }]]);
  const rows = dispersedRows({ page: [round(40, 900)], interpreter: [round(50, 800)], qemu: [round(20, 100)] });
  assert.deepEqual(rows.map(({ value, target, met }) => [value, target, met]), [[2, 3, true], [9, 6, false]]);
});

test('the rows of workloads', () => {
  const results = (gzip, gcc) => new Map([['gzip', { seconds: gzip }], ['gcc', { seconds: gcc }]]);
  const made = (first, second) => new Map([['make1', { seconds: first }], ['make2', { seconds: second }]]);
  const rows = workloadRows({
    one: { page: [results(2, 6)], qemu: [results(4, 3)], newest: [results(4, 6)] }, two: { page: [made(4, 2)], qemu: [made(4, 2)] },
  }, { qemu: '7', newest: '10' });
  assert.deepEqual(rows.slice(2).map(({ value, met }) => [Math.round(value * 100) / 100, met]), [[1, false], [0.71, true], [2, false], [1, true]]);
  assert.equal(rows[4].note, 'gcc -O1 of a file of 2,000 lines');
});

test('workloads are chosen by name', () => {
  assert.deepEqual(chooseWorkloads('gcc,gzip'), ['gzip', 'gcc']);
  assert.deepEqual(chooseWorkloads(''), Object.keys(workloads));
  assert.throws(() => chooseWorkloads('gcc,toString'), /no workload toString; there are: exec1000 /);
});

test("the workloads' inputs are the same each time", () => withFolder((folder) => {
  const program = join(folder, 'inputs');
  execFileSync('gcc', ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wall', '-Wextra', '-Werror', '-o', program, new URL('inputs.c', import.meta.url).pathname]);
  const make = (...args) => execFileSync(program, args, { maxBuffer: 1 << 24 });
  assert.equal(make('text', '100000').length, 100000);
  assert.equal(make('lines', '5000').toString().split('\n').length, 5001);
  assert.ok(make('sql', '100').toString().includes("INSERT INTO item VALUES (99, '"));
  const file = join(folder, 'file.c');
  writeFileSync(file, make('c', '2000', '1'));
  assert.ok(Math.abs(readFileSync(file, 'utf8').split('\n').length - 2000) < 30);
  execFileSync('gcc', ['-O1', '-Wall', '-Werror', '-c', '-o', join(folder, 'file.o'), file]);
  assert.notDeepEqual(make('c', '200', '1'), make('c', '200', '2'));
  assert.throws(() => execFileSync(program, ['numbers', '3'], { stdio: 'ignore' }));
}));

test('what is timed: a hash of the output, and failures', () => withFolder((folder) => {
  const program = join(folder, 'timed');
  execFileSync('gcc', ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wall', '-Wextra', '-Werror', '-o', program, new URL('timed.c', import.meta.url).pathname]);
  const timed = (...args) => readResult(execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  assert.equal(timed('same', 'seq', '100000').result, timed('same', 'sh', '-c', 'seq 50000; sleep 0.05; seq 50001 100000').result);
  assert.notEqual(timed('other', 'seq', '100000').result, timed('other', 'seq', '100001').result);
  // Every byte counts, wherever it stands, and so does the length.
  const text = 'the quick brown fox';
  const altered = Array.from(text, (_, at) => `${text.slice(0, at)}#${text.slice(at + 1)}`);
  const written = [text, ...altered, text.slice(1), text.slice(0, -1), `${text}\\0`];
  assert.equal(new Set(written.map((each) => timed('text', 'printf', each).result)).size, written.length);
  assert.ok(timed('sleep', 'sh', '-c', 'sleep 0.2; echo done').seconds >= 0.2);
  assert.throws(() => timed('failure', 'sh', '-c', 'echo done; exit 3'));
  assert.throws(() => timed('silence', 'true'));
  assert.throws(() => timed('nothing', join(folder, 'nothing')));
}));

test('what a process has resident', () => {
  const own = residentBytes(process.pid);
  assert.ok(own > 10e6 && own < 4e9, `${own}`);
  assert.equal(residentBytes(999_999_999), 0);
});

test('medians and means', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.throws(() => median([]), RangeError);
  assert.ok(Math.abs(geometricMean([1, 4, 16]) - 4) < 1e-12);
});

test('a row knows whether it met its target', () => {
  assert.equal(row('g', 'w', 5, { unit: 'ms', target: 5 }).met, true);
  assert.equal(row('g', 'w', 6, { unit: 'ms', target: 5 }).met, false);
  assert.equal(row('g', 'w', 6, { unit: 'MIPS', target: 5, atLeast: true }).met, true);
  assert.equal(row('g', 'w', 4, { unit: 'MIPS', target: 5, atLeast: true }).met, false);
  assert.equal(row('g', 'w', 4, { unit: 'ms' }).met, null);
  assert.equal(row('g', 'w', null, { unit: 'ms', target: 5 }).met, null);
  const lines = formatTable([row('g', 'fast', 6, { unit: 'ms', target: 5, note: 'n' }), row('g', 'unknown', null, { unit: 'min' })]).split('\n');
  assert.match(lines[1], /^fast +6 +ms +- +<= 5 +NO +n$/);
  assert.match(lines[2], /^unknown +- +min +-$/);
});

test('the share of a core that a process tree uses', async () => {
  const idle = await cpuShare(999_999_999, 0.05);
  assert.deepEqual(idle, { total: 0, parts: [] });
  const busy = cpuShare(process.pid, 0.3);
  const end = performance.now() + 300;
  while (performance.now() < end);
  const { total, parts } = await busy;
  assert.ok(total > 0.02 && total < 3, `${total}`);
  assert.match(parts[0].name, /^node/);
});

test("the guest's programs compute the same wherever they run", () => withFolder((folder) => {
  const program = join(folder, 'bench');
  const source = new URL('bench.c', import.meta.url).pathname;
  // The first constant of SHA-256 comes out of the program's own cube root: checked through a second build that prints it.
  const probe = join(folder, 'probe.c');
  writeFileSync(probe, `#define main unused_main\n#include "${source}"\n#undef main\nint main(void) { printf("%08x %08x", cube_root_fraction(2), cube_root_fraction(311)); return 0; }\n`);
  execFileSync('gcc', ['-O1', '-w', '-o', program, probe, '-lm']);
  assert.equal(execFileSync(program, { encoding: 'utf8' }), '428a2f98 c67178f2');
  execFileSync('gcc', ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-Wall', '-Wextra', '-Werror', '-o', program, source, '-lm']);
  const names = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  assert.ok(names.includes('sieve') && names.includes('none'));
  const results = new Map(names.map((name) => [name, readResult(execFileSync(program, [name, '40'], { encoding: 'utf8' }))]));
  for (const [name, result] of results) assert.equal(result?.name, name);
  assert.equal(results.get('syscall').result, (200000 / 40).toString(16).padStart(16, '0'));  // each call gave the same answer
  assert.equal(results.get('pipe').result, (8000 / 40 * 256).toString(16).padStart(16, '0'));
  assert.throws(() => execFileSync(program, ['nothing'], { stdio: 'ignore' }));
}));

test('downloads are counted as sent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-bench-'));
  writeFileSync(join(folder, 'index.html'), 'x'.repeat(1000));
  writeFileSync(join(folder, 'index.html.gz'), gzipSync('x'.repeat(1000)));
  const server = await serve({ root: folder, port: 0 });
  const proxy = await startCountingProxy(server.url);
  try {
    const packed = await fetch(proxy.url, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(await packed.text(), 'x'.repeat(1000));
    assert.equal(packed.headers.get('Cross-Origin-Opener-Policy'), 'same-origin');
    await (await fetch(proxy.url, { headers: { 'Accept-Encoding': 'identity' } })).text();
    assert.deepEqual(proxy.files, [{ name: 'index.html', bytes: gzipSync('x'.repeat(1000)).length }, { name: 'index.html', bytes: 1000 }]);
  } finally {
    await proxy.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
