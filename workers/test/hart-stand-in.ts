// SPDX-License-Identifier: Apache-2.0
// A worker for compiler.test.ts: a hart's loop and mail over a core that does nothing but wait for its attention word, as a
// hart in WFI does, so messages reach it only through the mail protocol.
import { parentPort, workerData } from 'node:worker_threads';
import {
  HartShared_attention, HartShared_mail_taken, HartShared_modules_installed, MachineShared_power, kAttentionMail, kPowerOn,
} from '../../build/generated/layout.ts';
import { kExitBudget, kExitEnded, kExitMail } from '../core.ts';
import { runHart } from '../hart-loop.ts';
import { hartWords } from '../mail.ts';
import { makeTurn } from '../platform.ts';
import type { ToTranslations } from '../protocol.ts';
import { Translations } from '../translations.ts';
import { makeHartCore } from './hart-core.ts';

const { memory, shared, hart, port } = workerData as {
  memory: WebAssembly.Memory; shared: number; hart: number; port: MessagePort;
};
const words = hartWords(memory.buffer, shared, hart);
const machine = new Int32Array(memory.buffer, shared);
const { exports } = makeHartCore(100);
exports.hw_module_installed = () => void Atomics.add(words, HartShared_modules_installed / 4, 1);
const translations = new Translations(exports, memory, hart);
port.onmessage = ({ data }: MessageEvent<readonly ToTranslations[]>) => {
  Atomics.add(words, HartShared_mail_taken / 4, 1);
  for (const message of data) translations.receive(message);
};

function run(): number {
  if (Atomics.load(machine, MachineShared_power / 4) !== kPowerOn) return kExitEnded;
  Atomics.wait(words, HartShared_attention / 4, 0, 50);
  const attention = Atomics.and(words, HartShared_attention / 4, ~kAttentionMail);
  return (attention & kAttentionMail) !== 0 ? kExitMail : kExitBudget;
}

await runHart({ run, words, turn: makeTurn() });
const table = exports.__indirect_function_table;
parentPort?.postMessage(`slots: ${[16, 17, 18, 19].map((slot) => table.get(slot)?.(0) ?? 'null').join(' ')}`);
parentPort?.postMessage('end');
port.close();
