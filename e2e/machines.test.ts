// SPDX-License-Identifier: Apache-2.0
// Saved machines in the page: in the browser's storage and as files, over a reload; pausing; the instant start.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { useSite, visiting, Visit } from './support.ts';

const site = useSite();
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hartwood-machines-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

async function says(visit: Visit, command: string, expected: RegExp): Promise<void> {
  assert.match((await visit.run(command)).output, expected);
}

const dialog = '#machines';
const said = (visit: Visit): Promise<string> => visit.page.locator('#machines-say').innerText();

async function save(visit: Visit, name: string): Promise<void> {
  await visit.page.locator('#open-machines').click();
  await visit.page.locator('#machine-name').fill(name);
  await visit.page.locator('#save-machine button[type=submit]').click();
  await visit.page.waitForFunction(() => /Saved as|room|could not/.test(document.getElementById('machines-say')?.innerText ?? ''));
}

const rows = (visit: Visit): Promise<void> => visit.page.locator(`${dialog} li`).first().waitFor();

/** Answers the question that the page asks. */
async function answer(visit: Visit, question: RegExp, yes: boolean): Promise<void> {
  const { page } = visit;
  await page.locator('#ask').waitFor();
  assert.match(await page.locator('#ask').innerText(), question);
  await page.locator(yes ? '#ask-yes' : '#ask-no').click();
  await page.locator('#ask').waitFor({ state: 'hidden' });
}

const restored = (visit: Visit): Promise<unknown> => visit.page.locator(dialog).waitFor({ state: 'hidden' });

/** The names of all files in the browser's storage. */
const stored = (visit: Visit): Promise<string[]> => visit.page.evaluate(async () => {
  const root = await navigator.storage.getDirectory();
  const names: string[] = [];
  for await (const name of (await root.getDirectoryHandle('hartwood-machines', { create: true })).keys()) names.push(name);
  return names.sort();
});

const inList = (visit: Visit): Promise<string[]> => visit.page.locator(`${dialog} li strong`).allInnerTexts();

test('the page is at a prompt at once, with what the machine printed before; ?boot=cold boots', async () => {
  await visiting(site, '', async (visit) => {
    await visit.page.waitForFunction(() => globalThis.hartwood?.machine != null);
    const { instructions } = await visit.page.evaluate(() => globalThis.hartwood.machine!.stat());
    assert.ok(instructions > 50e6, 'it has not booted before');
    await says(visit, 'echo $((6*7))', /42/);
    await says(visit, 'cat /proc/uptime', /\d+\.\d+ \d/);
  });
  await visiting(site, '?boot=cold', async (visit) => {
    await visit.page.waitForFunction(() => globalThis.hartwood?.machine != null);
    const { uptime } = await visit.page.evaluate(() => globalThis.hartwood.machine!.stat());
    assert.ok(uptime < 5000);
    await visit.page.evaluate(() => globalThis.hartwood.machine!.waitFor(/Linux version[^]*:~# /, { timeout: 60_000 }));
  });
});

test('a machine is saved in the browser, is there after a reload, renamed, restored and deleted', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=kept; echo file > /tmp/f; echo done', /done/);
    await save(visit, 'first & only');
    assert.match(await said(visit), /Saved as “first & only”, \d+\.\d MB/);
    assert.deepEqual(await inList(visit), ['first & only']);
    assert.match(await page.locator(`${dialog} li`).innerText(), /2\sprocessors · 512\sMiB/);
    await page.locator('#close-machines').click();
    await says(visit, 'X=changed; rm /tmp/f; echo gone', /gone/);

    await page.reload();
    await page.waitForFunction(() => globalThis.hartwood?.machine != null);
    await page.locator('#open-machines').click();
    await page.waitForFunction(() => document.querySelector('#machines li') !== null);
    await page.getByLabel('Rename first & only').click();
    await page.locator('#ask-input').fill('second');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#machines li strong')?.textContent === 'second');
    await page.getByLabel('Restore second').click();
    await answer(visit, /Restore “second”/, true);
    await restored(visit);
    await says(visit, 'echo =$X=$(cat /tmp/f)=', /=kept=file=/);

    await page.goto(`${site.url}?restore=second`);
    await page.waitForFunction(() => globalThis.hartwood?.machine != null);
    await says(visit, 'echo =$X=$(cat /tmp/f)=', /=kept=file=/);
    await page.locator('#open-machines').click();
    await page.waitForFunction(() => document.querySelector('#machines li') !== null);
    await page.getByLabel('Delete second').click();
    await answer(visit, /Delete “second”/, false);
    assert.deepEqual(await inList(visit), ['second']);
    await page.locator('#close-machines').click();
    await save(visit, 'third');
    await page.getByLabel('Delete second').click();
    await answer(visit, /Delete “second”/, true);
    await page.getByLabel('Delete second').waitFor({ state: 'detached' });
    await page.goto(`${site.url}?restore=second`);
    await page.waitForFunction(() => !document.getElementById('failure')!.hidden);
    assert.match(await page.locator('#failure-text').innerText(), /no saved machine “second” in this browser\. There is “third”\./);
    await page.locator('#open-machines').click();
    await page.getByLabel('Delete third').click();
    await answer(visit, /Delete “third”/, true);
    await page.waitForFunction(() => document.querySelector('#machines li') === null);
    await page.goto(`${site.url}?restore=second`);
    await page.waitForFunction(() => !document.getElementById('failure')!.hidden);
    assert.match(await page.locator('#failure-text').innerText(), /no saved machine “second” in this browser\. No machine is saved here\./);
  }));

