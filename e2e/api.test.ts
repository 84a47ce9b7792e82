// SPDX-License-Identifier: Apache-2.0
// The API as a page of one's own uses it: dist/hartwood.js on a page without anything else. Several machines at once, hot
// ones that end, memory that comes back, errors.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type * as Api from '../web/api/index.ts';
import { withApi as onPage } from './api-page.ts';
import { kSlow, useSite, type Visit } from './support.ts';

const site = useSite();
const withApi = (body: (visit: Visit) => Promise<void>): Promise<void> => onPage(site, body);

/** MiB resident in the browser's processes: our own descendants. */
function residentMebibytes(): number {
  const children = new Map<string, string[]>();
  const resident = new Map<string, number>();
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${id}/status`, 'utf8');
      const parent = /PPid:\s+(\d+)/.exec(status)?.[1] ?? '';
      children.set(parent, [...(children.get(parent) ?? []), id]);
      resident.set(id, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (id: string): number =>
    (children.get(id) ?? []).reduce((sum, child) => sum + (resident.get(child) ?? 0) + below(child), 0);
  return Math.round(below(String(process.pid)) / 1024);
}

test('two machines on one page know nothing of each other', () =>
  withApi(async ({ page }) => {
    const seen = await page.evaluate(async (timeout) => {
      const boot = (harts: number) => globalThis.api.Machine.boot({ harts, memory: 128, append: 'quiet' });
      const [one, two] = await Promise.all([boot(1), boot(2)]);
      await Promise.all([one.waitFor(/:~# /, { timeout }), two.waitFor(/:~# /, { timeout })]);
      one.console.write('echo first $(nproc)\n');
      two.console.write('echo second $(nproc)\n');
      const answers = await Promise.all([
        one.waitFor(/(first|second) \d/, { timeout }), two.waitFor(/(first|second) \d/, { timeout }),
      ]);
      one.console.write('poweroff\n');
      const exit = await one.exited;
      two.console.write('echo still $((3*4))\n');
      await two.waitFor('still 12', { timeout });
      const states = [one.state, two.state];
      two.terminate();
      return { answers: answers.map((each) => each[0]), exit, states, last: await two.exited };
    }, kSlow);
    assert.deepEqual(seen, {
      answers: ['first 1', 'second 2'], exit: { reason: 'poweroff', code: 0 }, states: ['ended', 'running'],
      last: { reason: 'terminated', code: 0 },
    });
  }));

test('the console can be read as a sequence', () =>
  withApi(async ({ page }) => {
    const text = await page.evaluate(async (timeout) => {
      const machine = await globalThis.api.Machine.boot({ harts: 1, memory: 64 });
      void machine.waitFor(/:~# /, { timeout }).then(() => machine.console.write('poweroff -f\n'));
      const decoder = new TextDecoder();
      let whole = '';
      for await (const bytes of machine.console) whole += decoder.decode(bytes, { stream: true });
      return whole;
    }, kSlow);
    assert.match(text, /Linux version[^]*:~# /);
  }));

test('options that are wrong are refused before anything starts', () =>
  withApi(async ({ page }) => {
    const errors = await page.evaluate(async () => {
      const wrong: unknown[] = [{ harts: 0 }, { memory: 77 }, { kernel: 5 }, { cpus: 1 }, { append: 7 }, null];
      const messages: string[] = [];
      for (const options of wrong) {
        await globalThis.api.Machine.boot(options as Api.BootOptions).then(
          () => messages.push('booted'),
          (error: Api.MachineError) => messages.push(`${error.name} ${error.code} ${error.message}`));
      }
      return messages;
    });
    assert.equal(errors.length, 6);
    for (const message of errors) assert.match(message, /^MachineError bad-option /);
    assert.equal(page.workers().length, 0);
  }));

test('too large a machine is an error of its own kind', () =>
  withApi(async ({ page }) => {
    const error = await page.evaluate(async () => {
      const part = new Blob([new Uint8Array(16 << 20)]);
      const disk = new Blob(Array.from({ length: 130 }, () => part)); // 2080 MiB, which nobody reads
      const seen: string[] = [];
      await globalThis.api.Machine.boot({ memory: 2048, disk, onError: (each) => seen.push(each.code) })
        .then(() => seen.push('booted'), (each: Api.MachineError) => seen.push(each.code, each.message));
      return seen;
    });
    assert.deepEqual(error.slice(0, 2), ['out-of-memory', 'out-of-memory']);
    assert.match(error[2] ?? '', /needs \d+ MiB; a browser gives at most 4096 MiB/);
    await page.waitForFunction(() => true);
  }));

test('a busy machine answers mail within milliseconds, pauses, resumes, and is gone as soon as it is terminated', () =>
  withApi(async (visit) => {
    const { page } = visit;
    const result = await page.evaluate(async (timeout) => {
      const machine = await globalThis.api.Machine.boot({ harts: 2, memory: 128, append: 'quiet' });
      globalThis.machines = [machine];
      await machine.waitFor(/:~# /, { timeout });
      machine.console.write('while :; do :; done & while :; do :; done\n');
      const start = machine.stat().instructions;
      while (machine.stat().instructions < start + 100e6) await new Promise(requestAnimationFrame);
      const times: number[] = [];
      for (let i = 0; i < 50; i++) times.push(await machine.ping(i % 2));
      await machine.pause();
      await machine.resume();
      machine.console.write('\x03');
      await machine.waitFor(/\^C[^]*:~# /, { timeout });
      machine.console.write('while :; do :; done\n');
      await machine.waitFor(/done\r\n/, { timeout });
      times.sort((a, b) => a - b);
      return { median: times[25] ?? NaN };
    }, kSlow);
    // Idle machines need well under a millisecond; this bound only says that nobody waits for the end of a long slice.
    assert.ok(result.median < 250, `${result.median} ms`);
    assert.equal(page.workers().length, 5); // io, two harts, clock, compiler
    const gone = Promise.all(page.workers().map((worker) => worker.waitForEvent('close', { timeout: kSlow })));
    await page.evaluate(() => globalThis.machines[0]?.terminate());
    await gone;
    assert.equal(page.workers().length, 0);
  }));

test('starting and terminating twenty times leaves the memory flat', () =>
  withApi(async (visit) => {
    const session = await visit.context.newCDPSession(visit.page);
    const cycle = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await visit.page.evaluate(async (timeout) => {
          const machine = await globalThis.api.Machine.boot({ harts: 2, memory: 128 });
          await machine.waitFor(/Linux version/, { timeout });
          machine.terminate();
          await machine.exited;
        }, kSlow);
      }
      // Browsers free such memories when they collect garbage; so that the figure is not one of chance, now.
      for (let i = 0; i < 2; i++) await session.send('HeapProfiler.collectGarbage');
    };
    await cycle(4);
    const before = residentMebibytes();
    await cycle(20);
    let after = residentMebibytes();
    for (let tries = 0; after > before + 60 && tries < 20; tries++) {
      await session.send('HeapProfiler.collectGarbage');
      await visit.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 250)));
      after = residentMebibytes();
    }
    // One machine that is kept holds some 40 MiB of pages that it touched; twenty would be 800.
    assert.ok(after <= before + 60, `${before} MiB before, ${after} MiB after`);
    assert.equal(visit.page.workers().length, 0);
  }));
