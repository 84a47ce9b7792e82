// SPDX-License-Identifier: Apache-2.0
// Every Node command of the project runs with Node 24 or newer. Where the system's is older, the program comes from
// npm's package of prebuilt binaries into the cache folder, and the calling script is run again with it.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDir, logDir, pathWith, run, toolEnvironment, UserError } from './project.mjs';

const neededMajor = 24;
const fetchedVersion = '24.21.0';

async function fetchNode() {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(cacheDir, `${name}-${fetchedVersion}`);
  const program = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(program)) return program;
  console.log(`hartwood: Node ${process.versions.node} is older than ${neededMajor}: getting ${fetchedVersion} from npm`);
  mkdirSync(cacheDir, { recursive: true });
  const partial = mkdtempSync(join(cacheDir, `${name}.partial-`));
  try {
    writeFileSync(join(partial, 'package.json'), '{"private":true}\n');
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', `${name}@${fetchedVersion}`],
      { cwd: partial, log: join(logDir, 'node.log') });
    await run(join(partial, 'node_modules', name, 'bin', 'node'), ['--version'], { log: join(logDir, 'node.log') });
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (existsSync(program)) return program;  // another run was quicker
    throw new UserError(`Node ${neededMajor} or newer is needed and npm could not get it: ${error.message}`, { log: error.log, tail: error.tail });
  }
  return program;
}

/**
 * Call first in a script's main function. Returns normally under a new enough Node; otherwise runs the same script
 * with the same arguments under a fetched one, and ends this process with its exit code.
 */
export async function needNewNode() {
  if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
    process.env.PATH = pathWith(dirname(process.execPath));
    return;
  }
  const program = await fetchNode();
  const child = spawn(program, process.argv.slice(1), { stdio: 'inherit', env: toolEnvironment({ PATH: pathWith(dirname(program)) }) });
  // The terminal sends its signals to the child as well: wait for its answer.
  process.removeAllListeners('SIGINT');
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) {
    process.removeAllListeners(signal);
    process.on(signal, () => child.kill(signal));
  }
  const code = await new Promise((done) => child.on('close', (status, signal) => done(status ?? (signal === 'SIGINT' ? 130 : 143))));
  process.exit(code);
}
