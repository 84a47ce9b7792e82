// SPDX-License-Identifier: Apache-2.0
// Linux boots in Chromium on 1, 2 and 4 harts, survives a reload, powers off, restarts and reboots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kPrompt, useSite, visiting } from './support.ts';

const site = useSite();

for (const harts of [1, 2, 4]) {
  test(`boots with ${harts} hart${harts > 1 ? 's' : ''}`, () =>
    visiting(site, `?harts=${harts}`, async (visit) => {
      await visit.waitFor(/Linux version 6\./);
      await visit.prompt();
      assert.deepEqual(await visit.run('uname -m'), { output: 'riscv64\n', status: 0 });
      assert.deepEqual(await visit.run('nproc'), { output: `${harts}\n`, status: 0 });
      const { output } = await visit.run('cat /proc/cpuinfo');
      assert.equal(output.match(/^processor\s*:/gm)?.length, harts);
      assert.match(output, /^isa\s*:\s*rv64imafdc/m);
      assert.equal(await visit.page.locator('#harts').textContent(), harts === 1 ? '1 hart' : `${harts} harts`);
      assert.equal(await visit.page.locator('#state').textContent(), 'Running');
      await visit.page.waitForFunction(() => Number(document.getElementById('speed')?.textContent) > 0);
    }));
}

test('memory and command line come from the address', () =>
  visiting(site, '?memory=128&append=quiet+hartwood.test%3Dyes', async (visit) => {
    await visit.prompt();
    const { output } = await visit.run('cat /proc/cmdline');
    assert.match(output, /console=hvc0 quiet hartwood\.test=yes/);
    const total = await visit.run('grep MemTotal /proc/meminfo');
    const kib = Number(/(\d+) kB/.exec(total.output)?.[1]);
    assert.ok(kib > 90 * 1024 && kib <= 128 * 1024, total.output);
    assert.equal(await visit.page.locator('#memory').textContent(), '128 MiB');
  }));

test('poweroff is shown, and the machine can be started again', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    await visit.type('poweroff\n');
    await visit.page.locator('#notice').waitFor({ state: 'visible' });
    assert.match((await visit.page.locator('#notice-text').textContent()) ?? '', /powered off/);
    assert.equal(await visit.page.locator('#state').textContent(), 'Off');
    await visit.page.locator('#restart').click();
    await visit.prompt();
    assert.equal((await visit.run('cut -d. -f1 /proc/uptime')).status, 0);
    assert.equal(await visit.page.locator('#notice').isVisible(), false);
  }));

test('reboot starts a new machine in the same terminal', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    await visit.run('touch ~/before');
    await visit.page.evaluate(() => {
      (globalThis as { before?: unknown }).before = globalThis.hartwood.machine;
    });
    await visit.type('reboot\n');
    await visit.page.waitForFunction(() =>
      globalThis.hartwood.machine !== null && globalThis.hartwood.machine !== (globalThis as { before?: unknown }).before);
    await visit.prompt();
    assert.deepEqual(await visit.run('ls ~'), { output: '', status: 0 });
  }));

test('a reload boots anew', () =>
  visiting(site, '?harts=1', async (visit) => {
    for (let i = 0; i < 3; i++) {
      await visit.prompt();
      await visit.page.reload();
    }
    await visit.prompt();
    assert.equal((await visit.run('nproc')).output, '1\n');
  }));

test('everything comes from the page\'s own origin, and no file is asked for twice', () =>
  visiting(site, 'licences.html', async (visit) => {
    const requests: string[] = [];
    visit.page.on('request', (request) => requests.push(request.url()));
    await visit.page.goto(site.url);
    await visit.waitFor(kPrompt);
    const foreign = requests.filter((url) => !url.startsWith(site.url) && !url.startsWith('data:'));
    assert.deepEqual(foreign, []);
    const hashed = requests.filter((url) => /assets\/(kernel|initramfs|core)/.test(url));
    assert.equal(new Set(hashed).size, hashed.length);
  }));