test('a machine goes to a file and comes back; what is damaged is refused', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=kept; echo done', /done/);
    const file = join(folder, 'machine.hws');
    await saveFile(visit, file);
    await page.locator('#open-file').setInputFiles(file);
    await answer(visit, /Restore “machine\.hws”/, true);
    await restored(visit);
    await page.waitForFunction(() => globalThis.hartwood.machine?.state === 'running');
    await says(visit, 'echo =$X=', /=kept=/);
    await says(visit, 'X=newer; echo done', /done/);

    // Its head, and its last chunk, which a machine that runs before all is here would be missing much later.
    for (const [name, from, to] of [['head', 100, 200], ['end', -20, -10]] as const) {
      const damaged = readFileSync(file);
      damaged.fill(0, from < 0 ? damaged.length + from : from, to < 0 ? damaged.length + to : to);
      const path = join(folder, `${name}.hws`);
      writeFileSync(path, damaged);
      await page.locator('#open-machines').click();
      await page.locator('#open-file').setInputFiles(path);
      await answer(visit, new RegExp(`Restore “${name}\\.hws”`), true);
      await page.locator('#machines-say.bad').waitFor();
      assert.match(await said(visit), new RegExp(`“${name}\\.hws” cannot be restored\\. .*damaged.* The machine that ran before goes on\\.`));
      assert.equal(await page.locator('#state').innerText(), 'Running');
      await page.locator('#close-machines').click();
      assert.equal(await page.locator('#failure').isVisible(), false);
      await says(visit, 'echo =$X=', /=newer=/);
    }
    // A machine that was paused stays so.
    await page.locator('#pause').click();
    await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Paused');
    await page.locator('#open-machines').click();
    await page.locator('#open-file').setInputFiles(join(folder, 'end.hws'));
    await answer(visit, /Restore “end/, true);
    await page.locator('#machines-say.bad').waitFor();
    assert.equal(await page.locator('#state').innerText(), 'Paused');
    assert.equal(await page.evaluate(() => globalThis.hartwood.machine?.state), 'paused');
  }));

/** Saves what runs to a file; leaves the dialog open. */
async function saveFile(visit: Visit, file: string): Promise<void> {
  const { page } = visit;
  await page.locator('#open-machines').click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-file').click()]);
  assert.match(download.suggestedFilename(), /^hartwood-\d{4}-\d\d-\d\d-\d{4}\.hws$/);
  await download.saveAs(file);
}

test('a file that is dropped is restored, and the page shows where', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=kept; echo done', /done/);
    const file = join(folder, 'dropped.hws');
    await saveFile(visit, file);
    await page.locator('#close-machines').click();
    await says(visit, 'X=changed; echo done', /done/);
    const bytes = readFileSync(file).toString('base64');
    const data = await page.evaluateHandle(async (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(text), (each) => each.charCodeAt(0))], 'dropped.hws'));
      return transfer;
    }, bytes);
    const place = page.locator('#drop');
    const drag = (type: string): Promise<void> => page.locator('#terminal').dispatchEvent(type, { dataTransfer: data });
    assert.equal(await place.isVisible(), false);
    await drag('dragover');
    assert.equal(await place.isVisible(), true);
    await drag('dragleave');
    assert.equal(await place.isVisible(), false);
    await drag('dragover');
    await drag('drop');
    assert.equal(await place.isVisible(), false);
    await answer(visit, /Restore “dropped\.hws”/, true);
    await restored(visit);
    await says(visit, 'echo =$X=', /=kept=/);
  }));

