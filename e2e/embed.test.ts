// SPDX-License-Identifier: Apache-2.0
// embed.html in a frame: of the same origin, of another one, of one that is not allowed, and without isolation. The pages
// around it are served by the test itself.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { kSlow, useSite, Visit } from './support.ts';

const site = useSite();

/** The page around the frame: keeps what the frame says in `messages`. */
const kHost = (frame: string) => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>host</title>
<iframe id="frame" width="800" height="400" allow="cross-origin-isolated" src="${frame.replaceAll('&', '&amp;')}"></iframe>
<script>
  const frame = document.getElementById('frame');
  window.messages = [];
  window.origin_ = new URL(frame.src).origin;
  window.say = (message) => frame.contentWindow.postMessage({ hartwood: 1, ...message }, window.origin_);
  window.addEventListener('message', (event) => {
    if (event.source === frame.contentWindow && event.data && event.data.hartwood === 1) {
      window.messages.push({ ...event.data, origin: event.origin });
    }
  });
</script>`;

interface HostWindow {
  /** What the frame saved. */
  kept: Blob;
  messages: { type: string; origin: string; text?: string; state?: string; snapshot?: Blob; code?: string; message?: string; columns?: number; rows?: number }[];
  say(message: object): void;
}

let server: Server;
let hostUrl = '';
before(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://host');
    const isolated = url.pathname !== '/plain';
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      ...(isolated ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } : {}),
    });
    response.end(kHost(url.searchParams.get('frame') ?? ''));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Another host name as well as another port: another site, and so another process.
  hostUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});

class HostPage {
  private readonly visit: Visit;
  constructor(visit: Visit) {
    this.visit = visit;
  }

  /** All messages of a type so far. */
  async messages(type: string) {
    return this.visit.page.evaluate((wanted) => (globalThis as unknown as HostWindow).messages.filter((each) => each.type === wanted), type);
  }

  async say(message: object): Promise<void> {
    await this.visit.page.evaluate((data) => (globalThis as unknown as HostWindow).say(data), message);
  }

  async waitForOutput(pattern: RegExp): Promise<void> {
    await this.visit.page.waitForFunction(
      ({ source, flags }) => new RegExp(source, flags).test(
        (globalThis as unknown as HostWindow).messages.filter((each) => each.type === 'output').map((each) => each.text).join('')),
      { source: pattern.source, flags: pattern.flags }, { timeout: kSlow });
  }

  async waitForMessage(fields: object): Promise<void> {
    await this.visit.page.waitForFunction(
      (wanted) => (globalThis as unknown as HostWindow).messages.some(
        (each) => Object.entries(wanted).every(([name, value]) => (each as unknown as Record<string, unknown>)[name] === value)),
      fields, { timeout: kSlow });
  }
}

async function embedded(open: (visit: Visit) => Promise<void>, body: (host: HostPage, visit: Visit) => Promise<void>): Promise<void> {
  const visit = await Visit.blank(site);
  try {
    await open(visit);
    await body(new HostPage(visit), visit);
  } catch (error) {
    await visit.context.close();
    throw error;
  }
  await visit.close();
}

/** A shell session over the protocol: the same for every origin. */
async function useShell(host: HostPage, frameOrigin: string): Promise<void> {
  await host.waitForOutput(/:~# /);
  await host.waitForMessage({ type: 'state', state: 'running' });
  assert.equal((await host.messages('output'))[0]?.origin, frameOrigin);
  await host.say({ type: 'input', text: 'echo $((40+2)) $(uname -m)\n' });
  await host.waitForOutput(/42 riscv64/);

  await host.say({ type: 'resize', columns: 72, rows: 20 });
  await host.waitForMessage({ type: 'resize', columns: 72, rows: 20 });
  await host.say({ type: 'input', text: 'until [ "$(stty size)" = "20 72" ]; do :; done; echo fit$((1+1))\n' });
  await host.waitForOutput(/fit2/);
  await host.say({ type: 'ready' });
  await host.waitForMessage({ type: 'ready', state: 'running', columns: 72, rows: 20 });

  await host.say({ type: 'input', text: 5 });
  await host.waitForMessage({ type: 'error', code: 'protocol' });

  await host.say({ type: 'input', text: 'poweroff\n' });
  await host.waitForMessage({ type: 'state', state: 'poweroff' });
  const before = (await host.messages('state')).length;
  await host.say({ type: 'state', state: 'running' });
  await host.waitForMessage({ type: 'state', state: 'loading' });
  await host.say({ type: 'ready' });
  assert.ok((await host.messages('state')).length >= before);
}

/** A page of the frame's own origin around embed.html. */
async function around(visit: Visit, query: string): Promise<void> {
  const address = `${site.url}around.html`;
  await visit.page.unrouteAll();
  await visit.page.route(address, (route) => route.fulfill({
    contentType: 'text/html',
    headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
    body: kHost(`embed.html${query}`),
  }));
  await visit.page.goto(address);
}

test('in a frame of the same origin', () =>
  embedded((visit) => around(visit, '?harts=1'), (host) => useShell(host, new URL(site.url).origin)));

test('by messages: saved, restored, and not replaced by what is damaged', () =>
  embedded(async (visit) => {
    const frame = `${site.url}embed.html?harts=1&memory=128&origins=${encodeURIComponent(hostUrl)}`;
    await visit.page.goto(`${hostUrl}/?frame=${encodeURIComponent(frame)}`);
  }, async (host, { page }) => {
    await host.waitForOutput(/:~# /);
    const states = async (): Promise<(string | undefined)[]> => (await host.messages('state')).map(({ state }) => state);
    const runs = async (): Promise<void> => {
      await page.waitForFunction(() => (globalThis as unknown as HostWindow).messages.findLast((each) => each.type === 'state')?.state === 'running',
        null, { timeout: kSlow });
    };
    await host.say({ type: 'input', text: 'X=saved; echo s$((1))\n' });
    await host.waitForOutput(/s1/);
    await host.say({ type: 'save' });
    await host.waitForMessage({ type: 'saved' });
    await page.evaluate(() => {
      const window = globalThis as unknown as HostWindow;
      window.kept = window.messages.find((each) => each.type === 'saved')!.snapshot!;
    });
    await host.say({ type: 'input', text: 'X=later; echo l$((2))\n' });
    await host.waitForOutput(/l2/);

    await page.evaluate(async () => {
      const { kept, say } = globalThis as unknown as HostWindow;
      const bytes = new Uint8Array(await kept.arrayBuffer());
      bytes.fill(0, bytes.length - 20);
      say({ type: 'restore', snapshot: bytes });
    });
    await host.waitForMessage({ type: 'error', code: 'bad-snapshot' });
    await runs();
    await host.say({ type: 'input', text: 'echo =$X=\n' });
    await host.waitForOutput(/=later=/);

    const before = (await states()).length;
    await page.evaluate(() => {
      const { kept, say } = globalThis as unknown as HostWindow;
      say({ type: 'restore', snapshot: kept });
    });
    await page.waitForFunction((count) => (globalThis as unknown as HostWindow).messages.filter((each) => each.type === 'state').length >= count + 2,
      before, { timeout: kSlow });
    assert.deepEqual((await states()).slice(before), ['loading', 'running']);
    await host.say({ type: 'input', text: 'echo =$X=$(nproc)=\n' });
    await host.waitForOutput(/=saved=1=/);
    await host.say({ type: 'input', text: 'reboot\n' });
    await host.waitForMessage({ type: 'state', state: 'reboot' });
    await runs();
    assert.deepEqual((await host.messages('error')).map(({ code }) => code), ['bad-snapshot']);
  }));

test('?restore=: a machine saved in this browser, what the address cannot change, and a name that there is not', () =>
  embedded(async (visit) => {
    const { page } = visit;
    await page.goto(`${site.url}?harts=1&memory=128`);
    await visit.prompt();
    await visit.run('X=kept');
    await page.locator('#open-machines').click();
    await page.locator('#machine-name').fill('lesson');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /Saved as/.test(document.getElementById('machines-say')!.innerText));
    await around(visit, '?restore=lesson&harts=4');
  }, async (host, visit) => {
    const text = 'The address has harts, which does not change a saved machine.';
    await host.waitForMessage({ type: 'notice', message: text });
    const frame = visit.page.frameLocator('#frame');
    assert.equal(await frame.locator('#message-text').innerText(), text);
    await frame.locator('#close').click();
    assert.equal(await frame.locator('#message').isVisible(), false);
    await host.say({ type: 'input', text: 'echo =$X=$(nproc)=\n' });
    await host.waitForOutput(/=kept=1=/);

    await around(visit, '?restore=other');
    await host.waitForMessage({
      type: 'error', code: 'bad-option', message: 'There is no saved machine “other” in this browser. There is “lesson”.',
    });
    await host.waitForMessage({ type: 'state', state: 'failed' });
  }));

test('in a frame of another origin that is allowed', () =>
  embedded(async (visit) => {
    const frame = `${site.url}embed.html?harts=1&origins=${encodeURIComponent(hostUrl)}`;
    await visit.page.goto(`${hostUrl}/?frame=${encodeURIComponent(frame)}`);
  }, (host) => useShell(host, new URL(site.url).origin)));

test('an origin that is not allowed hears nothing and is not heard', () =>
  embedded(async (visit) => {
    await visit.page.goto(`${hostUrl}/?frame=${encodeURIComponent(`${site.url}embed.html?harts=1`)}`);
  }, async (host, visit) => {
    const frame = visit.page.frames().find((each) => each !== visit.page.mainFrame());
    assert.ok(frame !== undefined);
    const rows = frame.locator('.xterm-rows');
    const shows = (text: string) => rows.filter({ hasText: text }).waitFor({ timeout: kSlow });
    await shows(':~#');
    await host.say({ type: 'ready' });
    await host.say({ type: 'input', text: 'touch /tmp/intruder\n' });
    // A person in front of the frame may type; what came by message must have left no trace.
    await frame.locator('.xterm-helper-textarea').focus();
    await visit.page.keyboard.type('ls /tmp/intruder && echo b$((1))d || echo g$((0))d\n');
    await shows('g0d');
    const heard = await visit.page.evaluate(() => (globalThis as unknown as HostWindow).messages.length);
    assert.equal(heard, 0);
  }));

test('a wrong list of origins is an error on the frame', () =>
  embedded(async (visit) => {
    await visit.page.goto(`${site.url}embed.html?origins=*`);
    assert.equal(await visit.page.locator('#message').isVisible(), false, 'alone there is nobody to talk to');
    await visit.page.goto(`${hostUrl}/?frame=${encodeURIComponent(`${site.url}embed.html?origins=*`)}`);
  }, async (_host, visit) => {
    await visit.page.frameLocator('#frame').locator('#message-text').filter({ hasText: '"*" is not an origin' }).waitFor();
  }));

test('in a page that is not isolated: Document-Isolation-Policy isolates the frame alone', () =>
  embedded(async (visit) => {
    const frame = `${site.url}embed.html?harts=1&origins=${encodeURIComponent(hostUrl)}`;
    await visit.page.goto(`${hostUrl}/plain?frame=${encodeURIComponent(frame)}`);
    assert.equal(await visit.page.evaluate(() => crossOriginIsolated), false);
  }, async (host) => {
    await host.waitForOutput(/:~# /);
  }));

test('a frame without any isolation says why', () =>
  embedded(async (visit) => {
    await visit.page.route('**/embed.html*', async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers() };
      delete headers['document-isolation-policy'];
      await route.fulfill({ response, headers });
    });
    const frame = `${site.url}embed.html?origins=${encodeURIComponent(hostUrl)}`;
    await visit.page.goto(`${hostUrl}/plain?frame=${encodeURIComponent(frame)}`);
  }, async (host) => {
    await host.waitForMessage({ type: 'error', code: 'no-shared-memory' });
    await host.waitForMessage({ type: 'state', state: 'failed' });
    assert.match((await host.messages('error'))[0]?.message ?? '', /allow="cross-origin-isolated"/);
  }));
