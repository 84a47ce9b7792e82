// SPDX-License-Identifier: Apache-2.0
// A page with a machine whose shell tests use, driven by puppeteer-core: in Debian's Firefox over WebDriver BiDi, because
// Playwright needs a Firefox of its own, and in Chromium where a page has to be hidden, because Playwright shows them all.
// HARTWOOD_DIST names another folder than dist/, HARTWOOD_FIREFOX and HARTWOOD_CHROMIUM other browsers.
import assert from 'node:assert/strict';
import puppeteer, { type Browser, type BrowserContext, type Frame, type HTTPRequest, type Page } from 'puppeteer-core';
import { serve } from '../tools/serve.mjs';
import { kBase, kPrompt, kSlow } from './support.ts';

export interface PuppeteerSite {
  browser: Browser;
  /** The address of dist/, with a slash at its end. */
  url: string;
  close(): Promise<void>;
}

/** `preferences`: of about:config. */
export const openFirefox = (preferences: Record<string, unknown> = {}): Promise<PuppeteerSite> => open(() => puppeteer.launch({
  browser: 'firefox', executablePath: process.env['HARTWOOD_FIREFOX'] ?? '/usr/bin/firefox-esr', headless: true,
  protocol: 'webDriverBiDi', protocolTimeout: 2 * kSlow, extraPrefsFirefox: preferences,
}));

/** A Chromium that spares itself the work for pages that nobody sees, as it does for people. */
export const openSparingChromium = (): Promise<PuppeteerSite> => open(() => puppeteer.launch({
  executablePath: process.env['HARTWOOD_CHROMIUM'] ?? '/usr/bin/chromium', headless: true, protocolTimeout: 2 * kSlow,
  args: ['--no-sandbox', '--disable-gpu'],
  ignoreDefaultArgs: ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding'],
}));

