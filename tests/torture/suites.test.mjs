// SPDX-License-Identifier: Apache-2.0
// The judgement of the torture suites: what passes, and that each thing that can be wrong is seen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judge, suiteNames, suites } from './suites.mjs';

const script = readFileSync(new URL('torture.sh', import.meta.url), 'utf8');

const framed = (said, log) => `torture: suite x, 2 harts\n${said}torture: kernel log\n[    0.0] rcu: Preemptible hierarchical RCU implementation.\n${log}torture: done\n`;

const rcuRun = (type, seconds = 30) => [
  `torture: begin rcutorture ${type} ${seconds} s: nreaders=4 onoff_interval=150`,
  `${type}-torture:--- Start of test: nreaders=4 stall_cpu=0 stall_cpu_holdoff=10 shutdown_secs=0`,
  '??? nothing of this matters',
  `${type}-torture: rtc: 0123 ver: 12 tfle: 0 rtmbe: 0 rtmbkf: 0/9 rtbe: 0 nt: 7 onoff: 1/1:1/1 1,2:3,4 5:6 (HZ=100) barrier: 5/5:0`,
  `${type}-torture: Reader Pipe:  1000 3 0 0 0 0 0 0 0 0 0`,
  `${type}-torture: rtc: 0000 VER: 34 tfle: 0 rtmbe: 0 rtmbkf: 0/30 rtbe: 0 nt: 9 onoff: 5/5:6/6 1,2:3,4 5:6 (HZ=100) barrier: 9/9:0`,
  `${type}-torture: Reader Pipe:  5000 3 0 0 0 0 0 0 0 0 0`,
  `${type}-torture:--- End of test: SUCCESS: nreaders=4 stall_cpu=0`,
  `torture: end rcutorture ${type}`,
].map((line, i) => `[   ${i}.000000] ${line}\n`).join('');
const rcu = framed('', rcuRun('rcu') + rcuRun('srcu'));

const locks = framed('', suites.locktorture.modules.locktorture.map((type) => [
  `torture: begin locktorture ${type} 8 s: onoff_interval=1`,
  `Writes:  Total: 70  Max/Min: 40/3 ??? Fail: 0 `,
  ...(/^rw|rwsem/.test(type) ? ['Reads :  Total: 20  Max/Min: 9/3 ??? Fail: 0 '] : []),
  `${type}-torture:--- End of test: SUCCESS: long_hold=100`,
  `torture: end locktorture ${type}`,
].map((line, i) => `[   ${i}.000000] ${line}\n`).join('')).join(''));

const forks = framed([
  'torture: begin stress-ng 60 s: --fork 2 --vfork 1 --clone 1',
  'stress-ng: info:  [54] dispatching hogs: 2 fork, 1 vfork, 1 clone',
  'stress-ng: metrc: [54] stressor       bogo ops real time  usr time  sys time',
  ...['fork', 'vfork', 'clone'].map((name) => `stress-ng: metrc: [54] ${name.padEnd(10)}  1300     60.02      0.18     10.80`),
  'stress-ng: info:  [54] skipped: 0',
  'stress-ng: info:  [54] passed: 4: fork (2) vfork (1) clone (1)',
  'stress-ng: info:  [54] failed: 0',
  'torture: end stress-ng, exit status 0',
].map((line) => `${line}\n`).join(''), '[    0.1] torture: begin stress-ng 60 s: --fork 2 --vfork 1 --clone 1\n');

test('suites that have passed, with what they counted', () => {
  assert.deepEqual(judge('rcutorture', rcu, 60), { problems: [], ran: [
    'rcutorture rcu 30 s: 34 updates, 5000 reads, 30 checks of order, 6 harts stopped',
    'rcutorture srcu 30 s: 34 updates, 5000 reads, 30 checks of order, 6 harts stopped',
  ] });
  assert.deepEqual(judge('locktorture', locks, 60).problems, []);
  assert.ok(judge('locktorture', locks, 60).ran.includes('locktorture rwsem_lock 8 s: 70 writes, 20 reads'));
  assert.deepEqual(judge('fork', forks, 60), { problems: [], ran: [
    'stress-ng fork x 2 60.02 s: 1300 operations', 'stress-ng vfork x 1 60.02 s: 1300 operations', 'stress-ng clone x 1 60.02 s: 1300 operations',
  ] });
  assert.deepEqual(judge('fork', forks.replaceAll('\n', '\r\n'), 60).problems, []);
});

