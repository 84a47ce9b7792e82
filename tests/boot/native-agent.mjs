// SPDX-License-Identifier: Apache-2.0
// The guest's end of a snapshot, with the real kernel in the native machine: the generation id and its driver, and the
// agent of the initramfs, spoken to through the socket of --agent.
//
//   node --test tests/boot/native-agent.mjs
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Agent, Machine, ours } from './native-machine.mjs';

/** Boots, calls use(machine, agent) at the prompt, and powers off. */
async function withMachine(args, use, append = 'console=hvc0 quiet') {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-agent-'));
  const socket = join(folder, 'agent');
  const machine = new Machine([...ours, '--append', append, '--agent', socket, ...args]);
  let agent;
  try {
    await machine.run('true');
    agent = await Agent.connect(socket);
    await agent.ready();
    await use(machine, agent);
    assert.equal(await machine.powerOff(), 0);
  } finally {
    agent?.close();
    machine.child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Of vmgenid, taken so far, on all harts. */
async function interrupts(machine) {
  const line = /^ *\d+:(( +\d+)+) .*vmgenid$/m.exec(await machine.run('cat /proc/interrupts'));
  assert.ok(line, 'the driver has its interrupt');
  return line[1].trim().split(/ +/).reduce((sum, count) => sum + Number(count), 0);
}
const reseeded = async (machine) => Number(await machine.run("dmesg | grep -c 'reseeded due to virtual machine fork'"));
const until = async (what, condition) => {
  for (let tries = 0; !(await condition()); tries++) assert.ok(tries < 50, what);
};

for (const harts of [1, 4]) {
  test(`vmgenid: the driver is bound, and hears of each new generation once, ${harts} harts`, () =>
    withMachine(['--harts', `${harts}`, '--memory', '128M'], async (machine, agent) => {
      assert.match(await machine.run('ls /sys/bus/platform/drivers/vmgenid'), /4000000\.rng/);
      assert.equal(await interrupts(machine), 0);
      assert.equal(await reseeded(machine), 0);
      for (let times = 1; times <= 3; times++) {
        assert.equal(await agent.ask('!renew'), '!renewed');
        await until('the kernel draws anew', async () => await reseeded(machine) >= times);
        assert.equal(await reseeded(machine), times);
        assert.equal(await interrupts(machine), times, 'one interrupt each');
      }
    }));
}

test('the agent answers, sets the clock and refuses what it does not know', () =>
  withMachine(['--harts', '2', '--memory', '128M'], async (machine, agent) => {
    assert.equal(await agent.ask('clock 1000000000.250000000'), 'clock set');
    const date = Number(await machine.run('date +%s'));
    assert.ok(date >= 1_000_000_000 && date < 1_000_000_100, `${date}`);
    assert.equal(await agent.ask('clock 2000000000'), 'clock set');
    assert.ok(Number(await machine.run('date +%s')) >= 2_000_000_000);
    for (const wrong of ['', '1.5', 'now', '-1', '1.', '1.1234567890', '99999999999999999999', '1.000000000 x'])
      assert.equal(await agent.ask(`clock ${wrong}`), 'error clock: not a time', wrong);
    assert.ok(Number(await machine.run('date +%s')) >= 2_000_000_000, 'left alone');
    for (const unknown of ['clock', 'pings', 'Ping', 'reboot now']) assert.equal(await agent.ask(unknown), `error unknown command ${unknown}`);
    // Several at once, and the longest that there may be.
    agent.send('ping\n\nping\nclock x');
    assert.deepEqual([await agent.next(), await agent.next(), await agent.next()], ['pong', 'pong', 'error clock: not a time']);
    const longest = 'x'.repeat(4095);
    assert.equal(await agent.ask(longest), `error unknown command ${longest}`);
    for (const length of [4096, 5000, 20_000]) assert.equal(await agent.ask('x'.repeat(length)), '!not taken');
    assert.equal(await agent.ask('ping'), 'pong');
  }));

test('prepare leaves free memory zeroed, takes none from anybody, and says nothing on the console', () =>
  withMachine(['--memory', '256M'], async (machine, agent) => {
    const inUse = async () => Number(/^!pages (\d+) 65536$/.exec(await agent.ask('!pages'))[1]);
    const free = async () => Number(/MemFree: +(\d+) kB/.exec(await machine.run('cat /proc/meminfo'))[1]);
    const before = await inUse();
    // Some 60 MiB that are not zero, as files and given back.
    await machine.run('for i in $(seq 40); do cp /bin/busybox /tmp/used$i; done; rm /tmp/used*');
    const used = await inUse();
    assert.ok(used > before + 14_000, `${used} pages in use, ${before} before`);
    const kept = await free();
    await machine.waitForPrompt();
    const from = machine.output.length;
    assert.equal(await agent.ask('prepare'), 'prepared');
    const after = await inUse();
    assert.ok(after < before + 1500, `${after} pages in use, ${used} before, ${before} after the boot`);
    machine.child.stdin.write('\n');
    await machine.waitForPrompt();
    assert.doesNotMatch(machine.output.slice(from), /[^\r\n]*(drop_caches|agent)/, 'nothing on the console');
    machine.child.stdin.write('\n');
    assert.ok(await free() > kept - 8192, 'free memory is free again');
    const counted = await machine.run('cat /proc/vmstat');
    assert.match(counted, /^drop_pagecache 1$/m);
    for (const name of ['oom_kill', 'pgscan_kswapd', 'pgscan_direct', 'allocstall_normal'])
      assert.match(counted, new RegExp(`^${name} 0$`, 'm'));
    assert.equal(await agent.ask('ping'), 'pong');
  }, 'console=hvc0'));

test('prepare works for one hart in little memory and for several', async () => {
  for (const [harts, memory] of [[1, '64M'], [4, '512M']]) {
    await withMachine(['--harts', `${harts}`, '--memory', memory], async (machine, agent) => {
      assert.equal(await agent.ask('prepare'), 'prepared');
      assert.equal(await agent.ask('prepare'), 'prepared');
      assert.match(await machine.run('cat /proc/vmstat'), /^oom_kill 0$/m);
    });
  }
});

test('an agent that waits takes no time', () =>
  withMachine(['--memory', '128M'], async (machine) => {
    const look = 'grep ctxt /proc/$(pidof hartwood-agent)/status; cut -d" " -f14,15 /proc/$(pidof hartwood-agent)/stat';
    await machine.run('true'); // the console has been at work since its last answer
    const first = await machine.run(look);
    assert.match(first, /voluntary_ctxt_switches:\t[1-9]/);
    await machine.run('sleep 3; seq 1 1000');
    assert.equal(await machine.run(look), first, 'it was not even woken');
  }));

test('lines that nobody reads are refused in the end, and disturb nobody', () =>
  withMachine(['--memory', '128M'], async (machine, agent) => {
    await machine.run('kill $(pidof hartwood-agent); while pidof hartwood-agent; do sleep 0.1; done');
    assert.equal(await agent.ask('ping'), '!not taken');
    await machine.run('sleep 1000 </dev/vport0p1 & sleep 1');
    let taken = 0;
    // Whatever is taken has no answer, so each is followed by a question to the machine itself.
    const offer = async (line) => {
      agent.send(line);
      const answer = await agent.ask('!pages');
      if (answer === '!not taken') assert.match(await agent.next(), /^!pages/);
      return answer !== '!not taken';
    };
    while (taken < 1000 && await offer('x'.repeat(199))) taken++;
    assert.ok(taken >= 20 && taken < 200, `${taken} lines`);
    assert.match(await machine.run('seq 1 1000 | md5sum'), /53d025127ae99ab79e8502aae2d9bea6/);
    // Another agent gets none of them.
    await machine.run('kill %1; sleep 1');
    assert.equal(await agent.ask('ping'), '!not taken');
    await machine.run('(hartwood-agent &)');
    await agent.ready();
    assert.equal(await agent.ask('clock never'), 'error clock: not a time', 'and nothing before it');
  }));

test('without its port the agent ends, and says nothing', () =>
  withMachine(['--memory', '128M', '--console', 'uart'], async (machine) => {
    assert.equal((await machine.run('echo virtio0 >/sys/bus/virtio/drivers/virtio_console/unbind; sleep 1; pidof hartwood-agent')).trim(), '');
    assert.match(await machine.run('hartwood-agent; echo "status $?"'), /^status 0\n$/);
  }, 'console=ttyS0 quiet'));

test('--agent refuses what it cannot do', async () => {
  for (const [args, message] of [
    [['--agent', '/does/not/exist/socket'], /cannot listen at/],
    [['--agent', 'package.json'], /cannot listen at package\.json/],
    [['--agent', 'x', '--deterministic'], /does not go with --deterministic/],
  ]) {
    const machine = new Machine([...ours, ...args]);
    assert.equal(await machine.exited, 2);
    assert.match(machine.output, message);
  }
  assert.ok(existsSync('package.json'), 'a file is left alone');
});
