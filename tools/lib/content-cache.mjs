// SPDX-License-Identifier: Apache-2.0
// A cache of build results keyed by content: the folder CACHE/NAME-KEY exists if and only if the command that makes
// it has succeeded with exactly these inputs. The command works in a folder beside it, which is renamed at the end.
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { takeLock } from './lock.mjs';
import { cacheDir, root, UserError } from './project.mjs';

/** Feed a file, or a folder's files in sorted order, into `hash`: path below the project, executable bit, content. */
function addPath(hash, path) {
  const full = resolve(root, path);
  let info;
  try {
    info = lstatSync(full);
  } catch {
    throw new UserError(`no such input: ${path}`);
  }
  const name = relative(root, full);
  if (info.isDirectory()) {
    for (const entry of readdirSync(full).sort()) {
      if (!['node_modules', '.git', '__pycache__'].includes(entry)) addPath(hash, join(full, entry));
    }
  } else if (info.isSymbolicLink()) {
    hash.update(`link ${name}\0${readlinkSync(full)}\0`);
  } else {
    hash.update(`file ${name}\0${info.mode & 0o100 ? 'x' : '-'}\0${info.size}\0`).update(readFileSync(full));
  }
}

/** Hash of files and folders (`paths`, relative to the project) and of plain strings (`values`): 16 hex digits. */
export function contentKey(paths, values = []) {
  const hash = createHash('sha256');
  for (const value of values) hash.update(`value ${value}\0`);
  for (const path of paths) addPath(hash, path);
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder with the result of `make(folder)` for these inputs; `make` is called only if there is none yet.
 * Returns { folder, made }.
 */
export async function cached({ name, paths = [], values = [], make, onWait }) {
  const folder = join(cacheDir, `${name}-${contentKey(paths, values)}`);
  if (existsSync(folder)) return { folder, made: false };
  mkdirSync(cacheDir, { recursive: true });
  const release = await takeLock(`${folder}.lock`, onWait);
  try {
    if (existsSync(folder)) return { folder, made: false };
    // We hold the lock, so what lies there is what an interrupted run has left.
    for (const entry of readdirSync(dirname(folder))) {
      if (entry.startsWith(`${basename(folder)}.partial`)) rmSync(join(cacheDir, entry), { recursive: true, force: true });
    }
    const partial = `${folder}.partial-${process.pid}`;
    mkdirSync(partial);
    await make(partial);
    renameSync(partial, folder);
    return { folder, made: true };
  } finally {
    await release();
  }
}
