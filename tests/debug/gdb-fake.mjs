// SPDX-License-Identifier: Apache-2.0
// The real gdb at the stub, with a toy for a machine: gdb takes the description of the registers, and every packet that it
// has is answered as it expects. The machine itself is other tests' business.
//
//   node --test tests/debug/gdb-fake.mjs
import { execFileSync, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Gdb } from './gdb-driver.mjs';

const folder = mkdtempSync(join(tmpdir(), 'hartwood-gdb-'));
const elf = join(folder, 'toy.elf');
const flat = join(folder, 'toy.bin');
const living = new Set();

before(() => {
  execFileSync('riscv64-linux-gnu-gcc', ['-g', '-O1', '-march=rv64imc_zicsr', '-mabi=lp64', '-mcmodel=medany', '-nostdlib', '-static',
    '-ffreestanding', '-fno-pie', '-no-pie', '-Wl,--no-relax', '-Wl,--build-id=none', '-Wl,-Ttext=0x80000000', '-o', elf, 'tests/debug/toy.c']);
  execFileSync('riscv64-linux-gnu-objcopy', ['-O', 'binary', elf, flat]);
});
after(() => {
  for (const child of living) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A toy that runs, and its port. */
async function toy() {
  const child = spawn(process.env.HARTWOOD_GDB_FAKE ?? 'build/native/hartwood_gdb_fake', [flat, ':0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  living.add(child);
  const exited = new Promise((resolve) => child.on('close', (code) => {
    living.delete(child);
    resolve(code);
  }));
  const port = await new Promise((resolve) => child.stdout.once('data', (bytes) => resolve(Number(bytes))));
  return { port, exited, child };
}

async function session(how, use) {
  const machine = await toy();
  const gdb = new Gdb([elf]);
  living.add(gdb.child);
  try {
    const connected = await gdb.ask(`target ${how} localhost:${machine.port}`);
    assert.match(connected, /Remote debugging using/);
    assert.doesNotMatch(connected, /[Ww]arning|rror|unavailable/);
    await use(gdb, machine);
  } finally {
    gdb.child.kill('SIGKILL');
    living.delete(gdb.child);
    machine.child.kill('SIGKILL');
  }
}
const restart = async (gdb) => {
  // Before anything has run, whatever hart 0 has done meanwhile.
  assert.match(await gdb.ask('starti'), /0x0*80000000 in _start \(\)/);
  await gdb.ask('delete');
};

test('gdb takes the description: integer, floating and control registers, and the privilege', () =>
  session('remote', async (gdb) => {
    assert.match(await gdb.ask('maint print xml-tdesc'), /org\.gnu\.gdb\.riscv\.csr/);
    await gdb.ask('set $a0 = 0x123456789abcdef0');
    assert.match(await gdb.ask('print/x $x10'), /= 0x123456789abcdef0/);
    await gdb.ask('set $fa0.double = 1.5');
    assert.match(await gdb.ask('print $fa0.double'), /= 1\.5/);
    assert.match(await gdb.ask('print/x $fa0'), /3ff8000000000000|0x1/);
    await gdb.ask('set $satp = 0x8000000000080123');
    assert.match(await gdb.ask('print/x $satp'), /= 0x8000000000080123/);
    assert.match(await gdb.ask('info registers sstatus mstatus mepc fcsr'), /sstatus.*\nmstatus.*\nmepc.*\nfcsr/);
    assert.match(await gdb.ask('print $priv'), /= .*(3|Machine)/);
    assert.match(await gdb.ask('p/x $mhartid'), /= 0x0/);
    const all = await gdb.ask('info all-registers');
    assert.match(all, /^ft11 /m);
    assert.match(all, /^mhpmcounter31 /m);
    assert.doesNotMatch(all, /rror|unavailable|<invalid>/);
    assert.match(await gdb.ask('x/2i $pc'), /=> 0x8000/);
  }));

test('threads are harts', () =>
  session('remote', async (gdb) => {
    const threads = await gdb.ask('info threads');
    assert.match(threads, /Thread 1 "hart 0" \(M-mode, hart 0 of a toy\)/);
    assert.match(threads, /Thread 2 "hart 1" \(M-mode, hart 1 of a toy\)/);
    await gdb.ask('thread 2');
    assert.match(await gdb.ask('p/x $mhartid'), /= 0x1/);
    assert.match(await gdb.ask('bt'), /main \(hart=/);
    // One steps alone, and the other stays where it is.
    await gdb.ask('set scheduler-locking on');
    const before = await gdb.ask('thread apply all -s p/x $pc');
    await gdb.ask('stepi');
    const behind = await gdb.ask('thread apply all -s p/x $pc');
    const of = (text, thread) => new RegExp(`Thread ${thread}[^]*?= (0x\\w+)`).exec(text)[1];
    assert.notEqual(of(before, 2), of(behind, 2));
    assert.equal(of(before, 1), of(behind, 1));
  }));

test('breakpoints, steps, watchpoints, memory', () =>
  session('extended-remote', async (gdb) => {
    await restart(gdb);
    await gdb.ask('break square if n == 4');
    assert.match(await gdb.ask('continue'), /Breakpoint \d+, square \((?:n=n@entry|n)=4\)/);
    assert.match(await gdb.ask('bt'), /#0 +square \((?:n=n@entry|n)=4\)[^]*#1 .* in main \(hart=/);
    assert.match(await gdb.ask('print total'), /= 14/);
    assert.match(await gdb.ask('finish'), /Value returned is \$\d+ = 16/);
    await gdb.ask('delete');
    assert.match(await gdb.ask('next'), /bytes\[i\]|for \(/);
    await gdb.ask('hbreak square');
    assert.match(await gdb.ask('continue'), /Breakpoint \d+, square \((?:n=n@entry|n)=5\)/);
    await gdb.ask('delete');

    await gdb.ask('watch total');
    assert.match(await gdb.ask('continue'), /Hardware watchpoint \d+: total[^]*Old value = 30\n+New value = 55/);
    await gdb.ask('delete');
    await gdb.ask('watch bytes[7]');
    assert.match(await gdb.ask('continue'), /Hardware watchpoint \d+: bytes\[7\][^]*New value = 7/);
    await gdb.ask('delete');
    await gdb.ask('rwatch go');
    assert.match(await gdb.ask('continue'), /Hardware read watchpoint \d+: go/);
    await gdb.ask('delete');
    await gdb.ask('awatch spins');
    assert.match(await gdb.ask('continue'), /Hardware access \(read\/write\) watchpoint \d+: spins/);
    await gdb.ask('delete');

    assert.match(await gdb.ask('print total'), /= 385/);
    assert.match(await gdb.ask('x/4xb &bytes[1]'), /0x01\s+0x02\s+0x03\s+0x04/);
    await gdb.ask('set var bytes[2] = 0x7d');
    assert.match(await gdb.ask('print/x bytes'), /0x1, 0x7d, 0x3/);
    assert.match(await gdb.ask('x/xg 0'), /Cannot access memory/);
    // More than a packet.
    const file = join(folder, 'memory');
    await gdb.ask(`dump binary memory ${file} 0x80000000 0x80100000`);
    await gdb.ask(`restore ${file} binary 0`);
    assert.match(await gdb.ask('compare-sections'), /Section \.text, range .*: matched/);
    assert.match(await gdb.ask('print total'), /= 385/);

    assert.match(await gdb.ask('monitor retired'), /^\d+ retired$/);
    assert.match(await gdb.ask('monitor nonsense'), /not known: nonsense/);
    assert.match(await gdb.ask('monitor physical on'), /physical memory/);
    assert.match(await gdb.ask('maint packet qqemu.PhyMemMode'), /received: "1"/);
  }));

test('^C, exit, run again, kill', () =>
  session('extended-remote', async (gdb, machine) => {
    for (let times = 0; times < 3; times++) {
      gdb.start('continue');
      await gdb.waitFor(/Continuing\.\n/);
      gdb.interrupt();
      assert.match(await gdb.finish(), /received signal SIGINT/);
    }
    await gdb.ask('set var go = 1');
    assert.match(await gdb.ask('continue'), /\[Inferior 1 \(.*\) exited with code 0?201\]/);  // 385 & 255, octal
    await gdb.ask('break square');
    assert.match(await gdb.ask('run'), /Breakpoint \d+, square \((?:n=n@entry|n)=1\)/);
    assert.match(await gdb.ask('print ticks'), /= \d+/);
    assert.match(await gdb.ask('kill'), /killed/);
    await gdb.quit();
    assert.equal(await machine.exited, 0);
  }));

test('detach lets the machine run, and another gdb can come', () =>
  session('remote', async (gdb, machine) => {
    await gdb.ask('break square');
    const ticks = Number(/= (\d+)/.exec(await gdb.ask('print ticks'))[1]);
    assert.match(await gdb.ask('detach'), /detached/);
    assert.equal(await gdb.quit(), 0);
    for (let more = 0, tries = 0; more <= ticks; tries++) {
      assert.ok(tries < 20, 'it runs');
      const next = new Gdb([elf]);
      await next.ask(`target remote localhost:${machine.port}`);
      more = Number(/= (\d+)/.exec(await next.ask('print ticks'))[1]);
      assert.equal(await next.quit(), 0);  // gdb detaches by itself
    }
  }));

test('what does not speak as gdb does is cut off, and stops nothing', () =>
  session('remote', async (gdb, machine) => {
    await gdb.quit();
    const answer = await new Promise((resolve, reject) => {
      const client = connect(machine.port, '127.0.0.1', () => client.write('POST / HTTP/1.1\r\n\r\n$qC#b4'));
      let got = '';
      client.on('data', (bytes) => { got += bytes; });
      client.on('close', () => resolve(got));
      client.on('error', (error) => (error.code === 'ECONNRESET' ? resolve(got) : reject(error)));
    });
    assert.equal(answer, '');
  }));
