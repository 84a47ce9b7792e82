// SPDX-License-Identifier: Apache-2.0
// The page around the terminal: what it says when something is wrong, settings, keyboard, themes, narrow screens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kPrompt, useSite, Visit, visiting } from './support.ts';

const site = useSite();

async function failure(visit: Visit): Promise<{ title: string; text: string }> {
  await visit.page.locator('#failure').waitFor({ state: 'visible' });
  assert.equal(await visit.page.locator('#state').textContent(), 'Failed');
  assert.equal(await visit.page.locator('#boot').isVisible(), false);
  return {
    title: (await visit.page.locator('#failure-title').textContent()) ?? '',
    text: (await visit.page.locator('#failure-text').textContent()) ?? '',
  };
}

const kFailures: [string, string, RegExp][] = [
  ['a setting that is no number', '?harts=two', /harts=two in the address is not a whole number/],
  ['a setting out of range', '?harts=99', /harts is 99; it must be a whole number from 1 to 8/],
  ['an impossible memory', '?memory=100', /memory is 100; .* 64, 128, 256, 512, 1024, 2048/],
  ['a kernel that is not there', '?kernel=nothing/here', /kernel could not be loaded from .*nothing\/here: the server says 404/],
  ['a server that does not answer', '?kernel=http://127.0.0.1:1/Image', /kernel could not be loaded from http:\/\/127\.0\.0\.1:1\/Image/],
  ['a command line that is too long', `?append=${'x'.repeat(1100)}`, /at most 1023/],
];
for (const [name, query, message] of kFailures) {
  test(`says what is wrong: ${name}`, () =>
    visiting(site, query, async (visit) => {
      const { text } = await failure(visit);
      assert.match(text, message);
    }));
}

test('says what is wrong: a broken kernel file, and goes on with the usual settings', () =>
  visiting(site, '?kernel=licences.html', async (visit) => {
    const { title, text } = await failure(visit);
    assert.equal(title, 'The machine cannot use a file');
    assert.ok(text.length > 10);
    assert.equal(await visit.page.evaluate(() => globalThis.hartwood.machine), null);
    await visit.page.locator('#failure-defaults').click();
    await visit.prompt();
  }));

// The compiler has a worker only once there is something to compile.
for (const [kind, query] of [['io', ''], ['compiler', '?compiler=early&boot=cold']] as const) {
  test(`says what is wrong: a worker that crashes (${kind})`, () =>
    visiting(site, query, async (visit) => {
      await visit.prompt();
      const worker = visit.page.workers().find((each) => each.url().includes(`${kind}-worker`));
      assert.ok(worker !== undefined);
      await worker.evaluate(() => void setTimeout(() => {
        throw new Error('provoked by a test');
      }));
      const { title, text } = await failure(visit);
      assert.equal(title, 'A part of the machine crashed');
      assert.match(text, new RegExp(`${kind} worker failed: .*provoked by a test`));
      await visit.page.waitForFunction(() => globalThis.hartwood.machine === null);
      await visit.page.locator('#failure-retry').click();
      await visit.prompt();
    }));
}

test('says what is wrong: no shared memory, why and what to do', async () => {
  const visit = await Visit.blank(site);
  await visit.page.route('**/*', async (route) => {
    const response = await route.fetch();
    const headers = { ...response.headers() };
    for (const name of ['cross-origin-opener-policy', 'cross-origin-embedder-policy']) delete headers[name];
    await route.fulfill({ response, headers });
  });
  await visit.page.goto(site.url);
  const { title, text } = await failure(visit);
  assert.match(title, /cannot share memory/);
  assert.match(text, /not cross-origin isolated.*Cross-Origin-Opener-Policy: same-origin.*Cross-Origin-Embedder-Policy: require-corp/);
  await visit.close();
});

test('the settings become the address', () =>
  visiting(site, '?theme=dark', async (visit) => {
    await visit.prompt();
    await visit.page.locator('#open-settings').click();
    const form = visit.page.locator('#settings-form');
    assert.equal(await form.locator('[name=harts]').inputValue(), '2');
    await form.locator('[name=harts]').selectOption('1');
    await form.locator('[name=memory]').selectOption('128');
    await form.locator('[name=append]').fill('quiet panic=1');
    assert.ok(await form.locator('[name=compiler]').isChecked());
    await form.locator('[name=compiler]').uncheck();
    await Promise.all([visit.page.waitForURL(/harts=1/), form.locator('[value=apply]').click()]);
    const query = new URL(visit.page.url()).searchParams;
    assert.deepEqual(Object.fromEntries(query), { theme: 'dark', harts: '1', memory: '128', append: 'quiet panic=1', compiler: 'off' });
    await visit.prompt();
    assert.ok(!visit.page.workers().some((each) => each.url().includes('compiler-worker')));
    assert.equal(await visit.page.locator('#fact-compiler').isVisible(), false);
    await visit.page.locator('#open-settings').click();
    assert.equal(await form.locator('[name=compiler]').isChecked(), false);
    await visit.page.keyboard.press('Escape');
    assert.equal((await visit.run('nproc')).output, '1\n');
  }));

