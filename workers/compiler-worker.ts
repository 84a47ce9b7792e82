// SPDX-License-Identifier: Apache-2.0
// The worker that translates hot guest code for all harts of a machine. It starts to work as soon as there is a machine and
// ends with it; a pause does not concern it, because harts that stand still ask for nothing.
import { Compiler } from './compiler.ts';
import { instantiateCore } from './core.ts';
import { crashReport } from './crash.ts';
import { engineFeatures } from './engine-features.ts';
import { HartMailbox, hartWords } from './mail.ts';
import { makeTurn, parentPort } from './platform.ts';
import type { FromCompiler, ToCompiler } from './protocol.ts';
import { rehearsal } from './rehearsal.ts';
import { makeWaitForChange } from './wait.ts';

const parent = parentPort<ToCompiler, FromCompiler>();
const turn = makeTurn();

/**
 * A hart says at first that it listens. Until then its port is still under way from the page, and Firefox loses a module
 * that follows it.
 */
function firstMessage(port: MessagePort): Promise<void> {
  return new Promise((resolve) => {
    port.onmessage = () => {
      port.onmessage = null;
      resolve();
    };
  });
}

async function run(start: ToCompiler): Promise<void> {
  const { memory, shared } = start;
  const { buffer } = memory;
  const log = (level: number, text: string): void => parent.postMessage({ type: 'log', level, text });
  const { exports } = instantiateCore({ ...start, log });
  const listening = Promise.all(start.harts.map(firstMessage));
  const wait = makeWaitForChange();
  await wait(new Int32Array(buffer), (exports.hw_compiler_word() >>> 0) / 4, 0); // a boot has better uses for processors
  exports.hw_note_features(await engineFeatures(turn));
  await listening;
  const harts = start.harts.map((port, hart) => new HartMailbox(port, hartWords(buffer, shared, hart)));
  const rehearse = rehearsal(exports, memory);
  await new Compiler({ exports, buffer, shared, harts, wait, turn, rehearse, log }).run();
}

parent.onmessage = ({ data }) => {
  run(data).catch((error: unknown) => parent.postMessage({ type: 'error', error: crashReport('The compiler', error, data) }));
};
