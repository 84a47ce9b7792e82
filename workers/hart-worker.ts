// SPDX-License-Identifier: Apache-2.0
// A worker that runs one hart. It blocks only inside the core. Started with the page, before there is a machine, because
// a worker that a blocked worker made would never start.
import { HartShared_mail_taken } from '../build/generated/layout.ts';
import { instantiateCore, kExitStopped } from './core.ts';
import { crashReport } from './crash.ts';
import { runHart } from './hart-loop.ts';
import { hartWords } from './mail.ts';
import { makeTurn, parentPort } from './platform.ts';
import { kTranslationsReady, type FromHart, type HartStart, type ToHart, type ToTranslations } from './protocol.ts';
import { Translations } from './translations.ts';

/** Instructions of one call; longer ones are several. */
const kMostSteps = 1_000_000_000;

const parent = parentPort<ToHart, FromHart>();
const turn = makeTurn();
let begin: (() => void) | undefined;
let takeMail: (() => void) | undefined;
let step: ((count: number) => void) | undefined;

parent.onmessage = ({ data }) => {
  switch (data.type) {
    case 'start':
      start(data);
      break;
    case 'run':
      begin?.();
      break;
    case 'step':
      step?.(data.count);
      break;
    case 'ping':
      takeMail?.();
      parent.postMessage({ type: 'pong', id: data.id });
      break;
  }
};

function start(message: HartStart): void {
  const crash = (error: unknown): void =>
    parent.postMessage({ type: 'error', error: crashReport(`Hart ${message.hart}`, error, message) });
  try {
    const { exports } = instantiateCore({
      ...message,
      log: (level, text) => parent.postMessage({ type: 'log', level, text }),
    });
    const words = hartWords(message.memory.buffer, message.shared, message.hart);
    const countMail = (): void => void Atomics.add(words, HartShared_mail_taken / 4, 1);
    takeMail = countMail;
    if (message.translations !== null) {
      const translations = new Translations(exports, message.memory, message.hart);
      message.translations.onmessage = ({ data }: MessageEvent<readonly ToTranslations[]>) => {
        countMail();
        try {
          for (const each of data) translations.receive(each);
        } catch (error) {
          crash(error);
        }
      };
      message.translations.onmessageerror = () => crash(new Error('translated code could not be read'));
      message.translations.postMessage(kTranslationsReady);
    }
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
        crash,
      );
    };
    step = (count) => {
      try {
        let done = 0;
        while (done < count) {
          const asked = Math.min(count - done, kMostSteps);
          const executed = exports.hw_hart_step(message.hart, asked) >>> 0;
          done += executed;
          if (executed < asked) break;
        }
        parent.postMessage({ type: 'stepped', count: done });
      } catch (error) {
        crash(error);
      }
    };
    parent.postMessage({ type: 'ready' });
  } catch (error) {
    crash(error);
  }
}
