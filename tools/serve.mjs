// SPDX-License-Identifier: Apache-2.0
// A static server for dist/ that sends what a page with shared memory needs: COOP and COEP, and CORP so that another
// origin may embed it. Serves precompressed files where the browser takes them. Any static host that can set these
// headers does as well; the README has the list.
//
//   node tools/serve.mjs [--root dist] [--port 8080] [--host 127.0.0.1] [--base /some/path/]
//
// A busy port is an error, except through `npm start`, which takes the next free one.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream';
import { isMain, readOptions, root as projectRoot, runMain, UserError } from './lib/project.mjs';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

/** Sent with every answer, errors included. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
};

/**
 * The rules of the folder's own _headers file, which the build writes for static hosts that read it: a path below the
 * base, perhaps with a final "*", then indented "Name: value" lines. Returns [{ matches(path), headers }].
 */
export function parseHeaderRules(text) {
  const rules = [];
  for (const line of text.split('\n')) {
    const header = /^\s+([\w-]+):\s*(.*?)\s*$/.exec(line);
    if (header) rules.at(-1).headers[header[1]] = header[2];
    else if (line.startsWith('/')) rules.push({ matches: matcher(line.trim()), headers: {} });
  }
  return rules;
}

function matcher(pattern) {
  if (!pattern.endsWith('*')) return (path) => path === pattern;
  return (path) => path.startsWith(pattern.slice(0, -1));
}

// A name with a content hash, as the build makes them: name-3f9ab27c.js
const hashedName = /[.-][0-9A-Za-z_-]{8,}\.[a-z0-9]+$/;

/** The encodings that the client accepts, out of those we store, best first. */
export function acceptedEncodings(header = '') {
  const weights = new Map(header.split(',').map((part) => {
    const [name, ...parameters] = part.trim().toLowerCase().split(/\s*;\s*/);
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return [name, q ? Number(q.slice(2)) : 1];
  }));
  const weight = (name) => weights.get(name) ?? weights.get('*') ?? 0;
  return [['br', '.br'], ['gzip', '.gz']].filter(([name]) => weight(name) > 0).sort(([a], [b]) => weight(b) - weight(a));
}

/** The file for a request path below `folder`, or undefined; never one outside of it. */
async function findFile(folder, path) {
  if (path.includes('\0')) return undefined;
  const file = resolve(folder, `.${path}`);
  const real = await realpath(file).catch(() => undefined);
  const top = await realpath(folder).catch(() => folder);
  if (!real || (real !== top && !real.startsWith(top + sep))) return undefined;
  return file;
}

