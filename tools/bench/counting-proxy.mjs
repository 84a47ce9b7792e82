// SPDX-License-Identifier: Apache-2.0
// Stands between a browser and a server on this machine and counts the bytes of every answer's body as sent. The browser's
// own reports leave out the scripts that workers are started from.
import { createServer, request } from 'node:http';

/** Resolves to { url, files: [{ name, bytes }], close() }; `files` grows while the proxy is used. */
export async function startCountingProxy(target) {
  const { port, pathname } = new URL(target);
  const files = [];
  const server = createServer((incoming, outgoing) => {
    const file = { name: incoming.url.replace(/\?.*$/, '').replace(/^.*\//, '') || 'index.html', bytes: 0 };
    files.push(file);
    const onward = request({ host: '127.0.0.1', port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.on('data', (chunk) => { file.bytes += chunk.length; });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise((done, fail) => server.once('error', fail).listen(0, '127.0.0.1', done));
  return {
    url: `http://localhost:${server.address().port}${pathname}`,
    files,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}
