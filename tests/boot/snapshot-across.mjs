// SPDX-License-Identifier: Apache-2.0
// One machine that moves between hosts: the workers under Node, as a page has them, and the command line. Each saves what the
// other restores, whole and in increments; what began on the first still goes on on the last.
//
//   node --test tests/boot/snapshot-across.mjs               needs build/native, build/wasm and build/guest (npm test)
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as node from '../../web/test/guest.ts';
import { Machine as NativeMachine, ours } from './native-machine.mjs';

let folder;
let natives = [];
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hartwood-across-'))));
afterEach(() => {
  node.terminateAll();
  for (const { child } of natives.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A machine of either host: commands at its shell, snapshots as files, an end. */
class Host {
  /** Runs a command and returns what it printed. */
  async ask(command) {
    const mark = Math.random().toString(36).slice(2);
    this.type(`echo "<${mark}""<"; ${command}; echo "<${mark}"">"\n`);
    const [, printed] = await this.waitFor(new RegExp(`<${mark}<\\r\\n([^]*?)<${mark}>`));
    return printed.replaceAll('\r\n', '\n').trim();
  }
}

class InNode extends Host {
  static async boot(options) {
    return new InNode(await node.linux({ compiler: 'early', ...options }));
  }
  static async restore(...files) {
    return new InNode(await node.restore(files.map((file) => readFileSync(file))));
  }
  constructor(machine) {
    super();
    this.machine = machine;
  }
  type(text) {
    this.machine.console.write(text);
  }
  waitFor(pattern) {
    return this.machine.waitFor(pattern, node.kSlow);
  }
  async save(name, increment = false) {
    const file = join(folder, name);
    const blob = await this.machine.snapshot({ increment });
    writeFileSync(file, new Uint8Array(await blob.arrayBuffer()));
    return file;
  }
  end() {
    this.machine.terminate();
  }
}

class Native extends Host {
  /** Saves as `name`; if `increment`, as an increment, as `name`.1. */
  static run(args, name, increment = false) {
    const snapshot = join(folder, name);
    const machine = new NativeMachine([...args, '--snapshot', snapshot, ...(increment ? ['--increment'] : [])]);
    natives.push(machine);
    return new Native(machine, increment ? `${snapshot}.1` : snapshot);
  }
  static restore(files, name, increment) {
    return Native.run(files.flatMap((file) => ['--restore', file]), name, increment);
  }
  constructor(machine, snapshot) {
    super();
    this.machine = machine;
    this.snapshot = snapshot;
  }
  type(text) {
    this.machine.child.stdin.write(text);
  }
  waitFor(pattern) {
    return this.machine.waitFor(pattern);
  }
  async save() {
    this.machine.child.kill('SIGUSR1');
    await this.machine.waitFor(`saved ${this.snapshot}`);
    return this.snapshot;
  }
  async end() {
    this.machine.child.kill('SIGKILL');
    await this.machine.exited;
  }
}

/** A shell's variable, a file, a process that counts, a pipeline that always gives the same; a disk's content, if it has one. */
async function begin(machine, disk) {
  await machine.waitFor(node.kPrompt);
  await machine.ask('X=kept; dd if=/dev/urandom of=/tmp/file bs=64k count=20 2> /dev/null');
  if (disk) await machine.ask('dd if=/dev/urandom of=/dev/vda bs=64k count=16 conv=fsync 2> /dev/null');
  await machine.ask('n=0; while :; do n=$((n+1)); echo $n > /tmp/n.new; mv /tmp/n.new /tmp/n; done & P=$!');
  await machine.ask('while :; do seq 200 | sort -n | md5sum >> /tmp/sums; done & P="$P $!"');
  const sums = await machine.ask(`md5sum /tmp/file ${disk ? '/dev/vda' : ''}`);
  assert.match(sums, disk ? /^[0-9a-f]{32} .*\n[0-9a-f]{32} / : /^[0-9a-f]{32} /);
  return { sums, disk, count: 0 };
}

async function goesOn(machine, work) {
  assert.equal(await machine.ask('echo $X; kill -0 $P && echo alive'), 'kept\nalive');
  await machine.ask('echo 3 > /proc/sys/vm/drop_caches');
  assert.equal(await machine.ask(`md5sum /tmp/file ${work.disk ? '/dev/vda' : ''}`), work.sums);
  const count = async () => Number(await machine.ask('cat /tmp/n'));
  const before = await count();
  assert.ok(before >= work.count, `${before} after ${work.count}`);
  for (let tries = 0; await count() <= before; tries++) {
    assert.ok(tries < 200, 'the process that counts does not go on');
    await sleep(50);
  }
  work.count = await count();
  assert.equal(await machine.ask('head -n -1 /tmp/sums | sort -u | wc -l'), '1', 'a pipeline computed something else');
  assert.equal(await machine.ask("dmesg | grep -w -i -e stall -e lockup -e bug -e oops"), '');
}

test('from Node to the command line and back, and on as increments, 2 harts', { timeout: 240_000 }, async () => {
  const first = await InNode.boot({ harts: 2, memory: 128 });
  const work = await begin(first, false);
  const one = await first.save('one');
  first.end();

  const second = Native.restore([one], 'two');
  await goesOn(second, work);
  const two = await second.save();
  await second.end();

  const third = await InNode.restore(two);
  assert.deepEqual([third.machine.harts, third.machine.memory], [2, 128]);
  await goesOn(third, work);
  await third.ask('echo third > /tmp/third');
  const three = await third.save('three', true);
  third.end();

  const fourth = Native.restore([two, three], 'four', true);
  await goesOn(fourth, work);
  await fourth.ask('echo fourth > /tmp/fourth');
  const four = await fourth.save();
  await fourth.end();

  const fifth = await InNode.restore(two, three, four);
  await goesOn(fifth, work);
  assert.equal(await fifth.ask('cat /tmp/third /tmp/fourth'), 'third\nfourth');
});

test('from the command line to Node and back, 4 harts, with a disk', { timeout: 240_000 }, async () => {
  const disk = join(folder, 'disk');
  writeFileSync(disk, Buffer.alloc(4 << 20, 7));
  const first = Native.run([...ours, '--append', 'console=hvc0 quiet', '--harts', '4', '--memory', '256M', '--disk', disk], 'one');
  const work = await begin(first, true);
  const one = await first.save();
  await first.end();
  writeFileSync(disk, ''); // what is restored has its own

  const second = await InNode.restore(one);
  assert.deepEqual([second.machine.harts, second.machine.memory], [4, 256]);
  await goesOn(second, work);
  const two = await second.save('two');
  second.end();

  const third = Native.restore([two], 'three');
  await goesOn(third, work);
  third.type('poweroff\n');
  assert.equal(await third.machine.exited, 0);
});
