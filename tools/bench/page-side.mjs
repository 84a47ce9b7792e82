// SPDX-License-Identifier: Apache-2.0
// Our half of `npm run bench`: the page of dist/ in Chromium, measured from outside as a visitor meets it. One browser,
// one profile, so that the HTTP cache is warm after the first visit.
import { readdirSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { serve } from '../serve.mjs';
import { readKernelLines } from './kernel-lines.mjs';

const chromiumProgram = process.env.HARTWOOD_CHROMIUM ?? '/usr/bin/chromium';
const patience = 120_000;  // ms

export class PageSide {
  /** `initrd`: the archive with the guest programs, for the visits that run them. */
  static async open(initrd) {
    const side = new PageSide();
    side.server = await serve({ port: 0 });
    side.browserServer = await chromium.launchServer({
      executablePath: chromiumProgram,
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
    });
    side.browser = await chromium.connect(side.browserServer.wsEndpoint());
    side.context = await side.browser.newContext({ viewport: { width: 1280, height: 800 } });
    await side.context.route('**/bench.cpio', (route) => route.fulfill({
      path: initrd, contentType: 'application/octet-stream', headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
    }));
    return side;
  }

  async close() {
    await this.browser.close();
    await this.browserServer.close();
    await this.server.close();
  }

  /** Calls body(page) once the shell has prompted; page.promptAfter is the time since the navigation began, in ms. */
  async atPrompt(query, body) {
    const page = await this.context.newPage();
    try {
      page.setDefaultTimeout(patience);
      await page.goto(this.server.url + query);
      await page.waitForFunction(() => globalThis.hartwood?.machine != null, null, { polling: 20 });
      page.promptAfter = await page.evaluate(async (timeout) => {
        await globalThis.hartwood.machine.waitFor(/:~# /, { timeout });
        return performance.now();
      }, patience);
      return await body(page);
    } finally {
      await page.close();
    }
  }

  /** Milliseconds from navigation to prompt. */
  boot() {
    return this.atPrompt('?harts=2', (page) => page.promptAfter);
  }

  /** Map of kernel name to { seconds, result, instructions }: the last counts all that the machine retired meanwhile. */
  kernels(names) {
    return this.atPrompt('?harts=1&initrd=bench.cpio', async (page) => {
      const kernels = new Map();
      for (const name of names) {
        const { text, instructions } = await page.evaluate(async ({ command, timeout }) => {
          const { machine } = globalThis.hartwood;
          const before = machine.stat().instructions;
          machine.console.write(command);
          const [output] = await machine.waitFor(/kernel \w+ \d+ \w+\r\n[^]*:~# /, { timeout });
          // A sample is at most 200 ms old.
          await new Promise((done) => setTimeout(done, 250));
          return { text: output, instructions: machine.stat().instructions - before };
        }, { command: `/root/kernels ${name}\n`, timeout: patience });
        kernels.set(name, { ...readKernelLines(text).get(name), instructions });
      }
      return kernels;
    });
  }

  /** Share of one core that the whole browser uses at the idle prompt, over `seconds`. */
  idle(seconds) {
    return this.atPrompt('?harts=2', async (page) => {
      await page.waitForTimeout(2000);  // what booting left behind settles
      const before = processTreeSeconds(this.browserServer.process().pid);
      const start = performance.now();
      await page.waitForTimeout(seconds * 1000);
      const used = processTreeSeconds(this.browserServer.process().pid) - before;
      return used / ((performance.now() - start) / 1000);
    });
  }

  /** Bytes that a first visit loads, as sent (compressed). */
  async download() {
    const context = await this.browser.newContext();
    let bytes = 0;
    const sizes = [];
    context.on('requestfinished', (request) => sizes.push(request.sizes().then((size) => { bytes += size.responseBodySize; })));
    const page = await context.newPage();
    await page.goto(this.server.url);
    await page.waitForFunction(() => globalThis.hartwood?.machine != null, null, { timeout: patience });
    await page.evaluate((timeout) => globalThis.hartwood.machine.waitFor(/:~# /, { timeout }).then(() => {}), patience);
    await Promise.all(sizes);
    await context.close();
    return bytes;
  }
}

/** CPU seconds, user and system, that a process and its descendants have used (those still alive). */
function processTreeSeconds(top) {
  const ticksPerSecond = 100;  // Linux's USER_HZ
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      return [{ pid: Number(pid), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }];
    } catch {
      return [];
    }
  });
  const members = new Set([top]);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of processes) {
      if (members.has(parent) && !members.has(pid)) grown = Boolean(members.add(pid));
    }
  }
  return processes.filter(({ pid }) => members.has(pid)).reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond;
}
