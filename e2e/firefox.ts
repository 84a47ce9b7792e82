// SPDX-License-Identifier: Apache-2.0
// The page and its compiler in Firefox: a boot, commands, hot code on both harts beside the interpreter, what the engine has
// and lacks, floating point to the last bit, programs with races, snapshots, the end, a broken file, a frame. Not one of the
// *.test.ts that the part e2e runs: `npm test -- --only firefox`.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Statistics } from '../web/api/index.ts';
import { fusedSum, multiplyAdd } from './fused.ts';
import { compileBare, GuestPrograms, runInPage } from './guest-programs.ts';
import { inPage, openFirefox, PuppeteerVisit, type PuppeteerSite } from './puppeteer-support.ts';
import { restoreRounds } from './restore-rounds.ts';
import { kSlow } from './support.ts';

/** A browser for the tests of a describe(). */
function useFirefox(preferences: Record<string, unknown> = {}): { site: PuppeteerSite } {
  const holder = {} as { site: PuppeteerSite };
  before(async () => {
    holder.site = await openFirefox(preferences);
  });
  after(() => holder.site.close());
  return holder;
}

const statistics = (visit: PuppeteerVisit): Promise<Statistics> =>
  visit.page.evaluate(() => {
    if (globalThis.hartwood.machine === null) throw new Error('there is no machine');
    return globalThis.hartwood.machine.stat();
  });

/** A hot loop of the shell, and its result. */
const kLoop = 'i=0; x=1; while [ $i -lt 20000 ]; do x=$(((x * 1103515245 + 12345) % 2147483648)); i=$((i + 1)); done; echo $x';
function loopResult(): string {
  let x = 1n;
  for (let i = 0; i < 20_000; i++) x = (x * 1103515245n + 12345n) % 2147483648n;
  return `${x}\n`;
}

/** (func (param v128 v128 v128) (result v128) the f64x2.relaxed_madd of the three) */
const kRelaxed = [
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 8, 1, 0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b, 3, 2, 1, 0,
  0x0a, 0x0d, 1, 0x0b, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfd, 0x87, 2, 0x0b,
];
const knowsRelaxed = (visit: PuppeteerVisit): Promise<boolean> =>
  visit.page.evaluate((bytes) => WebAssembly.validate(Uint8Array.from(bytes)), kRelaxed);
const processorFuses = process.arch === 'arm64' || / fma /.test(readFileSync('/proc/cpuinfo', 'utf8'));

/** programs/fused.c on two harts: right to the last bit. Resolves with the machine's statistics. */
async function runFused(visit: PuppeteerVisit, site: PuppeteerSite, compiler: 'early' | false): Promise<Statistics> {
  const kernel = compileBare('fused').toString('base64');
  const { exit, console: printed, statistics } = await visit.page.evaluate(runInPage, {
    base: site.url, kernel, data: null, timeout: kSlow,
    options: { harts: 2, memory: 64, firmware: 'none' as const, console: 'uart' as const, compiler },
  });
  assert.deepEqual(exit, { reason: 'exited', code: 0 });
  assert.equal(printed.trim(), `sums ${fusedSum(0.3)} ${fusedSum(0.7)}`);
  return statistics;
}

const kHostPage = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>host</title>';
const kHostHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Puts embed.html into the page that is open, and uses its shell over the protocol. */
async function useFrame(visit: PuppeteerVisit, address: string): Promise<void> {
  const output = await visit.page.evaluate((src, timeout) => new Promise<string>((resolve, reject) => {
    const frame = document.createElement('iframe');
    frame.allow = 'cross-origin-isolated';
    frame.width = '800';
    frame.height = '400';
    let text = '';
    let asked = false;
    const late = setTimeout(() => reject(new Error(`no answer, only: ${text}`)), timeout);
    addEventListener('message', ({ data, source }) => {
      if (source !== frame.contentWindow || data?.hartwood !== 1) return;
      if (data.type === 'error') reject(new Error(data.message));
      if (data.type !== 'output') return;
      text += data.text;
      if (!asked && /:~# /.test(text)) {
        asked = true;
        frame.contentWindow?.postMessage({ hartwood: 1, type: 'input', text: 'echo $(uname -m) $((40+2)) $(nproc)\n' }, new URL(src).origin);
      }
      if (!/riscv64 42 \d/.test(text)) return;
      clearTimeout(late);
      resolve(text);
    });
    frame.src = src;
    document.body.append(frame);
  }), address, kSlow);
  assert.match(output, /riscv64 42 2/);
}

