// SPDX-License-Identifier: Apache-2.0
// What the end-to-end tests share: dist/ on a server, Debian's Chromium, and a page with a machine whose shell they use.
// HARTWOOD_DIST names another folder than dist/, HARTWOOD_CHROMIUM another browser.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import type { Machine } from '../web/api/index.ts';
import { serve } from '../tools/serve.mjs';


declare global {
  var hartwood: { readonly machine: Machine | null };
}

/** Below a path, as on many hosts. */
export const kBase = '/some/where/';
/** The shell asks the terminal for the cursor's place after each prompt, so this is not always the end. */
export const kPrompt = /:~# /;
export const kSlow = 60_000; // ms: for what takes a second on an idle machine

const kFlags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--js-flags=--expose-gc',
];

export interface Site {
  browser: Browser;
  /** The address of dist/, with a slash at its end. */
  url: string;
  /** The same files from another origin. */
  otherUrl: string;
}

/** Starts the servers and the browser before the tests of a file, and ends them after. */
export function useSite(): Site {
  const site = {} as Site;
  const closers: (() => Promise<unknown>)[] = [];
  before(async () => {
    const options = { port: 0, base: kBase, ...(process.env['HARTWOOD_DIST'] ? { root: process.env['HARTWOOD_DIST'] } : {}) };
    for (const key of ['url', 'otherUrl'] as const) {
      const server = await serve(options);
      closers.push(() => server.close());
      site[key] = server.url;
    }
    site.browser = await chromium.launch({ executablePath: process.env['HARTWOOD_CHROMIUM'] ?? '/usr/bin/chromium', args: kFlags });
    closers.push(() => site.browser.close());
  });
  after(async () => {
    for (const close of closers.reverse()) await close();
  });
  return site;
}

/** A page with its own profile. What violates the content security policy, and uncaught errors, fail the test at close(). */
export class Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  private readonly problems: string[] = [];
  /** Problems that the test provokes. */
  allow: RegExp | null = null;

  private constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on('pageerror', (error) => this.problems.push(`page error: ${error.message}`));
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) this.problems.push(message.text());
    });
  }

  static async open(site: Site, query = '', options: BrowserContextOptions = {}): Promise<Visit> {
    const visit = await Visit.blank(site, options);
    await visit.page.goto(site.url + query);
    return visit;
  }

  static async blank(site: Site, options: BrowserContextOptions = {}): Promise<Visit> {
    const context = await site.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    return new Visit(context, await context.newPage());
  }

  async close(): Promise<void> {
    // A file that the page still asks for when it closes must not reach a test's route in a closed context.
    await this.page.unrouteAll({ behavior: 'ignoreErrors' });
    await this.context.close();
    const serious = this.problems.filter((problem) => !this.allow?.test(problem));
    assert.deepEqual(serious, []);
  }

  /** Resolves with the text of the first match in what the machine printed since the last one. */
  async waitFor(pattern: RegExp, timeout = kSlow): Promise<string> {
    await this.page.waitForFunction(() => globalThis.hartwood?.machine != null, null, { timeout });
    return this.page.evaluate(
      async ({ source, flags, timeout }) => {
        const machine: Machine | null = globalThis.hartwood.machine;
        if (machine === null) throw new Error('there is no machine');
        return (await machine.waitFor(new RegExp(source, flags), { timeout }))[0];
      },
      { source: pattern.source, flags: pattern.flags, timeout },
    );
  }

  /** Waits for the shell. */
  async prompt(): Promise<void> {
    await this.waitFor(kPrompt);
  }

  /** Types keys into the terminal, as a person does. */
  async type(text: string): Promise<void> {
    await this.page.locator('.xterm-helper-textarea').focus();
    await this.page.keyboard.type(text);
  }

  /** Runs a shell command at the prompt; its output and exit status. */
  async run(command: string, timeout = kSlow): Promise<{ output: string; status: number }> {
    await this.type(`${command}; echo "@$?"\n`);
    const text = await this.waitFor(/echo "@\$\?"\r\n[^]*?@\d+\r\n[^]*?:~# /, timeout);
    const match = /echo "@\$\?"\r\n([^]*?)@(\d+)\r\n/.exec(text);
    assert.ok(match !== null, `no answer to ${command}: ${text}`);
    return { output: (match[1] ?? '').replaceAll('\r\n', '\n'), status: Number(match[2]) };
  }

  /** What the terminal shows, line by line. */
  async screen(): Promise<string[]> {
    return this.page.locator('.xterm-rows > div').allTextContents();
  }

  async screenShows(pattern: RegExp, timeout = kSlow): Promise<void> {
    await this.page.waitForFunction(
      ({ source, flags }) => {
        const rows = [...document.querySelectorAll('.xterm-rows > div')].map((row) => row.textContent).join('\n');
        return new RegExp(source, flags).test(rows.replaceAll('\u00a0', ' '));
      },
      { source: pattern.source, flags: pattern.flags }, { timeout },
    );
  }
}

/** Opens a visit, passes it to `body`, and closes it whatever happens. */
export async function visiting(
  site: Site, query: string, body: (visit: Visit) => Promise<void>, options: BrowserContextOptions = {},
): Promise<void> {
  const visit = await Visit.open(site, query, options);
  let failed = true;
  try {
    await body(visit);
    failed = false;
  } finally {
    if (failed) await visit.context.close();
    else await visit.close();
  }
}
