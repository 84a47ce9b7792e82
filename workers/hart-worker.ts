// SPDX-License-Identifier: Apache-2.0
// A worker that runs one hart. It blocks only inside the core. Started with the page, before there is a machine, because
// a worker that a blocked worker made would never start.
import {
  HartShared_mail_taken, MachineShared_fatal, MachineShared_fatal_message, MachineShared_harts, sizeof_HartShared,
  sizeof_MachineShared_fatal_message,
} from '../build/generated/layout.ts';
import { instantiateCore, kExitStopped, sharedString } from './core.ts';
import { runHart } from './hart-loop.ts';
import { describeError, makeTurn, parentPort } from './platform.ts';
import type { FromHart, ToHart } from './protocol.ts';

type Start = Extract<ToHart, { type: 'start' }>;

const parent = parentPort<ToHart, FromHart>();
const turn = makeTurn();
let begin: (() => void) | undefined;
let takeMail: (() => void) | undefined;

parent.onmessage = ({ data }) => {
  switch (data.type) {
    case 'start':
      start(data);
      break;
    case 'run':
      begin?.();
      break;
    case 'ping':
      takeMail?.();
      parent.postMessage({ type: 'pong', id: data.id });
      break;
  }
};

/** What to say of an exception inside the core: our own last words if it left any. */
function crash(error: unknown, start: Start): void {
  const { message, detail } = describeError(error);
  const words = new Int32Array(start.memory.buffer, start.shared);
  const fatal = Atomics.load(words, MachineShared_fatal / 4) !== 0
    ? sharedString(start.memory.buffer, start.shared + MachineShared_fatal_message, sizeof_MachineShared_fatal_message)
    : '';
  parent.postMessage({
    type: 'error',
    error: { code: 'worker-crashed', message: `Hart ${start.hart} crashed: ${fatal || message}`, detail },
  });
}

function start(message: Start): void {
  try {
    const { exports } = instantiateCore({
      ...message,
      log: (level, text) => parent.postMessage({ type: 'log', level, text }),
    });
    const words = new Int32Array(
      message.memory.buffer, message.shared + MachineShared_harts + message.hart * sizeof_HartShared, sizeof_HartShared / 4);
    takeMail = () => void Atomics.add(words, HartShared_mail_taken / 4, 1);
    const run = (budget: number) => exports.hw_hart_run(message.hart, budget);
    let running = false;
    begin = () => {
      if (running) return;
      running = true;
      runHart({ run, words, turn }).then(
        (exit) => {
          running = false;
          parent.postMessage({ type: exit === kExitStopped ? 'stopped' : 'ended' });
        },
        (error) => crash(error, message),
      );
    };
    parent.postMessage({ type: 'ready' });
  } catch (error) {
    crash(error, message);
  }
}
