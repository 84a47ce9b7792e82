// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { compressFolder } from '../lib/compress.mjs';
import { acceptedEncodings, parseHeaderRules, serve } from '../serve.mjs';

const top = mkdtempSync(join(tmpdir(), 'hartwood-serve-'));
const folder = join(top, 'dist');
const script = 'export const x = 1;\n'.repeat(100);
let server;

/** A raw request, so that nothing tidies up its path: { status, headers, body }. */
function get(path, headers = {}, method = 'GET', port = server.port) {
  return new Promise((done, fail) => {
    const call = request({ port, path, method, headers, agent: false }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    call.on('error', fail);
    call.end();
  });
}

before(async () => {
  mkdirSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(top, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'assets/app-3f9ab27c.js'), script);
  writeFileSync(join(folder, '_headers'), '/*\n  X-All: yes\n/embed.html\n  X-One: only\n');
  writeFileSync(join(folder, 'embed.html'), '<!doctype html>');
  writeFileSync(join(folder, 'core.wasm'), Buffer.from([0, 0x61, 0x73, 0x6d]));
  symlinkSync(join(top, 'secret.txt'), join(folder, 'link.txt'));
  await compressFolder(folder);
  server = await serve({ root: folder, port: 0, base: '/some/path/' });
});
after(async () => {
  await server.close();
  rmSync(top, { recursive: true });
});

test('every answer isolates and lets others embed', async () => {
  for (const path of ['/some/path/', '/some/path/core.wasm', '/some/path/absent', '/elsewhere']) {
    const { headers } = await get(path);
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin', path);
    assert.equal(headers['cross-origin-embedder-policy'], 'require-corp', path);
    assert.equal(headers['cross-origin-resource-policy'], 'cross-origin', path);
  }
});

test('types, and index.html for a folder', async () => {
  assert.equal((await get('/some/path/')).headers['content-type'], 'text/html; charset=utf-8');
  assert.equal((await get('/some/path/core.wasm')).headers['content-type'], 'application/wasm');
  assert.equal((await get('/some/path/assets/app-3f9ab27c.js')).headers['content-type'], 'text/javascript; charset=utf-8');
});

test("the folder's own header rules are followed, below the base", async () => {
  const embed = await get('/some/path/embed.html');
  assert.equal(embed.headers['x-all'], 'yes');
  assert.equal(embed.headers['x-one'], 'only');
  const other = await get('/some/path/core.wasm');
  assert.equal(other.headers['x-all'], 'yes');
  assert.equal(other.headers['x-one'], undefined);
  assert.equal(parseHeaderRules('/a\n  B: c: d \n\n/e/*\n').length, 2);
  assert.deepEqual(parseHeaderRules('/a\n  B: c: d \n')[0].headers, { B: 'c: d' });
});

test('the base: redirect without its slash, nothing outside of it', async () => {
  const { status, headers } = await get('/some/path');
  assert.equal(status, 301);
  assert.equal(headers.location, '/some/path/');
  assert.equal((await get('/index.html')).status, 404);
  assert.equal((await get('/some/path/assets')).headers.location, '/some/path/assets/');
});

test('compressed files go to who takes them', async () => {
  const path = '/some/path/assets/app-3f9ab27c.js';
  const brotli = await get(path, { 'Accept-Encoding': 'gzip, deflate, br' });
  assert.equal(brotli.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(brotli.body).toString(), script);
  assert.ok(brotli.body.length <= brotliCompressSync(script).length);
  assert.equal((await get(path, { 'Accept-Encoding': 'gzip' })).headers['content-encoding'], 'gzip');
  const plain = await get(path, { 'Accept-Encoding': 'br;q=0' });
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(plain.body.toString(), script);
  assert.equal(plain.headers.vary, 'Accept-Encoding');
  assert.deepEqual(acceptedEncodings('gzip;q=1, br;q=0.5').map(([name]) => name), ['gzip', 'br']);
  assert.deepEqual(acceptedEncodings('*').map(([name]) => name), ['br', 'gzip']);
  assert.deepEqual(acceptedEncodings(undefined), []);
});

test('hashed names are immutable, others are revalidated', async () => {
  assert.match((await get('/some/path/assets/app-3f9ab27c.js')).headers['cache-control'], /immutable/);
  const { headers } = await get('/some/path/');
  assert.equal(headers['cache-control'], 'no-cache');
  const again = await get('/some/path/', { 'If-None-Match': `W/"other", ${headers.etag}` });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
});

test('nothing above the folder can be read', async () => {
  for (const path of ['../secret.txt', '%2e%2e/secret.txt', '..%2fsecret.txt', 'assets/../../secret.txt', 'link.txt', 'index.html%00', '%2e%2e', '%2e%2e/']) {
    const { status, body } = await get(`/some/path/${path}`);
    assert.equal(status, 404, path);
    assert.ok(!body.includes('secret'), path);
  }
  assert.equal((await get('/some/path/%zz')).status, 400);
});

test('HEAD has no body; other methods are refused', async () => {
  const head = await get('/some/path/core.wasm', {}, 'HEAD');
  assert.equal(head.headers['content-length'], '4');
  assert.equal(head.body.length, 0);
  assert.equal((await get('/some/path/', {}, 'POST')).status, 405);
});

test('a busy port is an error that says so, or leads to the next', async () => {
  await assert.rejects(serve({ root: folder, port: server.port }), /in use/);
  const other = await serve({ root: folder, port: server.port, nextFree: true });
  assert.ok(other.port > server.port);
  await other.close();
  await assert.rejects(serve({ root: join(top, 'absent'), port: 0 }), /no such folder/);
});

test('ranges of files that are sent as they are', async () => {
  const path = '/some/path/core.wasm';
  assert.equal((await get(path)).headers['accept-ranges'], 'bytes');
  const part = await get(path, { Range: 'bytes=1-2' });
  assert.equal(part.status, 206);
  assert.equal(part.headers['content-range'], 'bytes 1-2/4');
  assert.deepEqual([...part.body], [...(await get(path)).body.subarray(1, 3)]);
  assert.equal((await get(path, { Range: 'bytes=3-' })).body.length, 1);
  assert.equal((await get(path, { Range: 'bytes=-3' })).body.length, 3);
  assert.equal((await get(path, { Range: 'bytes=2-100' })).body.length, 2);
  assert.equal((await get(path, { Range: 'bytes=4-' })).status, 416);
  for (const whole of ['bytes=0-1,3-3', 'bytes=-', 'lines=1-2']) assert.equal((await get(path, { Range: whole })).status, 200, whole);
  const packed = await get('/some/path/assets/app-3f9ab27c.js', { 'Accept-Encoding': 'br', Range: 'bytes=0-1' });
  assert.equal(packed.status, 200);
  assert.equal(packed.headers['accept-ranges'], undefined);
});
