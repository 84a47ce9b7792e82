// SPDX-License-Identifier: Apache-2.0
// npm start: set everything up, build, serve the page, print its address.
//
//   npm start -- [--port 8080] [--host 127.0.0.1]        the next free port is taken if this one is busy
import { needNewNode } from './lib/node-version.mjs';
import { readOptions, runMain } from './lib/project.mjs';
import { setUp } from './setup.mjs';

await runMain(async (args) => {
  await needNewNode();
  const { options } = readOptions(args, { port: '8080', host: '127.0.0.1' });
  await setUp(['dist']);
  const { serve } = await import('./serve.mjs');
  const { url } = await serve({ port: Number(options.port), host: options.host, nextFree: true });
  console.log(`\nHartwood is at ${url}   (Ctrl-C ends the server)`);
});