test('a name that is taken is asked about, by keyboard too, and the old machine stays until the new one is whole', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=old; echo done', /done/);
    await save(visit, 'name');
    const before = await stored(visit);
    assert.deepEqual(before, ['name.hws']);
    await page.locator('#close-machines').click();
    await says(visit, 'X=new; echo done', /done/);

    // Enter takes what has the focus, which is not to lose anything.
    await page.locator('#open-machines').click();
    await rows(visit);
    await page.locator('#machine-name').fill('name');
    await page.keyboard.press('Enter');
    await page.locator('#ask').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'ask-no');
    await page.keyboard.press('Escape');
    await page.locator('#ask').waitFor({ state: 'hidden' });
    assert.ok(await page.locator(dialog).isVisible(), 'Escape closes the question only');
    assert.equal(await said(visit), '');

    const devtools = await page.context().newCDPSession(page);
    const origin = new URL(site.url).origin;
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 7_000_000 });
    await page.locator('#save-machine button[type=submit]').click();
    await answer(visit, /Replace “name”/, true);
    await page.locator('#machines-say.bad').waitFor();
    assert.match(await said(visit), /no room for this machine/);
    assert.deepEqual(await stored(visit), before);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin });
    await page.getByLabel('Restore name').click();
    await answer(visit, /Restore “name”/, true);
    await restored(visit);
    await says(visit, 'echo =$X=', /=old=/);

    await says(visit, 'X=newest; echo done', /done/);
    await page.locator('#open-machines').click();
    await rows(visit);
    await page.locator('#machine-name').fill('name');
    await page.keyboard.press('Enter');
    await page.locator('#ask').waitFor();
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /Saved as/.test(document.getElementById('machines-say')!.innerText));
    assert.deepEqual(await stored(visit), ['name.hws']);
    await page.goto(`${site.url}?restore=name`);
    await says(visit, 'echo =$X=', /=newest=/);
  }));

test('saving and restoring show how far they are, and can be cancelled', async () => {
  const visit = await Visit.blank(site);
  const { page } = visit;
  // Both stop where the test wants to look.
  await page.addInitScript(() => {
    const held: (() => void)[] = [];
    const hold = (): Promise<void> => new Promise((resolve) => held.push(resolve));
    const state = { writes: Infinity, opens: false, release: () => held.splice(0).forEach((each) => each()) };
    Object.assign(globalThis, { test: state });
    const { write } = FileSystemWritableFileStream.prototype;
    FileSystemWritableFileStream.prototype.write = async function (...args) {
      if (state.writes-- <= 0) await hold();
      return write.apply(this, args);
    };
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (this: Worker, ...args: unknown[]) {
      const send = (): void => void postMessage.apply(this, args as Parameters<typeof postMessage>);
      if (state.opens && (args[0] as { type?: string }).type === 'open') void hold().then(send);
      else send();
    } as typeof postMessage;
  });
  interface Held { test: { writes: number; opens: boolean; release(): void } }
  await page.goto(site.url);
  await says(visit, 'X=first; echo done', /done/);

  await page.evaluate(() => void ((globalThis as unknown as Held).test.writes = 2));
  await page.locator('#open-machines').click();
  await page.locator('#machine-name').fill('name');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /^2\.1 MB of \d+\.\d MB$/.test(document.getElementById('work-bytes')!.innerText));
  assert.equal(await page.locator('#work-what').innerText(), 'Writing');
  assert.equal(await page.locator('#save-machine').evaluate((form) => (form as HTMLElement).inert), true);
  await page.keyboard.press('Enter'); // the button that cancels has the focus
  await page.evaluate(() => (globalThis as unknown as Held).test.release());
  await page.waitForFunction(() => /^Cancelled/.test(document.getElementById('machines-say')!.innerText));
  assert.deepEqual(await stored(visit), []);
  assert.equal(await page.locator('#work').isVisible(), false);

  await page.evaluate(() => void ((globalThis as unknown as Held).test.writes = Infinity));
  await page.locator('#save-machine button[type=submit]').click();
  await page.waitForFunction(() => /Saved as/.test(document.getElementById('machines-say')!.innerText));
  await page.locator('#close-machines').click();
  await says(visit, 'X=second; echo done', /done/);
  await page.locator('#open-machines').click();
  await page.evaluate(() => void ((globalThis as unknown as Held).test.opens = true));
  await page.getByLabel('Restore name').click();
  await answer(visit, /Restore “name”/, true);
  await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Paused');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => /^Cancelled/.test(document.getElementById('machines-say')!.innerText));
  assert.ok(await page.locator(dialog).isVisible());
  await page.evaluate(() => (globalThis as unknown as Held).test.release());
  assert.equal(await page.locator('#state').innerText(), 'Running');
  await page.locator('#close-machines').click();
  await says(visit, 'echo =$X=', /=second=/);
  await visit.close();
});

