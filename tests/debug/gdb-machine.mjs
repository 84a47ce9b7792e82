// SPDX-License-Identifier: Apache-2.0
// The real gdb at a native machine that boots Linux on two harts: stops, steps, breakpoints, watchpoints, threads, ^C,
// coming and going, and the end. The kernel's symbols are its vmlinux's.
//
//   node --test tests/debug/gdb-machine.mjs        needs build/native, build/guest and gdb-multiarch (npm test)
// HARTWOOD_GUEST: a folder with Image, vmlinux and initramfs.cpio to use instead.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../tools/lib/project.mjs';
import { Gdb } from './gdb-driver.mjs';

const guest = process.env.HARTWOOD_GUEST;
const file = (own, name) => (guest ? join(guest, name) : join(root, 'build/guest', own, name));
const kernel = file('kernel', 'Image'), vmlinux = file('kernel', 'vmlinux'), initrd = file('initramfs', 'initramfs.cpio');
const prompt = ':~# ';

/** A machine whose console can be typed at and waited for, and the port of its gdb. */
class Machine {
  constructor(args) {
    this.text = '';
    this.errors = '';
    this.child = spawn(join(root, 'build/native/hartwood'), ['--kernel', kernel, '--initrd', initrd, '--memory', '128M',
      '--append', 'console=hvc0', '--gdb', ':0', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout.on('data', (bytes) => this.take(bytes));
    this.child.stderr.on('data', (bytes) => { this.errors += bytes; this.look(); });
    this.exited = new Promise((resolve) => this.child.on('close', resolve));
    this.waiting = [];
  }
  take(bytes) {
    this.text += bytes;
    this.look();
  }
  look() {
    this.waiting = this.waiting.filter(({ found, resolve }) => !found() || void resolve());
  }
  until(found) {
    return new Promise((resolve) => {
      this.waiting.push({ found, resolve });
      this.look();
    });
  }
  /** Until the console has printed `text`, after what was waited for before. */
  async waitFor(text) {
    let at = -1;
    await this.until(() => (at = this.text.indexOf(text)) >= 0);
    this.text = this.text.slice(at + text.length);
  }
  type(line) {
    this.child.stdin.write(`${line}\n`);
  }
  async port() {
    await this.until(() => /remote :\d+/.test(this.errors));
    return /remote :(\d+)/.exec(this.errors)[1];
  }
  end() {
    this.child.kill('SIGKILL');
    return this.exited;
  }
}

/** `body` with a machine, and a gdb that has attached to it. */
async function session(args, body, how = 'remote') {
  const machine = new Machine(args);
  const gdb = new Gdb([vmlinux]);
  try {
    const port = await machine.port();
    const attach = () => gdb.ask(`target ${how} :${port}`);
    await attach();
    await body({ gdb, machine, attach, port });
  } finally {
    gdb.child.kill('SIGKILL');
    await machine.end();
  }
}

const number = (text) => BigInt(/= (0x[0-9a-f]+|-?\d+)/.exec(text)?.[1] ?? assert.fail(text));

test('from the first instruction to start_kernel, and into init', { timeout: 300_000 }, () =>
  session(['--harts', '2', '--gdb-wait'], async ({ gdb, machine }) => {
    assert.match(await gdb.ask('info threads'), /\* 1 .*hart 0, S-mode.*\n +2 .*hart 1, S-mode, stopped/);
    assert.equal(number(await gdb.ask('p/x $pc')), 0x80200000n);
    assert.equal(number(await gdb.ask('p $priv')), 1n);
    assert.equal(number(await gdb.ask('p/x $a0')), 0n, 'the number of the hart');
    assert.equal(number(await gdb.ask('p/x *(unsigned*)$a1')), 0xedfe0dd0n, 'the device tree');
    assert.equal(number(await gdb.ask('p/x $satp')), 0n);
    assert.equal(machine.text, '', 'nothing has happened yet');
    const first = number(await gdb.ask('p/x $pc'));
    await gdb.ask('stepi');
    assert.notEqual(number(await gdb.ask('p/x $pc')), first);

    // Before there are page tables, at an address that they will make.
    await gdb.ask('hbreak start_kernel');
    assert.match(await gdb.ask('continue'), /Breakpoint 1, .*start_kernel/);
    assert.notEqual(number(await gdb.ask('p/x $satp')), 0n);
    assert.match(await gdb.ask('x/s (char*)&linux_banner'), /Linux version 6/);
    assert.match(await gdb.ask('x/i $pc'), /start_kernel/);
    assert.match(await gdb.ask('info registers sstatus'), /sstatus +0x/);
    const satp = number(await gdb.ask('p/x $satp'));
    assert.match(await gdb.ask(`monitor walk ${number(await gdb.ask('p/x $pc'))}`), /level \d[^]*physical 0x8/);
    assert.match(await gdb.ask('monitor walk 0x10'), /not mapped/);
    assert.match(await gdb.ask('monitor state'), new RegExp(`hart 0: S-mode, .*satp 0x${satp.toString(16)}`));
    assert.match(await gdb.ask('monitor nothing'), /there is no command/);

    // Registers and memory can be written.
    await gdb.ask('set $t6 = 0x1234567890abcdef');
    assert.equal(number(await gdb.ask('p/x $t6')), 0x1234567890abcdefn);
    const banner = number(await gdb.ask('p/x *(unsigned char*)&linux_banner'));
    await gdb.ask('set *(unsigned char*)&linux_banner = 0x6c');
    assert.match(await gdb.ask('x/s (char*)&linux_banner'), /"linux version/);
    await gdb.ask(`set *(unsigned char*)&linux_banner = ${banner}`);
    assert.match(await gdb.ask('p *(int*)0'), /Cannot access memory/);

    // By steps into a function and out of it.
    await gdb.ask('delete');
    await gdb.ask('break kernel_init');
    assert.match(await gdb.ask('continue'), /Breakpoint 2, .*kernel_init/);
    assert.match(await gdb.ask('backtrace 1'), /#0 .*kernel_init/);
    let into = '';
    for (let i = 0; i < 40 && !/<wait_for_completion|<[a-z_]+\+0>/.test(into); i++) {
      await gdb.ask('stepi');
      into = await gdb.ask('info symbol $pc');
      if (!into.startsWith('kernel_init')) break;
    }
    assert.doesNotMatch(into, /^kernel_init/, 'a step goes into what is called');
    await gdb.ask('delete');
    await gdb.ask('hbreak *$ra');
    assert.match(await gdb.ask('continue'), /kernel_init/, 'and out of it');
    await gdb.ask('delete');
    await gdb.ask('detach');
    await machine.waitFor(prompt);
  }));

test('at a running machine: threads, ^C, watchpoints, conditions, coming and going, and its end', { timeout: 300_000 }, async () => {
  await session(['--harts', '2'], async ({ gdb, machine, attach, port }) => {
    // It has been stopped somewhere; go on to the prompt.
    gdb.start('continue');
    await machine.waitFor(prompt);
    machine.type('while :; do :; done &');
    await machine.waitFor(prompt);
    gdb.interrupt();
    assert.match(await gdb.finish(), /SIGINT/);
    assert.match(await gdb.ask('info threads'), /hart 0[^]*hart 1/);
    assert.equal(number(await gdb.ask('thread apply 2 p/x $mhartid')), 1n);
    assert.equal(number(await gdb.ask('thread apply 1 p/x $mhartid')), 0n);

    // A kernel variable: every process that is made counts it.
    const forks = number(await gdb.ask('p *(unsigned long*)&total_forks'));
    await gdb.ask('watch *(unsigned long*)&total_forks');
    gdb.start('continue');
    machine.type('true | true');
    const stopped = await gdb.finish();
    assert.match(stopped, /atchpoint \d+: /);
    assert.match(stopped, new RegExp(`Old value = ${forks}\\s+New value = ${forks + 1n}`));
    await gdb.ask('delete');
    await gdb.ask(`watch *(unsigned long*)&total_forks if *(unsigned long*)&total_forks == ${forks + 4n}`);
    gdb.start('continue');
    machine.type('for i in 1 2 3 4 5; do (:); done');
    assert.match(await gdb.finish(), new RegExp(`New value = ${forks + 4n}`));
    await gdb.ask('delete');

    // Reads of the same.
    await gdb.ask('rwatch *(int*)&panic_timeout');
    gdb.start('continue');
    machine.type('cat /proc/sys/kernel/panic');
    assert.match(await gdb.finish(), /read watchpoint[^]*Value = 0/i);
    await gdb.ask('delete');

    // A breakpoint that others pass: only for one condition.
    await gdb.ask('break ksys_write if $a0 == 1 && *(char*)$a1 == 0x40');
    gdb.start('continue');
    machine.type('echo @@@');
    assert.match(await gdb.finish(), /ksys_write/);
    assert.match(await gdb.ask('x/s $a1'), /@@@/, 'memory of the process that the hart is in');
    await gdb.ask('delete');

    // One hart goes on while the other stands.
    await gdb.ask('set scheduler-locking on');
    const other = number(await gdb.ask('thread apply 2 p/x $pc'));
    const ids = await gdb.ask('thread 1');
    assert.match(ids, /Switching to thread 1/);
    await gdb.ask('stepi 50');
    assert.equal(number(await gdb.ask('thread apply 2 p/x $pc')), other);
    await gdb.ask('set scheduler-locking off');

    // Away and back again.
    await gdb.ask('detach');
    machine.type('echo a$((1+1))b');
    await machine.waitFor('a2b');
    await attach();
    assert.match(await gdb.ask('info threads'), /hart 0[^]*hart 1/);
    gdb.start('continue');
    machine.type('echo c$((2+2))d');
    await machine.waitFor('c4d');
    gdb.interrupt();
    assert.match(await gdb.finish(), /SIGINT/);

    // A second gdb is not let in.
    const second = new Gdb([]);
    const refused = await second.ask(`target remote :${port}`);
    assert.match(refused, /closed|reset|refused|failed|disconnected/i);
    second.child.kill('SIGKILL');

    gdb.start('continue');
    machine.type('poweroff');
    assert.match(await gdb.finish(), /exited normally/);
    assert.equal(await machine.exited, 0);
  });
});

test('restarted by gdb, and killed', { timeout: 300_000 }, () =>
  session(['--harts', '1', '--gdb-wait'], async ({ gdb, machine }) => {
    await gdb.ask('hbreak start_kernel');
    assert.match(await gdb.ask('continue'), /Breakpoint 1, .*start_kernel/);
    const ticks = number(await gdb.ask('p/x $time'));
    assert.match(await gdb.ask('run'), /Breakpoint 1, .*start_kernel/, 'its breakpoints are still there');
    assert.match(await gdb.ask('info threads'), /hart 0/);
    assert.ok(number(await gdb.ask('p/x $time')) < 2n * ticks, 'its clock is a new one');
    await gdb.ask('kill');
    // A gdb that stays could start it again.
    gdb.quit();
    assert.equal(await machine.exited, 0);
  }, 'extended-remote'));