async function answer(request, response, { folder, base, rules }) {
  const fail = (status, text, headers = {}) => {
    response.writeHead(status, { ...isolation, 'Content-Type': 'text/plain; charset=utf-8', ...headers });
    response.end(request.method === 'HEAD' ? undefined : `${text}\n`);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return fail(405, 'only GET and HEAD', { Allow: 'GET, HEAD' });
  let path;
  try {
    path = decodeURIComponent(request.url.split('?')[0]);
  } catch {
    return fail(400, 'malformed address');
  }
  if (`${path}/` === base) return fail(301, 'moved', { Location: base });
  if (!path.startsWith(base)) return fail(404, 'not found');
  let file = await findFile(folder, path.slice(base.length - 1));
  let info = file && await stat(file);
  if (info?.isDirectory()) {
    if (!path.endsWith('/')) return fail(301, 'moved', { Location: `${request.url.split('?')[0]}/` });
    file = join(file, 'index.html');
    info = await stat(file).catch(() => undefined);
  }
  if (!info?.isFile()) return fail(404, 'not found');

  const headers = {
    ...isolation,
    'Content-Type': types[extname(file)] ?? 'application/octet-stream',
    'Cache-Control': hashedName.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    Vary: 'Accept-Encoding',
  };
  const below = path.slice(base.length - 1);
  for (const rule of rules) if (rule.matches(below)) Object.assign(headers, rule.headers);
  for (const [encoding, suffix] of acceptedEncodings(request.headers['accept-encoding'])) {
    const packed = await stat(file + suffix).catch(() => undefined);
    if (!packed?.isFile()) continue;
    file += suffix;
    info = packed;
    headers['Content-Encoding'] = encoding;
    break;
  }
  headers.ETag = `"${createHash('sha256').update(`${file} ${info.size} ${info.mtimeMs}`).digest('hex').slice(0, 20)}"`;
  const known = request.headers['if-none-match'];
  if (known && known.split(/\s*,\s*/).some((tag) => tag === '*' || tag.replace(/^W\//, '') === headers.ETag)) {
    response.writeHead(304, headers);
    return response.end();
  }
  // A part of a packed file would be of no use.
  const range = headers['Content-Encoding'] === undefined ? parseRange(request.headers.range, info.size) : undefined;
  if (headers['Content-Encoding'] === undefined) headers['Accept-Ranges'] = 'bytes';
  if (range === null) return fail(416, 'no such range', { 'Content-Range': `bytes */${info.size}` });
  const { first, last } = range ?? { first: 0, last: info.size - 1 };
  if (range) headers['Content-Range'] = `bytes ${first}-${last}/${info.size}`;
  response.writeHead(range ? 206 : 200, { ...headers, 'Content-Length': last - first + 1 });
  // A reader that goes away is no error of ours: before the answer begins, or in its midst.
  if (request.method === 'HEAD' || info.size === 0) return response.end();
  if (response.destroyed) return undefined;
  return void pipeline(createReadStream(file, { start: first, end: last }), response, () => {});
}

/** { first, last } of a request for one range; undefined: none, or several, which gets the whole file; null: outside of it. */
export function parseRange(header, size) {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined || (from === '' && to === '')) return undefined;
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  return first >= size || last < first ? null : { first, last };
}

/**
 * Serve `root` at `base`. With `nextFree`, a busy port makes it try the following ones.
 * Resolves to { url, port, close() }; `port` 0 takes any free one.
 */
export async function serve({ root = join(projectRoot, 'dist'), port = 8080, host = '127.0.0.1', base = '/', nextFree = false } = {}) {
  if (!/^\/(.*\/)?$/.test(base)) throw new UserError(`--base must begin and end with "/": ${base}`);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new UserError(`not a port: ${port}`);
  const folder = resolve(root);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) throw new UserError(`no such folder: ${root} (npm run build makes dist/)`);
  const headerFile = join(folder, '_headers');
  // Read at each request: a new build may have replaced the folder.
  const readRules = async () => parseHeaderRules(await readFile(headerFile, 'utf8').catch(() => ''));
  const server = createServer((request, response) => {
    readRules().then((rules) => answer(request, response, { folder, base, rules })).catch((error) => {
      console.error(`${request.method} ${request.url}: ${error.stack}`);
      if (response.headersSent) response.destroy();
      else response.writeHead(500, isolation).end('internal error\n');
    });
  });
  const listen = (at) => new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(at, host, () => {
      server.off('error', fail);
      done();
    });
  });
  for (let at = port; ; at++) {
    try {
      await listen(at);
      break;
    } catch (error) {
      if (error.code === 'EADDRINUSE' && nextFree && at < port + 100 && at < 65535) continue;
      if (error.code === 'EADDRINUSE') throw new UserError(`port ${at} is in use; choose another with --port`);
      throw new UserError(`cannot listen on ${host}:${at}: ${error.message}`);
    }
  }
  const taken = server.address().port;
  const shown = host === '0.0.0.0' || host === '::' || host === '127.0.0.1' ? 'localhost' : host;
  return {
    url: `http://${shown}:${taken}${base}`,
    port: taken,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}

if (isMain(import.meta.url)) {
  await runMain(async (args) => {
    const { options } = readOptions(args, { root: join(projectRoot, 'dist'), port: '8080', host: '127.0.0.1', base: '/' });
    const { url } = await serve({ ...options, port: Number(options.port) });
    console.log(`serving ${options.root} at ${url}`);
  });
}
