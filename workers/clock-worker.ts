// SPDX-License-Identifier: Apache-2.0
// The worker that sleeps, inside the core, until the earliest deadline of the running harts, and sets their timer bit. It
// receives nothing after `run`; the core's loop ends with the machine.
import { instantiateCore } from './core.ts';
import { describeError, parentPort } from './platform.ts';
import type { FromClock, ToClock } from './protocol.ts';

const parent = parentPort<ToClock, FromClock>();
let run: (() => void) | undefined;

function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    const { message, detail } = describeError(error);
    parent.postMessage({ type: 'error', error: { code: 'worker-crashed', message: `The clock crashed: ${message}`, detail } });
  }
}

parent.onmessage = ({ data }) =>
  attempt(() => {
    if (data.type === 'start') {
      const { exports } = instantiateCore({
        ...data,
        log: (level, text) => parent.postMessage({ type: 'log', level, text }),
      });
      run = () => exports.hw_clock_run();
      parent.postMessage({ type: 'ready' });
    } else {
      run?.();
      parent.postMessage({ type: 'ended' });
    }
  });
