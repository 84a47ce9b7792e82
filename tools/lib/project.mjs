// SPDX-License-Identifier: Apache-2.0
// Where things lie, and how commands are run. Used by every script in tools/, before any dependency is installed:
// plain Node (18 or newer) and nothing else.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, realpathSync } from 'node:fs';
import { availableParallelism, cpus, homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const buildDir = join(root, 'build');
export const logDir = join(buildDir, 'log');

/** Everything expensive is kept here, outside of the checkout, in folders named by the hash of what they depend on. */
export const cacheDir = resolve(
  process.env.HARTWOOD_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hartwood'));

/** Parallel jobs: HARTWOOD_JOBS, or one for each core. */
export const jobs = Number(process.env.HARTWOOD_JOBS) || (availableParallelism?.() ?? cpus().length);

/** The variables that every command of ours runs with. Nothing colours or asks: output goes to log files. */
export function toolEnvironment(extra = {}) {
  return {
    ...process.env,
    HARTWOOD_CACHE: cacheDir,
    CCACHE_DIR: process.env.CCACHE_DIR || join(cacheDir, 'ccache'),
    // A second clone in another folder finds what the first one compiled.
    CCACHE_BASEDIR: root,
    CCACHE_NOHASHDIR: '1',
    CMAKE_BUILD_PARALLEL_LEVEL: String(jobs),
    JOBS: String(jobs),
    NO_COLOR: '1',
    ...extra,
  };
}

/** PATH with `folder` first. */
export function pathWith(folder, path = process.env.PATH) {
  return [folder, ...path.split(delimiter).filter((entry) => entry !== folder)].join(delimiter);
}

/** A failure that the user can act on: printed without a stack. `log` names a file with the whole output. */
export class UserError extends Error {
  constructor(message, { log, tail = [], exitCode = 1 } = {}) {
    super(message);
    this.log = log;
    this.tail = tail;
    this.exitCode = exitCode;
  }
}

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) killGroup(child, signal);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}
process.on('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL');
});

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

/**
 * Run a command to its end. Output goes to `log` (a path, appended to) and, line by line, to `onLine`. The command
 * has a process group of its own, which is ended with us, or after `timeoutSeconds`.
 * Returns { code, seconds, timedOut, lines }: `lines` are all output lines if `keep` is set, else the last 30.
 */
export function execute(command, args, { cwd = root, env = toolEnvironment(), log, onLine, keep = false, timeoutSeconds } = {}) {
  return new Promise((done, fail) => {
    const started = performance.now();
    let file;
    if (log) {
      mkdirSync(dirname(log), { recursive: true });
      file = createWriteStream(log, { flags: 'a' });
      file.write(`$ ${[command, ...args].join(' ')}\n`);
    }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running.add(child);
    const lines = [];
    let timedOut = false;
    const timer = timeoutSeconds && setTimeout(() => {
      timedOut = true;
      killGroup(child, 'SIGKILL');
    }, timeoutSeconds * 1000);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8');
      const take = (line) => {
        lines.push(line);
        if (!keep && lines.length > 30) lines.shift();
        onLine?.(line);
      };
      stream.on('data', (text) => {
        file?.write(text);
        const parts = (rest + text).split(/\r?\n|\r/);
        rest = parts.pop();
        parts.forEach(take);
      });
      stream.on('end', () => rest && take(rest));
    }
    const settle = (finish) => {
      running.delete(child);
      clearTimeout(timer);
      if (file) file.end(finish);
      else finish();
    };
    child.on('error', (error) => settle(() => fail(new UserError(`cannot run ${command}: ${error.message}`, { log }))));
    child.on('close', (code, signal) => {
      killGroup(child, 'SIGKILL');
      settle(() => done({ code: code ?? 1, signal, timedOut, lines, seconds: (performance.now() - started) / 1000 }));
    });
  });
}

/** `execute`, but a non-zero exit is an error. */
export async function run(command, args, options = {}) {
  const result = await execute(command, args, options);
  if (result.code !== 0) {
    const end = result.timedOut ? `took longer than ${options.timeoutSeconds} s` : `ended with ${result.signal ?? result.code}`;
    throw new UserError(`${[command, ...args].join(' ').slice(0, 200)} ${end}`, { log: options.log, tail: result.lines.slice(-25) });
  }
  return result;
}

/** Standard output and errors of a command as text, or undefined if it cannot be run or fails. */
export async function output(command, args, options = {}) {
  try {
    const result = await execute(command, args, { ...options, keep: true });
    return result.code === 0 ? result.lines.join('\n') : undefined;
  } catch {
    return undefined;
  }
}

/** Call `main`, and end the process with a message instead of a stack for errors that are the user's. */
export async function runMain(main) {
  try {
    process.exitCode = (await main(process.argv.slice(2))) ?? 0;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const line of error.tail ?? []) console.error(`    | ${line}`);
    console.error(`\nhartwood: ${error.message}`);
    if (error.log) console.error(`hartwood: the whole output is in ${error.log}`);
    process.exitCode = error.exitCode;
  }
}

/** Whether the module with this address is the program that Node was started with, not an import. */
export function isMain(moduleUrl) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(moduleUrl);
}

/** A small option reader: `spec` maps option names to defaults; a boolean default makes a flag. */
export function readOptions(args, spec) {
  const options = { ...spec };
  const rest = [];
  for (let i = 0; i < args.length; i++) {
    const match = /^--([a-z-]+)(?:=(.*))?$/.exec(args[i]);
    if (!match) {
      rest.push(args[i]);
      continue;
    }
    const name = match[1].replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
    if (!(name in spec)) throw new UserError(`unknown option --${match[1]}; there are: ${Object.keys(spec).map((key) => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`).join(' ')}`);
    if (typeof spec[name] === 'boolean') {
      options[name] = true;
    } else {
      const value = match[2] ?? args[++i];
      if (value === undefined) throw new UserError(`--${match[1]} needs a value`);
      options[name] = value;
    }
  }
  return { options, rest };
}
