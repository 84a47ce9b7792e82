// SPDX-License-Identifier: Apache-2.0
// The multi-hart guest programs of tests/programs/ on real workers in Chromium, a new machine for each: locks, interrupt and
// fence storms, harts that start and stop, clocks, and litmus shapes. build/native/hartwood_guest_programs makes the files
// that boot; when a machine has powered off, it looks at what the program left in memory.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import type { MachineExit } from '../web/api/index.ts';
import { kSlow, useSite, Visit } from './support.ts';

interface Program {
  name: string;
  harts: number;
  /** Its data: what the check wants to see. */
  address: number;
  length: number;
}

const kTool = fileURLToPath(new URL('../build/native/hartwood_guest_programs', import.meta.url));
const site = useSite();
assert.ok(existsSync(kTool), `${kTool} is missing; "npm test -- --only e2e" builds it`);
const folder = mkdtempSync(join(tmpdir(), 'hartwood-programs-'));
after(() => rmSync(folder, { recursive: true }));
execFileSync(kTool, ['export', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
const programs = JSON.parse(readFileSync(join(folder, 'programs.json'), 'utf8')) as Program[];

/** One page for all machines, one after the other; closed by the last test. */
let visit: Visit | null = null;
async function page(): Promise<Page> {
  if (visit === null) {
    visit = await Visit.blank(site);
    await visit.page.route('**/program/*', (route) => route.fulfill({
      contentType: 'application/octet-stream',
      body: readFileSync(join(folder, decodeURIComponent(new URL(route.request().url()).pathname.split('/').at(-1) ?? ''))),
    }));
    await visit.page.goto(`${site.url}licences.html`); // any page of the site
  }
  return visit.page;
}

/** Boots the program's file; how the machine ended, and the program's data then. */
async function run({ name, harts, address, length }: Program): Promise<{ exit: MachineExit; data: Buffer }> {
  const file = `program/${encodeURIComponent(name)}.elf`;
  const { exit, data } = await (await page()).evaluate(async ({ base, file, harts, address, length, timeout }) => {
    const { Machine } = await import(`${base}hartwood.js`) as typeof import('../web/api/index.ts');
    const kernel = await (await fetch(file)).arrayBuffer();
    const machine = await Machine.boot({ harts, memory: 64, kernel, initrd: null, console: 'sbi', compiler: 'early', keepMemory: true });
    try {
      const exit = await Promise.race([machine.exited, new Promise<null>((resolve) => setTimeout(resolve, timeout, null))]);
      if (exit === null) throw new Error(`no end after ${timeout} ms: ${JSON.stringify(machine.stat())}`);
      const bytes = new Blob([machine.readMemory(address, length)]);
      const text = await new Promise<string>((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(String(reader.result));
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(bytes);
      });
      return { exit, data: text.slice(text.indexOf(',') + 1) };
    } finally {
      machine.terminate();
    }
  }, { base: site.url, file, harts, address, length, timeout: kSlow });
  return { exit, data: Buffer.from(data, 'base64') };
}

/** What the program's own check says of its data. */
function look({ name, length }: Program, data: Buffer): { fine: boolean; text: string } {
  assert.equal(data.length, length);
  const dump = join(folder, 'dump');
  writeFileSync(dump, data);
  const { status, stdout, stderr, error } = spawnSync(kTool, ['check', name, dump], { encoding: 'utf8' });
  assert.ok(status === 0 || status === 1, `the check failed: ${error?.message ?? stderr}`);
  return { fine: status === 0, text: stdout.trim() };
}

const kDies = 'dies';
for (const program of programs.filter(({ name }) => name !== kDies)) {
  test(program.name, async (context) => {
    const { exit, data } = await run(program);
    const { fine, text } = look(program, data);
    assert.ok(fine, text);
    assert.deepEqual(exit, { reason: 'poweroff', code: 0 });
    if (program.name.startsWith('litmus ')) context.diagnostic(text);
  });
}

function named(name: string): Program {
  const program = programs.find((each) => each.name === name);
  assert.ok(program !== undefined, `there is no ${name}`);
  return program;
}

test('a program that fails, and a result that is wrong, are noticed', async () => {
  const dead = await run(named(kDies));
  assert.deepEqual(dead.exit, { reason: 'poweroff', code: 1 });
  assert.deepEqual(look(named(kDies), dead.data), { fine: false, text: 'the program failed with 7' });

  const lock = named('amo_lock_4');
  const { data } = await run(lock);
  const counter = 0x180; // kCounter in tests/programs/guest.h
  data.writeBigUInt64LE(data.readBigUInt64LE(counter) - 1n, counter);
  assert.deepEqual(look(lock, data), { fine: false, text: 'counters are 199999 and 600000 instead of 200000 and 600000' });
});

test('no machine left an error on the page', async () => {
  await visit?.close();
});
