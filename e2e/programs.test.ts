// SPDX-License-Identifier: Apache-2.0
// The multi-hart guest programs of tests/programs/ on real workers in Chromium, a new machine for each: locks, interrupt and
// fence storms, harts that start and stop, clocks, and litmus shapes.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { MachineExit } from '../web/api/index.ts';
import { GuestPrograms, runInPage, type Program } from './guest-programs.ts';
import { kSlow, useSite, Visit } from './support.ts';

const site = useSite();
const programs = new GuestPrograms();
after(() => programs.remove());

/** One page for all machines, one after the other; closed by the last test. */
let visit: Visit | null = null;

/** Boots the program's file; how the machine ended, and the program's data then. */
async function run(program: Program): Promise<{ exit: MachineExit; data: Buffer }> {
  visit ??= await Visit.open(site, 'licences.html'); // any page of the site
  const { exit, data } = await visit.page.evaluate(runInPage, programs.order(program, site.url, kSlow));
  return { exit, data: Buffer.from(data, 'base64') };
}

const kDies = 'dies';
for (const program of programs.all.filter(({ name }) => name !== kDies)) {
  test(program.name, async (context) => {
    const { exit, data } = await run(program);
    const { fine, text } = programs.look(program, data);
    assert.ok(fine, text);
    assert.deepEqual(exit, { reason: 'poweroff', code: 0 });
    if (program.name.startsWith('litmus ')) context.diagnostic(text);
  });
}

test('a program that fails, and a result that is wrong, are noticed', async () => {
  const dead = await run(programs.named(kDies));
  assert.deepEqual(dead.exit, { reason: 'poweroff', code: 1 });
  assert.deepEqual(programs.look(programs.named(kDies), dead.data), { fine: false, text: 'the program failed with 7' });

  const lock = programs.named('amo_lock_4');
  const { data } = await run(lock);
  const counter = 0x180; // kCounter in tests/programs/guest.h
  data.writeBigUInt64LE(data.readBigUInt64LE(counter) - 1n, counter);
  assert.deepEqual(programs.look(lock, data), { fine: false, text: 'counters are 199999 and 600000 instead of 200000 and 600000' });
});

test('no machine left an error on the page', async () => {
  await visit?.close();
});
