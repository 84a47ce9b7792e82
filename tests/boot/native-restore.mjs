// SPDX-License-Identifier: Apache-2.0
// Linux under load, saved while it runs, killed and restored, again and again: its processes, their counters, its files
// in memory and on disks go on as if nothing had been. The load checks itself all the time and notes what is wrong.
//
//   node --test tests/boot/native-restore.mjs               needs build/native and build/guest (npm test)
// RESTORES: how often, in all (10).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine, ours } from './native-machine.mjs';

const restores = Number(process.env.RESTORES ?? 10);
const kDiskBytes = 8 << 20;

// Each loop checks what it did a while ago and what it did just now; /tmp/bad says what was not so.
const load = `
bad() { echo "$*" >> /tmp/bad; }
ticks() { n=0; while [ ! -e stop ]; do n=$((n+1)); echo "tick $n."; usleep 20000; done; }
forks() { n=0; while [ ! -e stop ]; do n=$((n+1)); [ "$(seq 1 300 | md5sum)" = "$e" ] || bad forks $n; echo $n > forks; done; }
files() {
  n=0
  while [ ! -e stop ]; do
    n=$((n+1)); f=$((n%8)); g=$(((n+3)%8))
    head -c $((5000+n%7*9001)) /dev/urandom > file.$f; s=$(md5sum < file.$f)
    cp file.$f /mnt/file.$f; echo "$s" > sum.$f
    [ $((n%5)) = 0 ] && sync
    [ ! -e sum.$g ] || [ "$(md5sum < /mnt/file.$g)" = "$(cat sum.$g)" ] || bad files $n
    [ ! -e sum.$g ] || [ "$(md5sum < file.$g)" = "$(cat sum.$g)" ] || bad memory $n
    echo $n > files
  done
}
blocks() {
  n=0
  while [ ! -e stop ]; do
    n=$((n+1)); b=$((n%16))
    yes "block $n" | head -c 65536 > block.$b
    dd if=block.$b of=/dev/vdb bs=64k seek=$b conv=notrunc,fsync 2> /dev/null
    b=$(((n+5)%16))
    [ ! -e block.$b ] || dd if=/dev/vdb bs=64k skip=$b count=1 2> /dev/null | cmp - block.$b || bad blocks $n
    echo $n > blocks
  done
}
at_end() {
  touch stop; wait; sync; echo 3 > /proc/sys/vm/drop_caches
  umount /mnt; mount -t ext4 /dev/vda /mnt || bad mount
  for f in 0 1 2 3 4 5 6 7; do
    [ ! -e sum.$f ] || [ "$(md5sum < /mnt/file.$f)" = "$(cat sum.$f)" ] || bad file $f at the end
  done
  for b in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    [ ! -e block.$b ] || dd if=/dev/vdb bs=64k skip=$b count=1 2> /dev/null | cmp - block.$b || bad block $b at the end
  done
}
`;

const complaints = ' stall|lockup|BUG:|WARNING:|Oops|panic|hung|I/O error|EXT4-fs error|EXT4-fs warning';

