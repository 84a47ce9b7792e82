// SPDX-License-Identifier: Apache-2.0
// Run a command once for each content of its inputs, and print the folder with its result.
//
//   tools/cached NAME INPUT... [--value STRING]... -- COMMAND ARG...
//
// INPUTs are files and folders, hashed by content; --value adds a string to the hash (a package's version, say), and
// so does the command itself. COMMAND finds an empty folder's path in $OUT, and in each "{}" among its arguments; if
// it succeeds, the folder becomes CACHE/NAME-HASH, whose path is printed. Its output goes to standard error.
// Concurrent callers wait for one another; a failed or interrupted command leaves nothing that counts.
import { spawn } from 'node:child_process';
import { cached } from './lib/content-cache.mjs';
import { root, runMain, toolEnvironment, UserError } from './lib/project.mjs';

await runMain(async (args) => {
  const split = args.indexOf('--');
  if (split < 1 || split === args.length - 1) throw new UserError('usage: tools/cached NAME INPUT... [--value STRING]... -- COMMAND ARG...');
  const [name, ...rest] = args.slice(0, split);
  const command = args.slice(split + 1);
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw new UserError(`not a cache name: ${name}`);
  const paths = [];
  const values = [JSON.stringify(command)];
  while (rest.length) {
    const next = rest.shift();
    if (next !== '--value') paths.push(next);
    else if (rest.length) values.push(rest.shift());
    else throw new UserError('--value needs a string');
  }
  const make = (folder) => new Promise((done, fail) => {
    const [program, ...programArgs] = command.map((word) => word.replaceAll('{}', folder));
    const child = spawn(program, programArgs, { cwd: root, stdio: ['ignore', 2, 2], env: toolEnvironment({ OUT: folder }) });
    child.on('error', (error) => fail(new UserError(`cannot run ${program}: ${error.message}`)));
    child.on('close', (code, signal) => code === 0 ? done() : fail(new UserError(`${name}: the command ended with ${signal ?? code}`)));
  });
  const { folder } = await cached({ name, paths, values, make, onWait: () => console.error(`${name}: waiting for another run`) });
  console.log(folder);
});