test('the status line tells what the compiler did', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const fact = visit.page.locator('#fact-compiler');
    await fact.waitFor({ state: 'visible' });
    await visit.run('i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo $i');
    await visit.page.waitForFunction(() => /^[1-9]\d* compiled$/.test(document.getElementById('fact-compiler')?.textContent ?? ''));
    assert.match((await fact.getAttribute('title')) ?? '', /^[1-9]\d* requests, [1-9]\d* regions[^]*received by the harts: \d+, \d+$/);
  }));

test('the keyboard leaves the terminal, and comes back', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const focused = () => visit.page.evaluate(() => document.activeElement?.id || document.activeElement?.className || '');
    for (const keys of ['Control+Shift+Escape', 'Control+F6']) {
      await visit.page.locator('.xterm-helper-textarea').focus();
      await visit.page.keyboard.press('Tab');
      assert.match(await focused(), /xterm/, 'Tab belongs to the guest');
      await visit.page.keyboard.press(keys);
      assert.equal(await focused(), 'open-help');
    }
    await visit.page.keyboard.press('Enter');
    assert.ok(await visit.page.locator('#help').isVisible());
    assert.match((await visit.page.locator('#help').textContent()) ?? '', /leave the terminal/);
    await visit.page.keyboard.press('Escape');
    await visit.page.locator('.xterm-helper-textarea:focus').waitFor({ state: 'attached' });
  }));

test('screen-reader mode makes the lines readable, and is remembered', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    assert.equal(await visit.page.locator('.xterm-accessibility').count(), 0);
    await visit.page.locator('#open-settings').click();
    await visit.page.locator('#screen-reader').check();
    await visit.page.keyboard.press('Escape');
    await visit.run('echo read me');
    await visit.page.locator('.xterm-accessibility-tree').getByText('read me', { exact: true }).waitFor({ state: 'attached' });
    await visit.page.reload();
    await visit.prompt();
    await visit.page.locator('.xterm-accessibility').waitFor({ state: 'attached' });
  }));

test('light and dark: as the system says, until one is chosen', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const becomes = (theme: string) => visit.page.locator(`html[data-theme=${theme}]`).waitFor({ state: 'attached' });
    await becomes('light');
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await becomes('dark');
    await visit.page.locator('#theme').click();
    await becomes('light');
    await visit.page.reload();
    await becomes('light');
    await visit.prompt();
    await visit.page.locator('#theme').click();
    await becomes('dark');
    const background = await visit.page.locator('.xterm-scrollable-element').evaluate((each) => getComputedStyle(each).backgroundColor);
    assert.equal(background, 'rgb(14, 19, 17)');
  }));

test('colours of the guest reach the terminal under the policy', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    await visit.run(String.raw`printf '\033[38;2;200;20;120mvivid\033[0m \033[31mred\033[0m\n'`);
    const color = (text: string) => visit.page.locator('.xterm-rows span', { hasText: new RegExp(`^${text}$`) }).last()
      .evaluate((span) => getComputedStyle(span).color);
    assert.equal(await color('vivid'), 'rgb(200, 20, 120)');
    assert.equal(await color('red'), 'rgb(179, 51, 47)');
  }));

test('on a phone nothing sticks out, and its missing keys are there', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const width = () => visit.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok((await width()) <= 360, `${await width()} pixels`);
    for (const id of ['open-help', 'theme', 'open-settings', 'uptime']) {
      const box = await visit.page.locator(`#${id}`).boundingBox();
      assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 360, id);
    }
    await visit.page.locator('#open-settings').tap();
    const dialog = await visit.page.locator('#settings').boundingBox();
    assert.ok(dialog !== null && dialog.x >= 0 && dialog.x + dialog.width <= 360);
    await visit.page.keyboard.press('Escape');

    await visit.type('cat\n');
    await visit.waitFor(/cat\r\n/);
    await visit.page.locator('[data-key=control]').tap();
    await visit.page.keyboard.press('c');
    await visit.waitFor(kPrompt);
    assert.equal(await visit.page.locator('[data-key=control]').getAttribute('aria-pressed'), 'false');
    await visit.run('echo first');
    await visit.page.locator('[data-key=up]').tap();
    await visit.type('\n');
    await visit.waitFor(/\r\nfirst\r\n@0/);
  }, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true }));

test('the licences page names what is in the folder', () =>
  visiting(site, 'licences.html', async (visit) => {
    const text = (await visit.page.locator('main').textContent()) ?? '';
    for (const name of ['@xterm/xterm', 'musl', 'JSON for Modern C++', 'Hartwood', 'Linux', 'busybox']) {
      assert.ok(text.toLowerCase().includes(name.toLowerCase()), name);
    }
  }));