/** A machine whose shell prints no echo and no prompt, while others print what they like. */
class Loaded extends Machine {
  /** Runs a command and returns the lines it printed. */
  async ask(command) {
    const mark = Math.random().toString(36).slice(2);
    this.child.stdin.write(`r=$(${command}); echo "<${mark} $r ${mark}>"\n`);
    const [, answer] = await this.waitFor(new RegExp(`<${mark} ([^]*) ${mark}>`));
    return answer.replace(/tick \d+\.\s*/g, '').trim();
  }
  /** What the load has done: numbers that only grow. */
  async progress() {
    // A number is not there at first, and for the moment in which another one is written.
    const text = await this.ask('cd /tmp; for f in forks files blocks; do v=; while [ -z "$v" ]; do v=$(cat $f 2> /dev/null); done; echo $v; done; cut -d. -f1 /proc/uptime; cat bad 2> /dev/null');
    const [forks, files, blocks, uptime, ...bad] = text.split(/\s*\n/);
    assert.deepEqual(bad, [], 'the load finds nothing wrong');
    return { forks: Number(forks), files: Number(files), blocks: Number(blocks), uptime: Number(uptime) };
  }
  ticks(from = 0) {
    return [...this.output.slice(from).matchAll(/tick (\d+)\./g)].map((match) => Number(match[1]));
  }
  async save(path) {
    this.child.kill('SIGUSR1');
    await this.waitFor(`saved ${path}`);
  }
  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

async function bootLoaded(folder, harts, snapshot) {
  const disks = ['vda', 'vdb'].map((name) => join(folder, name));
  for (const disk of disks) {
    writeFileSync(disk, '');
    truncateSync(disk, kDiskBytes);
  }
  const machine = new Loaded([...ours, '--append', 'console=hvc0 quiet', '--harts', `${harts}`,
    '--memory', '128M', ...disks.flatMap((disk) => ['--disk', disk]), '--snapshot', snapshot]);
  await machine.run('stty -echo; PS1=; mke2fs /dev/vda > /dev/null && mount -t ext4 /dev/vda /mnt; grep -c ext4 /proc/mounts');
  machine.child.stdin.write(`cat > /tmp/load.sh << 'END'\n${load}END\ncd /tmp; . /tmp/load.sh; e="$(seq 1 300 | md5sum)"\n`);
  assert.equal(await machine.ask('grep -c " /mnt ext4 " /proc/mounts'), '1');
  machine.child.stdin.write('ticks & forks & files & blocks & for i in; do :; done\n');
  await machine.waitFor('tick 10.');
  return machine;
}

/** Lets it work, saves it, and kills it a little later. */
async function saveAndKill(machine, path, pause) {
  const before = await machine.progress();
  await sleep(pause);
  const tick = machine.ticks().at(-1) ?? 0;
  await machine.save(path);
  const after = await machine.progress();
  assert.ok(after.forks >= before.forks && after.uptime >= before.uptime, 'it goes on after it was saved');
  const lastTick = machine.ticks().at(-1);
  await machine.kill();
  return { before, after, tick, lastTick };
}

async function checkRestored(machine, saved) {
  await machine.waitFor(/tick \d+\.\s+tick \d+\.\s+tick \d+\./);
  const first = await machine.progress();
  for (const name of ['forks', 'files', 'blocks']) {
    assert.ok(first[name] >= saved.before[name], `${name}: ${first[name]} after ${saved.before[name]}`);
  }
  assert.ok(first.uptime >= saved.before.uptime && first.uptime <= saved.after.uptime + 4, 'no time has passed');
  const ticks = machine.ticks();
  assert.ok(ticks[0] > saved.tick - 1 && ticks[0] <= saved.lastTick + 1, `tick ${ticks[0]} after ${saved.tick}`);
  ticks.forEach((tick, i) => assert.equal(tick, ticks[0] + i, 'no tick is lost or comes twice'));
  // Everybody is still at work.
  for (let tries = 0; ; tries++) {
    const now = await machine.progress();
    if (['forks', 'files', 'blocks'].every((name) => now[name] > first[name])) break;
    assert.ok(tries < 200, `stands still: ${JSON.stringify({ first, now })}`);
    await sleep(50);
  }
}

async function checkEnd(machine) {
  machine.child.stdin.write('at_end\n');
  await machine.progress();
  assert.equal(await machine.ask(`dmesg | grep -E '${complaints}'`), '');
  machine.child.stdin.write('poweroff\n');
  assert.equal(await machine.exited, 0);
}

async function chain(harts, times) {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-restore-'));
  let machine;
  try {
    let files = [join(folder, 'snapshot.0')];
    machine = await bootLoaded(folder, harts, files[0]);
    let saved = await saveAndKill(machine, files[0], 300);
    for (let time = 1; time <= times; time++) {
      // Every third one is an increment to the one before.
      const increment = time % 3 === 0;
      const next = join(folder, `snapshot.${time}`);
      if (time === 1) await sleep(5000); // more than what the comparison of its uptime allows
      machine = new Loaded([...files.flatMap((file) => ['--restore', file]), '--snapshot', next, ...(increment ? ['--increment'] : [])]);
      await checkRestored(machine, saved);
      if (time === times) break;
      const written = increment ? `${next}.1` : next;
      saved = await saveAndKill(machine, written, Math.random() * 400);
      if (increment) {
        assert.ok(statSync(written).size < statSync(files[0]).size, 'an increment is smaller');
        files = [...files, written];
      } else {
        for (const file of files) rmSync(file);
        files = [next];
      }
    }
    await checkEnd(machine);
  } finally {
    machine?.child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

for (const [harts, share] of [[1, 0.3], [2, 0.3], [4, 0.4]]) {
  const times = Math.round(restores * share);
  test(`${harts} harts, restored ${times} times`, () => chain(harts, times));
}

test('virtual time goes on in the same way, and 10,000 pauses lose nothing', () => {
  const { stdout, status } = spawnSync('build/native/hartwood_tests', ['--gtest_filter=LinuxSnapshot.*'],
    { env: { ...process.env, HARTWOOD_KERNEL: ours[1], HARTWOOD_INITRD: ours[3] }, encoding: 'utf8', timeout: 240_000 });
  assert.match(stdout, /PASSED {2}\] 2 tests/, stdout);
  assert.doesNotMatch(stdout, /SKIPPED/);
  assert.equal(status, 0);
});

test('what cannot be restored is a clear error', async () => {
  const machine = new Machine(['--restore', 'package.json']);
  assert.equal(await machine.exited, 2);
  assert.match(machine.output, /no snapshot of a machine/);
  const missing = new Machine(['--restore', '/does/not/exist']);
  assert.equal(await missing.exited, 2);
  assert.match(missing.output, /cannot open/);
});