describe('Firefox', () => {
  const firefox = useFirefox();

  test('boots with two harts, isolated, and takes commands', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(firefox.site.url);
      await visit.waitFor(/Linux version 6\./);
      await visit.prompt();
      assert.deepEqual(await visit.page.evaluate(() => [crossOriginIsolated, navigator.userAgent.includes('Firefox/')]), [true, true]);
      assert.deepEqual(await visit.run('uname -m'), { output: 'riscv64\n', status: 0 });
      assert.deepEqual(await visit.run('nproc'), { output: '2\n', status: 0 });
      assert.deepEqual(await visit.run('seq 1 1000 | grep 7 | wc -l'), { output: '271\n', status: 0 });
      assert.equal((await visit.run('no-such-command')).status, 127);
      const lines = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join('');
      const sum = createHash('sha256').update(lines).digest('hex');
      assert.equal((await visit.run('seq 1 60000 > /tmp/n && gzip /tmp/n && gunzip -c /tmp/n.gz | sha256sum')).output, `${sum}  -\n`);
      assert.deepEqual([await visit.text('#state'), await visit.text('#harts')], ['Running', '2 harts']);
      // The browser's own scroll bar would stand beside the terminal's.
      assert.equal(await visit.page.$eval('.xterm-viewport', (each) => (each as HTMLElement).offsetWidth - each.clientWidth), 0);
    }));

  test('hot code is compiled, reaches both harts, and computes what the interpreter does', async () => {
    const results: string[] = [];
    for (const compiler of ['early', 'off']) {
      await inPage(firefox.site, async (visit) => {
        await visit.page.goto(`${firefox.site.url}?compiler=${compiler}`);
        await visit.prompt();
        const before = await statistics(visit);
        const { output } = await visit.run(`(${kLoop}) & (${kLoop}); wait`);
        results.push(...output.split('\n').filter((line) => /^\d+$/.test(line)).map((line) => `${line}\n`));
        const after = await statistics(visit);
        assert.ok(after.harts.every((hart, index) => hart.instructions > (before.harts[index]?.instructions ?? 0) + 1e6));
        if (compiler === 'off') {
          assert.equal(after.compiler, null);
          assert.ok(after.harts.every((hart) => hart.modulesInstalled === 0));
        } else {
          assert.ok(after.compiler !== null && after.compiler.modulesCompiled > 0 && after.compiler.regionsCompiled > 0);
          assert.equal(after.compiler.modulesFailed, 0);
          assert.deepEqual(after.harts.map((hart) => hart.modulesInstalled > 0), [true, true]);
        }
      });
    }
    assert.deepEqual(results, Array(4).fill(loopResult()));
  });

  test('what the page collects takes no translated code with it', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(`${firefox.site.url}?compiler=early`);
      await visit.prompt();
      await visit.type(`${kLoop}\n`);
      const { compiler } = await statistics(visit);
      await visit.page.waitForFunction(
        (before) => (globalThis.hartwood.machine?.stat().compiler?.modulesCompiled ?? 0) > before + 10, {}, compiler?.modulesCompiled ?? 0);
      // Garbage, ports above all: with the object of a port that was posted to a worker, Firefox drops the modules that are
      // under way on it. The hart that sleeps has some that wait for it.
      await visit.page.evaluate(() => {
        setInterval(() => {
          for (let i = 0; i < 3000; i++) new MessageChannel();
        }, 50);
      });
      await visit.waitFor(new RegExp(`\\r\\n${loopResult().trim()}\\r\\n[^]*:~# `));
      // Wakes both.
      assert.equal((await visit.run('for i in 1 2 3 4; do sleep 0.1 & done; wait; echo $((6*7))')).output.split('\n').at(-2), '42');
    }));

  test('fused multiply-adds are right to the last bit, by relaxed SIMD where engine and processor have it', () =>
    inPage(firefox.site, async (visit) => {
      assert.notEqual(fusedSum(0.3, (a, b, c) => a * b + c), fusedSum(0.3, multiplyAdd), 'the program tells them apart');
      await visit.watchModules();
      await visit.page.goto(`${firefox.site.url}licences.html`); // any page of the site
      const expected = await knowsRelaxed(visit) && processorFuses;
      const { compiler, harts } = await runFused(visit, firefox.site, 'early');
      const seen = await visit.seenModules();
      assert.ok(seen.count > 0 && seen.hinted > 0, JSON.stringify(seen));
      assert.equal(seen.fused > 0, expected, JSON.stringify(seen));
      assert.deepEqual([compiler?.modulesFailed, ...harts.map((hart) => hart.modulesInstalled > 0)], [0, true, true]);
      assert.equal((await runFused(visit, firefox.site, false)).compiler, null);
    }));

  test('the page is at the prompt of its snapshot at once, with what the machine printed before', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(firefox.site.url);
      await visit.page.waitForFunction(() => globalThis.hartwood?.machine != null);
      const { instructions, uptime } = await statistics(visit);
      assert.ok(instructions > 50e6, `${instructions} instructions: it has not booted before`);
      assert.ok(uptime < kSlow);
      await visit.waitFor(/Linux version 6[^]*:~# /);
      assert.match((await visit.run('cat /proc/uptime; echo $((6*7))')).output, /^\d+\.\d+ \d+\.\d+\n42\n$/);
      await visit.page.evaluate(() => globalThis.hartwood.machine?.loaded);
    }));

  test('Machine.instant(), a snapshot of it, increments, and two machines of one snapshot', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(`${firefox.site.url}licences.html`); // any page of the site
      const { kept, drawn, increment } = await visit.page.evaluate(async (base, timeout) => {
        const { Machine } = await import(`${base}hartwood.js`) as typeof import('../web/api/index.ts');
        const says = async (machine: Awaited<ReturnType<typeof Machine.instant>>, command: string, pattern: RegExp): Promise<string> => {
          machine.console.write(`${command}\n`);
          return (await machine.waitFor(pattern, { timeout }))[1] ?? '';
        };
        const first = await Machine.instant();
        await first.waitFor(/:~# /, { timeout });
        await says(first, 'X=kept; echo file > /tmp/f; echo o$((1+1))k', /o2k/);
        const full = await first.snapshot();
        await says(first, 'echo more > /tmp/f; echo o$((1+1))k', /o2k/);
        const more = await first.snapshot({ increment: true });
        first.terminate();
        const kept: string[] = [];
        const drawn: string[] = [];
        for (const source of [full, full, [full, more]]) {
          const machine = await Machine.restore(source);
          kept.push(await says(machine, 'echo =$X=$(cat /tmp/f)=', /\n=(kept=\w+)=/));
          drawn.push(await says(machine, 'head -c 16 /dev/urandom | md5sum', /\n([0-9a-f]{32}) /));
          machine.terminate();
        }
        return { kept, drawn, increment: more.size / full.size };
      }, firefox.site.url, kSlow);
      assert.deepEqual(kept, ['kept=file', 'kept=file', 'kept=more']);
      assert.equal(new Set(drawn).size, 3);
      assert.ok(increment < 0.5, `an increment of ${increment} of the whole`);
    }));

  for (const harts of [2, 1]) {
    test(`two restores of a machine of ${harts} harts that compiles, forks and writes`, { timeout: 240_000 }, () =>
      inPage(firefox.site, async (visit) => {
        await visit.page.goto(`${firefox.site.url}licences.html`); // any page of the site
        const log = await visit.page.evaluate(restoreRounds, { base: firefox.site.url, harts, rounds: 2, timeout: kSlow });
        assert.equal(log.length, 3);
      }));
  }

  test('poweroff ends the machine, and a button starts it again', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(firefox.site.url);
      await visit.prompt();
      await visit.type('poweroff\n');
      assert.match(await visit.visibleText('#notice-text'), /powered off/);
      assert.equal(await visit.text('#state'), 'Off');
      await visit.page.waitForFunction(() => globalThis.hartwood.machine === null || globalThis.hartwood.machine.state === 'ended');
      await visit.page.click('#restart');
      await visit.page.waitForFunction(() => globalThis.hartwood.machine?.state === 'running');
      await visit.prompt();
    }));

  test('says what is wrong: a broken kernel file', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(`${firefox.site.url}?kernel=licences.html`);
      assert.equal(await visit.visibleText('#failure-title'), 'The machine cannot use a file');
      assert.ok((await visit.text('#failure-text')).length > 10);
      assert.equal(await visit.text('#state'), 'Failed');
    }));

  test('embed.html boots in a frame of the same origin', () =>
    inPage(firefox.site, async (visit) => {
      const address = `${firefox.site.url}around.html`;
      await visit.intercept(/\/around\.html$/, (request) => request.respond({ status: 200, headers: kHostHeaders, body: kHostPage }));
      await visit.page.goto(address);
      await useFrame(visit, `${firefox.site.url}embed.html?harts=2`);
    }));

  test('embed.html boots in a frame of another origin', () =>
    inPage(firefox.site, async (visit) => {
      const host = createServer((_request, response) => response.writeHead(200, kHostHeaders).end(kHostPage));
      await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
      try {
        // Another host name as well as another port: another site, and so another process.
        const hostUrl = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
        await visit.page.goto(hostUrl);
        await useFrame(visit, `${firefox.site.url}embed.html?harts=2&origins=${encodeURIComponent(hostUrl)}`);
      } finally {
        host.close();
        host.closeAllConnections();
      }
    }));

  describe('multi-hart programs', () => {
    const programs = new GuestPrograms();
    let visit: PuppeteerVisit;
    before(async () => {
      visit = await PuppeteerVisit.blank(firefox.site);
      await visit.page.goto(`${firefox.site.url}licences.html`); // any page of the site
    });
    after(() => programs.remove());

    const names = programs.all.map(({ name }) => name).filter((name) => name !== 'dies');
    for (const name of names) {
      test(name, async () => {
        const program = programs.named(name);
        const { exit, data } = await visit.page.evaluate(runInPage, programs.order(program, firefox.site.url, kSlow));
        assert.deepEqual(exit, { reason: 'poweroff', code: 0 });
        const { fine, text } = programs.look(program, Buffer.from(data, 'base64'));
        assert.ok(fine, text);
      });
    }

    test('no machine left an error on the page', () => visit.close());
  });
});

describe('Firefox without relaxed SIMD and branch hints', () => {
  const firefox = useFirefox({ 'javascript.options.wasm_relaxed_simd': false, 'javascript.options.wasm_branch_hinting': false });

  test('fused multiply-adds are right to the last bit, without relaxed SIMD', () =>
    inPage(firefox.site, async (visit) => {
      await visit.watchModules();
      await visit.page.goto(`${firefox.site.url}licences.html`);
      assert.equal(await knowsRelaxed(visit), false);
      const { compiler, harts } = await runFused(visit, firefox.site, 'early');
      const seen = await visit.seenModules();
      assert.ok(seen.count > 0 && seen.fused === 0 && seen.hinted > 0, JSON.stringify(seen));
      assert.deepEqual([compiler?.modulesFailed, ...harts.map((hart) => hart.modulesInstalled > 0)], [0, true, true]);
    }));

  test('the page boots and compiles', () =>
    inPage(firefox.site, async (visit) => {
      await visit.page.goto(`${firefox.site.url}?compiler=early`);
      await visit.prompt();
      assert.equal((await visit.run(kLoop)).output, loopResult());
      assert.deepEqual((await statistics(visit)).harts.map((hart) => hart.modulesInstalled > 0), [true, true]);
    }));
});
