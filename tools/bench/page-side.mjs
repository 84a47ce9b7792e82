// SPDX-License-Identifier: Apache-2.0
// The page's half of `npm run bench`: a folder like dist/ in Chromium, measured from outside as a visitor meets it. One
// browser and one profile on disk, so that after some visits its caches are warm as a visitor's are: HTTP's, and that
// of compiled JavaScript, which Chromium leaves out of profiles in memory.
import { constants, copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { chromium } from 'playwright-core';
import { buildDir, UserError } from '../lib/project.mjs';
import { serve } from '../serve.mjs';
import { startCountingProxy } from './counting-proxy.mjs';
import { cpuShare } from './cpu-time.mjs';
import { settledBytes } from './memory.mjs';
import { promptPattern, readResult, resultPattern } from './numbers.mjs';

const chromiumProgram = process.env.HARTWOOD_CHROMIUM ?? '/usr/bin/chromium';
const patience = 300_000;  // ms
const viewport = { width: 1280, height: 800 };
const mostVisits = 8;      // until the caches are taken for warm
const sampleAge = 250;     // ms; machine.stat() may be up to 200 ms old

export class PageSide {
  /** `dist`: the folder to serve. `initrd`: the archive with the guest's programs, for the visits that run them. */
  static async open(dist, initrd) {
    const side = new PageSide();
    side.initrd = initrd;
    side.folder = mkdtempSync(join(tmpdir(), 'hartwood-page-'));
    cpSync(dist, side.folder, { recursive: true });
    side.server = await serve({ root: side.folder, port: 0 });
    side.profile = mkdtempSync(join(tmpdir(), 'hartwood-profile-'));
    try {
      side.context = await chromium.launchPersistentContext(side.profile, {
        executablePath: chromiumProgram,
        args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
        viewport,
      });
    } catch (error) {
      await side.server.close();
      side.removeFolders();
      throw new UserError(`Chromium does not start: ${error.message}`);
    }
    side.browser = side.context.browser();
    return side;
  }

  /** A profile in memory that nothing was loaded into. */
  newContext() {
    return this.browser.newContext({ viewport });
  }

  async close() {
    await this.context.close();
    await this.server.close();
    this.removeFolders();
  }

  removeFolders() {
    for (const folder of [this.profile, this.folder]) rmSync(folder, { recursive: true, force: true });
  }

  /** Serves the file beside the page; returns its address there. It may be large, which Playwright's routes do not stand. */
  serveFile(path) {
    const name = `bench_${basename(path)}`;
    copyFileSync(path, join(this.folder, name), constants.COPYFILE_FICLONE);
    return name;
  }

  /** Opens `query` below `url` in a new page of `context`; calls body(page, milliseconds from navigation to prompt). */
  async atPrompt(query, body, { context = this.context, url = this.server.url } = {}) {
    const page = await context.newPage();
    try {
      page.setDefaultTimeout(patience);
      await page.goto(url + query, { waitUntil: 'commit' });
      // Looks in the page, at each of its frames, so that nothing of ours runs beside the boot.
      await page.waitForFunction(() => globalThis.hartwood?.machine != null || !document.getElementById('failure')?.hidden);
      const answer = await page.evaluate(async ([source, timeout]) => {
        const { machine } = globalThis.hartwood;
        if (machine === null) return { failure: document.getElementById('failure').innerText };
        await machine.waitFor(new RegExp(source), { timeout });
        return { milliseconds: performance.now() };
      }, [promptPattern.source, patience]);
      if (answer.failure !== undefined) throw new UserError(`the page failed to boot: ${answer.failure}`);
      return await body(page, answer.milliseconds);
    } finally {
      await page.close();
    }
  }

  /** Opens `query` in a new page of the context that keeps what visits load, and calls body(page). */
  async atAddress(query, body) {
    const page = await this.context.newPage();
    try {
      page.setDefaultTimeout(patience);
      await page.goto(this.server.url + query, { waitUntil: 'commit' });
      return await body(page);
    } finally {
      await page.close();
    }
  }

  /** Visits the page until the browser keeps compiled scripts of it, and a visit adds none. */
  async warmCaches() {
    let kept = 0;
    for (let visit = 0; visit < mostVisits; visit++) {
      await this.bootTime();
      const before = kept;
      kept = this.compiledScripts();
      if (kept > 0 && kept === before) return;
    }
  }

  /** How many Chromium keeps in the profile. */
  compiledScripts() {
    const folder = join(this.profile, 'Default/Code Cache/js');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('_0')).length : 0;
  }

  /** Milliseconds from navigation to prompt. `settings`: more of the address; a page ignores what it does not know. */
  bootTime(settings = '') {
    return this.atPrompt(`?harts=2${settings}`, (_, milliseconds) => milliseconds);
  }

  /**
   * Boots the archive with the guest's programs and calls body(run, page): run(command) types a command of tests/bench and
   * resolves to what it printed. Without `context` the visit is one in a fresh one.
   */
  async withGuest(harts, body, { compiler = true, context: given = null, initrd = this.initrd } = {}) {
    const context = given ?? await this.newContext();
    try {
      return await this.atPrompt(`?harts=${harts}&initrd=${this.serveFile(initrd)}${compiler ? '' : '&compiler=off'}`, (page) => body((command) => page.evaluate(async ([line, source, timeout]) => {
        const { machine } = globalThis.hartwood;
        machine.console.write(line);
        return (await machine.waitFor(new RegExp(source), { timeout }))[0];
      }, [`${command}\n`, resultPattern.source, patience]), page), { context });
    } finally {
      if (given === null) await context.close();
    }
  }

  /**
   * Map of program name to { seconds, result, instructions }, on one hart. Instructions are all that the machine retired
   * for that command, less what a command that does nothing takes.
   */
  runPrograms(names, divisor, options) {
    return this.withGuest(1, async (run, page) => {
      const count = async () => {
        await page.waitForTimeout(sampleAge);
        return page.evaluate(() => globalThis.hartwood.machine.stat().instructions);
      };
      const runOne = async (name) => {
        const before = await count();
        const text = await run(`~/bench ${name} ${divisor}`);
        return { text, instructions: await count() - before };
      };
      await runOne('none');  // the first one faults the program in
      const { instructions: overhead } = await runOne('none');
      const results = new Map();
      for (const name of names) {
        const { text, instructions } = await runOne(name);
        results.set(name, { ...readResult(text), instructions: Math.max(instructions - overhead, 0) });
      }
      return results;
    }, options);
  }

  /**
   * Calls body(run) with a program that is WebAssembly itself: run(argument, ...) starts it in a worker of its own and
   * resolves to what it printed. `folder`: what programs.mjs made for wasm32.
   */
  async withWasm32(folder, body) {
    const site = join(buildDir, 'bench', 'wasm32');
    rmSync(site, { recursive: true, force: true });
    cpSync(folder, site, { recursive: true });
    copyFileSync(new URL('kernel-worker.mjs', import.meta.url), join(site, 'kernel-worker.mjs'));
    writeFileSync(join(site, 'index.html'), '<!doctype html><title>kernels</title>\n');
    const server = await serve({ root: site, port: 0 });
    const page = await this.context.newPage();
    try {
      await page.goto(server.url);
      return await body((...args) => page.evaluate((given) => new Promise((done, fail) => {
        const worker = new Worker('kernel-worker.mjs', { type: 'module' });
        worker.onmessage = ({ data }) => {
          worker.terminate();
          if (data.code === 0) done(data.text);
          else fail(new Error(data.text));
        };
        worker.onerror = ({ message }) => fail(new Error(`the worker failed: ${message}`));
        worker.postMessage(given);
      }), args));
    } finally {
      await page.close();
      await server.close();
    }
  }

  /** Bytes that the browser has at the prompt, more than with an empty page. */
  async residentBytes(harts) {
    const process = await this.browserProcess();
    const empty = await this.context.newPage();
    const before = await settledBytes(process);
    await empty.close();
    return this.atPrompt(`?harts=${harts}`, async () => await settledBytes(process) - before);
  }

  /** The events of a Chromium trace of a boot with two harts and the commands `load` after it. */
  async trace(load) {
    await this.browser.startTracing(undefined, { categories: ['toplevel', 'devtools.timeline', 'v8', '__metadata'] });
    let buffer;
    try {
      await this.withGuest(2, async (run) => {
        for (const command of load) await run(command);
      }, { context: this.context });
    } finally {
      buffer = await this.browser.stopTracing();
    }
    return JSON.parse(buffer.toString()).traceEvents;
  }

  /** Share of one core that the whole browser uses at the idle prompt, over `seconds`, after `settle` seconds. */
  idleShare(harts, seconds, settle) {
    return this.atPrompt(`?harts=${harts}`, async (page) => {
      await page.waitForTimeout(settle * 1000);
      return cpuShare(await this.browserProcess(), seconds);
    });
  }

  async browserProcess() {
    const session = await this.browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    return processInfo.find(({ type }) => type === 'browser').id;
  }

  /** What a first visit loads until the prompt, as sent: [{ name, bytes }], largest first. */
  async download() {
    const proxy = await startCountingProxy(this.server.url);
    const context = await this.newContext();
    try {
      await this.atPrompt('?harts=2', async () => {}, { context, url: proxy.url });
      return proxy.files.toSorted((a, b) => b.bytes - a.bytes);
    } finally {
      await context.close();
      await proxy.close();
    }
  }
}