/** [suite, its output, what is replaced, by what, what the judgement says] */
const wrong = [
  ['rcutorture', rcu, 'End of test: SUCCESS', 'End of test: FAILURE', /rcu says: FAILURE/],
  ['rcutorture', rcu, 'End of test: SUCCESS', 'End of test: RCU_HOTPLUG', /rcu says: RCU_HOTPLUG/],
  ['rcutorture', rcu, 'rcu-torture:--- End of test: SUCCESS', 'rcu-torture: stopping', /rcu says: nothing/],
  ['rcutorture', rcu, 'torture: end rcutorture srcu\n', '', /srcu did not come to its end/],
  ['rcutorture', rcu, 'Reader Pipe:  5000', 'Reader Pipe:  0', /rcu: no reads/],
  ['rcutorture', rcu, 'onoff: 5/5:6/6', 'onoff: 0/0:0/6', /rcu: no harts stopped/],
  ['rcutorture', rcu, 'rtmbkf: 0/30', 'rtmbkf: 0/0', /rcu: no checks of order/],
  ['rcutorture', rcu, 'rcu-torture: Reader Pipe', 'rcu-torture: !!! Reader Pipe', /the log says: .*!!! Reader Pipe/],
  ['rcutorture', rcu, '??? nothing', 'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:', /the log says: .*detected stalls/],
  ['rcutorture', rcu, '??? nothing', '??? Writer stall state RTWS_SYNC(3)', /the log says: .*Writer stall/],
  ['rcutorture', rcu, '??? nothing', 'rcu-torture: torture_onoff task: offline 1 failed: errno -16', /the log says: .*offline 1 failed/],
  ['rcutorture', rcu, '??? nothing', 'rcu: rcu_preempt kthread timer wakeup starved', /the log says: .*starved/],
  ['rcutorture', rcu, '30 s: nreaders', '3 s: nreaders', /it was to run for 60 s, and ran for 33 s/],
  ['rcutorture', rcu, 'torture: done\n', '', /the suite did not come to its end/],
  ['locktorture', locks, 'Total: 70', 'Total: 0', /spin_lock_irq: no writes/],
  ['locktorture', locks, 'Total: 20', 'Total: 0', /rw_lock_irq: no reads/],
  ['locktorture', locks, 'Fail: 0 ', 'Fail: 1 !!!', /the log says: .*Fail: 1 !!!/],
  ['locktorture', locks, 'End of test: SUCCESS', 'End of test: LOCK_HOTPLUG', /spin_lock_irq says: LOCK_HOTPLUG/],
  ['fork', forks, 'exit status 0', 'exit status 2', /exit status is 2/],
  ['fork', forks, 'failed: 0', 'failed: 1: fork (1)', /counts 1 failed/],
  ['fork', forks, 'fork (2)', 'fork (1)', /of fork, not 2 passed/],
  ['fork', forks, ' vfork (1)', '', /of vfork, not 1 passed/],
  ['fork', forks, '1300', '0', /fork did nothing/],
  ['fork', forks, 'stress-ng: info:  [54] skipped', 'stress-ng: fail:  [60] fork: wrong child\nstress-ng: info:  [54] skipped', /stress-ng says: fork: wrong child/],
  ['fork', forks, 'torture: end stress-ng, exit status 0', '', /stress-ng did not come to its end/],
  ['fork', forks, 'stress-ng 60 s', 'stress-ng 6 s', /it was to run for 60 s, and ran for 6 s/],
  ...['BUG: kernel NULL pointer dereference', 'WARNING: CPU: 1 PID: 9 at linux/kernel/x.c:1 f+0x0', 'watchdog: BUG: soft lockup - CPU#1 stuck for 22s!',
    'Oops [#1]', 'list_add corruption. prev->next should be next', 'INFO: task kworker/1:0:9 blocked for more than 120 seconds.', 'Kernel panic - not syncing: x',
    'CPU1: failed to come online', 'Out of memory: Killed process 9'].map((line) =>
    ['fork', forks, '[    0.1] ', `[    0.1] ${line}\n[    0.1] `, new RegExp(`the log says: .*${line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)]),
];
for (const [name, output, from, to, says] of wrong) {
  test(`${name}: ${to || `no ${from.trim()}`} is seen`, () => {
    assert.ok(output.includes(from));
    const all = name === 'fork' && from.startsWith('stress-ng ');
    const { problems } = judge(name, all ? output.replaceAll(from, to) : output.replace(from, to), 60);
    assert.ok(problems.some((problem) => says.test(problem)), problems.join('\n') || 'no problem');
  });
}

test('the script knows the suites', () => {
  const known = new Set([...script.matchAll(/^ {4}([a-z |]+)\)/gm)].flatMap((match) => match[1].split(' | ')));
  for (const name of Object.keys(suites)) assert.ok(known.has(name), name);
  assert.equal(suiteNames.length, Object.keys(suites).length - 1);
});
