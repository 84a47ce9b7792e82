// SPDX-License-Identifier: Apache-2.0
// A person at the shell: commands, pipes, job control, many processes, sums of compressed files, the terminal's size.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { kPrompt, useSite, visiting } from './support.ts';

const site = useSite();

test('commands, pipes and job control', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    assert.deepEqual(await visit.run('seq 1 1000 | grep 7 | wc -l'), { output: '271\n', status: 0 });
    assert.deepEqual(await visit.run('false'), { output: '', status: 1 });
    assert.equal((await visit.run('no-such-command')).status, 127);
    assert.deepEqual(await visit.run('echo one > f && cat f f | sort -u && rm f'), { output: 'one\n', status: 0 });

    await visit.type('sleep 1000\n');
    await visit.waitFor(/sleep 1000\r\n/);
    await visit.page.keyboard.press('Control+z');
    await visit.waitFor(/Stopped[^]*:~# /);
    assert.match((await visit.run('jobs')).output, /Stopped\s+\S*sleep 1000/);
    await visit.type('fg\n');
    await visit.waitFor(/fg\r\n\S*sleep 1000\r\n/);
    await visit.page.keyboard.press('Control+c');
    await visit.waitFor(kPrompt);
    assert.equal((await visit.run('jobs')).output, '');

    await visit.type('cat\n');
    await visit.waitFor(/cat\r\n/);
    await visit.type('echoed\n');
    await visit.waitFor(/echoed\r\nechoed\r\n/);
    await visit.page.keyboard.press('Control+d');
    await visit.waitFor(kPrompt);
  }));

test('many processes at once', () =>
  visiting(site, '?harts=4', async (visit) => {
    await visit.prompt();
    const storm = 'for i in $(seq 1 200); do (echo $i > /tmp/p$i) & done; wait; cat /tmp/p* | wc -l';
    const { output } = await visit.run(storm);
    assert.match(output, /(^|\n)200\n$/);
    const pipes = 'for i in $(seq 1 40); do seq 1 100 | sed s/1/2/ | sort | uniq | wc -l & done | sort -u; wait';
    assert.equal((await visit.run(pipes)).status, 0);
    assert.equal((await visit.run('ls /tmp | wc -l')).output, '200\n');
  }));

test('a compressed file keeps its sum', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const lines = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join('');
    const sum = createHash('sha256').update(lines).digest('hex');
    assert.equal((await visit.run('seq 1 60000 > /tmp/n && gzip /tmp/n && gunzip -c /tmp/n.gz | sha256sum')).output, `${sum}  -\n`);
    assert.deepEqual(await visit.run('gunzip -t /tmp/n.gz'), { output: '', status: 0 });
  }));

test('the guest\'s terminal has the size of the one on the page', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const sizes = new Set<string>();
    for (const viewport of [{ width: 1280, height: 800 }, { width: 900, height: 500 }, { width: 360, height: 640 }, { width: 1600, height: 900 }]) {
      await visit.page.setViewportSize(viewport);
      const rows = await visit.page.waitForFunction((before) => {
        const shown = document.querySelectorAll('.xterm-rows > div').length;
        return shown !== before ? shown : 0;
      }, sizes.size === 0 ? 0 : Number([...sizes].at(-1)?.split(' ')[0]));
      // The size travels by an interrupt of its own: the guest may answer with the old one for a moment.
      await visit.type('until [ "$(stty size | cut -d" " -f1)" = ' + String(await rows.jsonValue()) + ' ]; do :; done; echo "is $(stty size)"\n');
      const answer = /is (\d+ \d+)\r\n/.exec(await visit.waitFor(/\r\nis \d+ \d+\r\n/))?.[1] ?? '';
      await visit.waitFor(kPrompt);
      sizes.add(answer);
      // A line of exactly that many columns fills its row, and one more wraps.
      const columns = Number(answer.split(' ')[1]);
      await visit.type(`clear; printf '%0${columns}d|\\n' 0\n`);
      await visit.screenShows(new RegExp(`(^|\\n)0{${columns}} *\\n\\|`));
    }
    assert.equal(sizes.size, 4);
  }));

test('letters of the whole world arrive and return', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    await visit.page.locator('.xterm-helper-textarea').focus();
    await visit.page.keyboard.insertText('printf "%s\\n" "Grüße, 日本 ✓" | tee /tmp/u; wc -c < /tmp/u');
    await visit.page.keyboard.press('Enter');
    const size = new TextEncoder().encode('Grüße, 日本 ✓\n').length;
    await visit.waitFor(new RegExp(`\\r\\nGrüße, 日本 ✓\\r\\n${size}\\r\\n`));
    await visit.screenShows(/^Grüße, 日本 ✓/m);
  }));

test('a flood of output arrives whole and in order, and ^C ends it', () =>
  visiting(site, '', async (visit) => {
    await visit.prompt();
    const { output } = await visit.run('seq 1 30000 | tr "\\n" " " | fold -w 100 | tee /tmp/flood | cat; sync', 120_000);
    const numbers = output.replaceAll('\n', '').trim().split(/\s+/);
    assert.equal(numbers.length, 30_000);
    assert.ok(numbers.every((text, index) => Number(text) === index + 1));
    await visit.type('yes\n');
    await visit.waitFor(/y\r\ny\r\ny\r\n/);
    await visit.page.keyboard.press('Control+c');
    await visit.waitFor(/\^C[^]*:~# /);
    assert.equal((await visit.run('echo quiet')).output, 'quiet\n');
  }));
