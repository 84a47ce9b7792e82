// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeIgnored, readSettings, writeSettings } from '../shared/url-settings.ts';

const read = (query: string) => readSettings(new URLSearchParams(query));

test('an empty address leaves everything to the defaults', () => {
  assert.deepEqual(read(''), { boot: {}, cold: false, restore: null, theme: null, screenReader: null });
  assert.deepEqual(read('harts=&memory=&append=&utm_source=x').boot, {});
});

test('every setting', () => {
  assert.deepEqual(
    read('harts=4&memory=1G&append=quiet+loglevel%3D3&kernel=a/Image&initrd=none&firmware=none&disk=d.img&console=uart'
      + '&paging=sv39&compiler=off&theme=dark&screenreader=1&boot=cold&restore=my+machine'),
    {
      boot: {
        harts: 4, memory: 1024, append: 'quiet loglevel=3', kernel: 'a/Image', initrd: null, firmware: 'none', disk: 'd.img',
        console: 'uart', paging: 'sv39', compiler: false,
      },
      cold: true,
      restore: 'my machine',
      theme: 'dark',
      screenReader: true,
    });
});

test('memory in several spellings', () => {
  for (const [text, mib] of [['512', 512], ['512M', 512], ['512MiB', 512], ['1g', 1024], ['2GB', 2048]] as const) {
    assert.equal(read(`memory=${text}`).boot.memory, mib);
  }
});

test('the compiler is on, off or early', () => {
  for (const [text, value] of [['on', true], ['off', false], ['early', 'early']] as const) {
    assert.equal(read(`compiler=${text}`).boot.compiler, value);
  }
});

test('what is no value of its kind is refused by name', () => {
  assert.throws(() => read('harts=two'), /harts=two/);
  assert.throws(() => read('harts=-1'), /harts=-1/);
  assert.throws(() => read('memory=lots'), /memory=lots/);
  assert.throws(() => read('memory=5T'), /memory=5T/);
  assert.throws(() => read('theme=blue'), /theme=blue/);
  assert.throws(() => read('compiler=1'), /compiler=1 in the address must be on, off or early/);
  assert.throws(() => read('boot=warm'), /boot=warm in the address must be cold or instant/);
  assert.throws(() => read('screenreader=maybe'), /screenreader=maybe/);
});

test('what a restored machine does not heed is named', () => {
  assert.equal(describeIgnored(read('harts=4')), null);
  assert.equal(describeIgnored(read('restore=x&compiler=off&theme=dark')), null);
  assert.equal(describeIgnored(read('restore=x&memory=1G')), 'The address has memory, which does not change a saved machine.');
  assert.equal(describeIgnored(read('restore=x&harts=4&initrd=none&boot=cold')),
    'The address has harts, initrd, boot, which do not change a saved machine.');
});

test('writing keeps other parameters and drops empty ones', () => {
  const query = writeSettings(new URLSearchParams('harts=2&theme=dark&x=1'), { harts: '', memory: '256', append: 'a b' });
  assert.equal(query.toString(), 'theme=dark&x=1&memory=256&append=a+b');
  assert.deepEqual(readSettings(query).boot, { memory: 256, append: 'a b' });
});
