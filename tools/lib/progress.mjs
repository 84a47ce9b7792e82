// SPDX-License-Identifier: Apache-2.0
// Steps with visible progress: "[2/7] kernel", the elapsed time and the last line of output while it runs (rewritten
// in place on a terminal, every 30 s in a log), and how long it took. Each step's whole output goes to build/log/.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { logDir, run } from './project.mjs';

const live = process.stdout.isTTY === true;

export function formatSeconds(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${seconds.toFixed(0)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, '0')} s`;
}

/** One line of status for something that runs: `label`, then time and the last line seen. */
export class Ticker {
  constructor(label) {
    this.label = label;
    this.started = performance.now();
    this.line = '';
    if (live) this.timer = setInterval(() => this.draw(), 250);
    else this.timer = setInterval(() => console.log(`${label}: ${formatSeconds(this.seconds)}  ${this.line}`), 30_000);
  }

  get seconds() {
    return (performance.now() - this.started) / 1000;
  }

  see(line) {
    const text = line.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').trim();
    if (text) this.line = text.slice(0, 200);
  }

  draw() {
    const width = (process.stdout.columns || 80) - 1;
    process.stdout.write(`\r\x1b[K${`${this.label}  ${formatSeconds(this.seconds)}  ${this.line}`.slice(0, width)}`);
  }

  /** Replace the status by the line that stays. */
  end(result) {
    clearInterval(this.timer);
    if (live) process.stdout.write('\r\x1b[K');
    console.log(`${this.label}: ${result}`);
  }
}

/**
 * Run `steps` one after the other: { name, title, action }. action({ run, see }) returns false if there was nothing to do;
 * its `run` is project.mjs's with log and progress filled in. Returns [{ name, title, seconds }].
 */
export async function runSteps(steps) {
  const times = [];
  mkdirSync(logDir, { recursive: true });
  for (const [index, { name, title, action }] of steps.entries()) {
    const log = join(logDir, `${name}.log`);
    rmSync(log, { force: true });
    const ticker = new Ticker(`[${index + 1}/${steps.length}] ${title}`);
    try {
      const worked = await action({
        log,
        see: (line) => ticker.see(line),
        run: (command, args, options = {}) => run(command, args, { log, onLine: (line) => ticker.see(line), ...options }),
      });
      ticker.end(worked === false ? `up to date (${formatSeconds(ticker.seconds)})` : `done in ${formatSeconds(ticker.seconds)}`);
    } catch (error) {
      ticker.end(`FAILED after ${formatSeconds(ticker.seconds)}`);
      throw error;
    }
    times.push({ name, title, seconds: ticker.seconds });
  }
  return times;
}