async function open(launch: () => Promise<Browser>): Promise<PuppeteerSite> {
  const server = await serve({ port: 0, base: kBase, ...(process.env['HARTWOOD_DIST'] ? { root: process.env['HARTWOOD_DIST'] } : {}) });
  try {
    const browser = await launch();
    return {
      browser, url: server.url,
      close: async () => {
        await browser.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** What the compiler worker gave to the engine, once watchModules() was called before the machine started. */
export interface SeenModules {
  count: number;
  fused: number;
  hinted: number;
}

/** Stands before the compiler worker's own text: tells the page what is in each module. */
const kWatchModules = `{
  const compile = WebAssembly.compile.bind(WebAssembly);
  const channel = new BroadcastChannel('modules');
  WebAssembly.compile = async (bytes) => {
    const module = await compile(bytes);
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    channel.postMessage({
      fused: /\\xfd[\\x87\\x88]\\x02\\xfd\\x21\\x00/.test(text), // f64x2.relaxed_madd or nmadd, and its lane
      hinted: WebAssembly.Module.customSections(module, 'metadata.code.branch_hint').length !== 0,
    });
    return module;
  };
}
`;

/** A page with its own cookies and storage. Uncaught errors, and what violates the content security policy, fail at close(). */
export class PuppeteerVisit {
  readonly page: Page;
  private readonly context: BrowserContext;
  private readonly problems: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on('pageerror', (error) => this.problems.push(`page error: ${String(error)}`));
    page.on('console', (message) => {
      if (message.type() === 'error' || /content.security.policy/i.test(message.text())) this.problems.push(message.text());
    });
  }

  static async blank(site: PuppeteerSite): Promise<PuppeteerVisit> {
    const context = await site.browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(kSlow);
    await page.setViewport({ width: 1280, height: 800 });
    return new PuppeteerVisit(context, page);
  }

  async end(): Promise<void> {
    await this.context.close();
  }

  async close(): Promise<void> {
    await this.end();
    assert.deepEqual(this.problems, []);
  }

  /** Answers requests for addresses that match; all others go to the server. Before the page is opened. */
  async intercept(pattern: RegExp, answer: (request: HTTPRequest) => Promise<void>): Promise<void> {
    await this.page.setRequestInterception(true);
    this.page.on('request', (request) => {
      const handled = pattern.test(request.url()) ? answer(request) : request.continue();
      handled.catch((error: unknown) => this.problems.push(`${request.url()}: ${String(error)}`));
    });
  }

  /** Before the page is opened. */
  async watchModules(): Promise<void> {
    await this.page.evaluateOnNewDocument(() => {
      const seen: SeenModules = { count: 0, fused: 0, hinted: 0 };
      const channel = new BroadcastChannel('modules');
      channel.onmessage = ({ data }: MessageEvent<{ fused: boolean; hinted: boolean }>) => {
        seen.count++;
        seen.fused += Number(data.fused);
        seen.hinted += Number(data.hinted);
      };
      Object.assign(globalThis, { seenModules: seen, modulesChannel: channel });
    });
    await this.intercept(/\/compiler-worker-[^/]*\.js$/, async (request) => {
      const response = await fetch(request.url());
      const headers = Object.fromEntries(response.headers);
      for (const name of ['content-encoding', 'content-length', 'etag', 'transfer-encoding']) delete headers[name];
      await request.respond({ status: response.status, headers, body: kWatchModules + await response.text() });
    });
  }

  async seenModules(): Promise<SeenModules> {
    return this.page.evaluate(() => (globalThis as unknown as { seenModules: SeenModules }).seenModules);
  }

  /** Resolves with the text of the first match in what the machine printed since the last one. */
  async waitFor(pattern: RegExp): Promise<string> {
    await this.page.waitForFunction(() => globalThis.hartwood?.machine != null);
    return this.page.evaluate(async (source, flags, timeout) => {
      const machine = globalThis.hartwood.machine;
      if (machine === null) throw new Error('there is no machine');
      return (await machine.waitFor(new RegExp(source, flags), { timeout }))[0];
    }, pattern.source, pattern.flags, kSlow).catch(async (error: unknown) => {
      const shown = await this.page.$$eval('#failure-text, #failure-detail', (all) => all.map((each) => each.textContent).join('\n'));
      throw new Error(`no ${pattern}; the page says: ${shown}`, { cause: error });
    });
  }

  async prompt(): Promise<void> {
    await this.waitFor(kPrompt);
  }

  /** Types keys into the terminal, as a person does. */
  async type(text: string): Promise<void> {
    await this.page.focus('.xterm-helper-textarea');
    await this.page.keyboard.type(text);
  }

  /** Runs a shell command at the prompt; its output and exit status. */
  async run(command: string): Promise<{ output: string; status: number }> {
    await this.type(`${command}; echo "@$?"\n`);
    const text = await this.waitFor(/echo "@\$\?"\r\n[^]*?@\d+\r\n[^]*?:~# /);
    const match = /echo "@\$\?"\r\n([^]*?)@(\d+)\r\n/.exec(text);
    assert.ok(match !== null, `no answer to ${command}: ${text}`);
    return { output: (match[1] ?? '').replaceAll('\r\n', '\n'), status: Number(match[2]) };
  }

  /** Resolves with an element's text, when it is visible. */
  async visibleText(selector: string, frame: Page | Frame = this.page): Promise<string> {
    await frame.waitForSelector(selector, { visible: true });
    return frame.$eval(selector, (element) => element.textContent ?? '');
  }

  async text(selector: string): Promise<string> {
    return this.page.$eval(selector, (element) => element.textContent ?? '');
  }
}

/** Opens a visit, passes it to `body`, and closes it whatever happens. */
export async function inPage(site: PuppeteerSite, body: (visit: PuppeteerVisit) => Promise<void>): Promise<void> {
  const visit = await PuppeteerVisit.blank(site);
  let failed = true;
  try {
    await body(visit);
    failed = false;
  } finally {
    if (failed) await visit.end();
    else await visit.close();
  }
}