test('a browser that lets only workers write, and one that moves no files', async () => {
  for (const lacks of [['createWritable'], ['move'], ['createWritable', 'move']]) {
    const visit = await Visit.blank(site);
    const { page } = visit;
    await page.addInitScript((names) => {
      for (const name of names) delete (FileSystemFileHandle.prototype as unknown as Record<string, unknown>)[name];
    }, lacks);
    await page.goto(site.url);
    await says(visit, 'X=kept; echo done', /done/);
    await save(visit, 'one');
    assert.match(await said(visit), /Saved as “one”/);
    await page.getByLabel('Rename one').click();
    await page.locator('#ask-input').fill('two');
    await page.keyboard.press('Enter');
    await page.getByLabel('Rename two').waitFor();
    assert.deepEqual(await stored(visit), ['two.hws']);
    await page.goto(`${site.url}?restore=two`);
    await says(visit, 'echo =$X=', /=kept=/);
    await visit.close();
  }
});

test('files that are no machines are shown as damaged, and can be deleted', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'echo done', /done/);
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const machines = await root.getDirectoryHandle('hartwood-machines', { create: true });
      for (const name of ['%E0%A4%A.hws', 'empty.hws']) await machines.getFileHandle(name, { create: true });
    });
    await save(visit, 'whole');
    assert.deepEqual((await inList(visit)).sort(), ['%E0%A4%A.hws', 'empty', 'whole']);
    assert.equal(await page.locator(`${dialog} li .bad`).count(), 2);
    assert.equal(await page.getByLabel('Restore empty').count(), 0);
    for (const name of ['%E0%A4%A.hws', 'empty']) {
      await page.getByLabel(`Delete ${name}`).click();
      await answer(visit, /cannot be brought back/, true);
      await page.getByLabel(`Delete ${name}`).waitFor({ state: 'detached' });
    }
    assert.deepEqual(await stored(visit), ['whole.hws']);
  }));

test('a restored machine reboots, and starts again, as the machine that was saved', () =>
  visiting(site, '?harts=1&memory=128&append=quiet+mark=saved', async (visit) => {
    const { page } = visit;
    await visit.prompt();
    await save(visit, 'small');
    await page.goto(`${site.url}?restore=small&harts=4&memory=1G`);
    await page.locator('#hint').waitFor();
    assert.equal(await page.locator('#hint-text').innerText(),
      'The address has harts, memory, which do not change a saved machine. This one has 1 processor and 128 MiB.');
    await page.locator('#close-hint').click();
    await says(visit, 'nproc', /^1$/m);
    const small = async (): Promise<void> => {
      await visit.prompt();
      assert.deepEqual(await page.evaluate(() => [globalThis.hartwood.machine!.harts, globalThis.hartwood.machine!.memory]), [1, 128]);
      await says(visit, 'cat /proc/cmdline', /mark=saved/);
    };
    await visit.type('reboot\n');
    await page.waitForFunction(() => globalThis.hartwood.machine === null);
    await small();
    await visit.type('poweroff\n');
    await page.locator('#restart').click();
    await small();
    // Applying settings is for a new machine.
    await page.locator('#open-settings').click();
    await Promise.all([page.waitForURL((url) => !url.search.includes('restore')), page.locator('[value=apply]').click()]);
  }));

test('a full disk is said, and leaves nothing broken behind', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: 1_000_000 });
    await save(visit, 'too large');
    assert.match(await said(visit), /no room for this machine/);
    assert.deepEqual(await inList(visit), []);
    assert.deepEqual(await stored(visit), []);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin });
    await page.locator('#save-machine button[type=submit]').click();
    await page.waitForFunction(() => /Saved as/.test(document.getElementById('machines-say')?.innerText ?? ''));
    await page.locator('#close-machines').click();
    await says(visit, 'echo $((6*7))', /42/);
  }));

test('the pause button stops the machine and has it go on', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'echo ready', /ready/);
    await page.locator('#pause').click();
    await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Paused');
    assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
    const stopped = await page.evaluate(() => globalThis.hartwood.machine!.stat().instructions);
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => globalThis.hartwood.machine!.stat().instructions), stopped);
    await page.getByText('Resume').click();
    await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Running');
    await says(visit, 'echo $((6*7))', /42/);
  }));
