#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Makes the snapshot that a page starts from: the default machine at its first prompt, its caches given up and its free
// memory zero, the pages in the order in which a first command needs them. Holds nothing of the host but the moment it was
// made: no key was typed, and whoever restores it gets other random numbers (vmgenid).
//
//   node tools/make-snapshot.mjs OUT       leaves OUT/prompt.hws and OUT/prompt.json (how many pages come first)
//
// Needs the core, the layout, and build/guest/{kernel,initramfs}.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { needNewNode } from './lib/node-version.mjs';
import { buildDir, runMain, UserError } from './lib/project.mjs';

const kPrompt = /:~# /;
/** Milliseconds until the first command, then commands. */
const kTrials = [
  [0, '', 'echo first', 'ls /'],
  [300, '', 'echo first'],
  [0, 'echo first', 'uname -a'],
  [0, 'taskset 1 ls /', 'taskset 2 ls /'],
  [1500, 'ls -l'],
  [0, '', ''],
  [0, 'ls /', 'cat /proc/cpuinfo'],
  [100, 'ps', 'date'],
  [0, 'echo first'],
  [0, 'ls /'],
];
const kPatience = { timeout: 60_000 };

/** A host whose pager brings only what is waited for, and can be asked for the order. */
function recordingHost(host) {
  const pagers = [];
  return {
    host: {
      ...host,
      startWorker(kind, name) {
        const worker = host.startWorker(kind, name);
        if (kind !== 'pager') return worker;
        pagers.push(worker);
        const post = worker.post.bind(worker);
        worker.post = (message, transfer) => post(message.type === 'start' ? { ...message, record: true } : message, transfer);
        return worker;
      },
    },
    order() {
      const [worker] = pagers;
      return new Promise((resolve) => {
        const before = worker.onMessage;
        worker.onMessage = (message) => (message.type === 'order' ? resolve(message.pages) : before(message));
        worker.post({ type: 'report' });
      });
    },
  };
}

async function makeSnapshot(out) {
  const { Machine } = await import('../web/api/machine.ts');
  const { makeNodeHost } = await import('../web/test/node-host.ts');
  const host = makeNodeHost();
  const guest = (folder, name) => readFileSync(join(buildDir, 'guest', folder, name));
  const machine = await Machine.boot(
    { kernel: guest('kernel', 'Image'), initrd: guest('initramfs', 'initramfs.cpio'), onError: (error) => { throw error; } }, host);
  await machine.waitFor(kPrompt, kPatience);
  await machine.compact();
  await machine.pause();
  // One page in each chunk, to see which are needed; the machine stands still between this and the real one.
  const singles = await machine.snapshot({ chunkPages: 1 });

  // What is touched depends on which hart does what, so there are several trials.
  const order = new Set();
  for (const [idle, ...commands] of kTrials) {
    const recording = recordingHost(host);
    const trial = await Machine.restore(singles, {}, recording.host);
    trial.resize(120, 40);
    await setTimeout(idle);
    for (const command of commands) {
      trial.console.write(`${command}\n`);
      await trial.waitFor(kPrompt, kPatience);
    }
    for (const page of await recording.order()) order.add(page);
    trial.terminate();
  }

  const snapshot = await machine.snapshot({ order: [...order] });
  machine.terminate();
  if (order.size === 0) throw new UserError('the snapshot came out empty');
  writeFileSync(join(out, 'prompt.hws'), new Uint8Array(await snapshot.arrayBuffer()));
  writeFileSync(join(out, 'prompt.json'), `${JSON.stringify({ firstPages: order.size, bytes: snapshot.size })}\n`);
}

await runMain(async ([out]) => {
  if (out === undefined) throw new UserError('usage: node tools/make-snapshot.mjs OUT');
  await needNewNode();
  mkdirSync(out, { recursive: true });
  await makeSnapshot(out);
  process.exit(0); // the workers of a machine that has just ended may still be on their way out
});
