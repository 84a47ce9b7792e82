// SPDX-License-Identifier: Apache-2.0
// The settings that an address carries (?harts=2&memory=512&append=...), for index.html and embed.html alike. Values are
// only brought into their types here; what is acceptable is Machine.boot's to say. Unknown names are ignored: links pick up
// all kinds of parameters on their way.
import type { BootOptions } from '../api/options.ts';

export type ThemeChoice = 'auto' | 'light' | 'dark';

export interface Settings {
  boot: BootOptions;
  /** Really boots (?boot=cold), although what comes with the page at its prompt would be the same machine. */
  cold: boolean;
  /** The name of a machine saved in this browser, or the address of one; null: none. */
  restore: string | null;
  /** null: as chosen on this page before. */
  theme: ThemeChoice | null;
  screenReader: boolean | null;
}

/** A parameter that cannot be brought into its type. */
export class SettingsError extends Error {}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SettingsError(`${name}=${text} in the address is not a whole number.`);
  return Number(text);
}

/** "512", "512M" or "1G", in MiB. */
function mebibytes(name: string, text: string): number {
  const match = /^(\d{1,6})\s*(?:(M)(?:i?B)?|(G)(?:i?B)?)?$/i.exec(text.trim());
  if (match === null) throw new SettingsError(`${name}=${text} in the address is no amount of memory; write 512 or 1G.`);
  return Number(match[1]) * (match[3] === undefined ? 1 : 1024);
}

function flag(name: string, text: string): boolean {
  if (text === '' || text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false') return false;
  throw new SettingsError(`${name}=${text} in the address must be 1 or 0.`);
}

function compilerSetting(text: string): boolean | 'early' {
  if (text === 'on') return true;
  if (text === 'off') return false;
  if (text === 'early') return text;
  throw new SettingsError(`compiler=${text} in the address must be on, off or early.`);
}

export function readSettings(query: URLSearchParams): Settings {
  // An empty value is what a form sends for "as usual".
  const text = (name: string): string | undefined => query.get(name)?.trim() || undefined;
  const boot: Record<string, unknown> = {};
  const set = (name: string, value: unknown): void => {
    if (value !== undefined) boot[name] = value;
  };
  const harts = text('harts');
  if (harts !== undefined) set('harts', wholeNumber('harts', harts));
  const memory = text('memory');
  if (memory !== undefined) set('memory', mebibytes('memory', memory));
  for (const name of ['append', 'kernel', 'firmware', 'disk', 'console', 'paging']) set(name, text(name));
  const compiler = text('compiler');
  if (compiler !== undefined) set('compiler', compilerSetting(compiler));
  const initrd = text('initrd');
  set('initrd', initrd === 'none' ? null : initrd);

  const start = text('boot');
  if (start !== undefined && start !== 'cold' && start !== 'instant') {
    throw new SettingsError(`boot=${start} in the address must be cold or instant.`);
  }
  const theme = text('theme');
  if (theme !== undefined && theme !== 'auto' && theme !== 'light' && theme !== 'dark') {
    throw new SettingsError(`theme=${theme} in the address must be auto, light or dark.`);
  }
  const screenReader = query.get('screenreader');
  return {
    boot: boot as BootOptions, // Machine.boot checks every value
    cold: start === 'cold',
    restore: text('restore') ?? null,
    theme: theme ?? null,
    screenReader: screenReader === null ? null : flag('screenreader', screenReader.trim()),
  };
}

/** What the address sets and a restored machine does not heed, because that was decided when it booted; none: null. */
export function describeIgnored({ boot, cold, restore }: Settings): string | null {
  if (restore === null) return null;
  const names = [...Object.keys(boot).filter((name) => name !== 'compiler'), ...(cold ? ['boot'] : [])];
  if (names.length === 0) return null;
  return `The address has ${names.join(', ')}, which ${names.length === 1 ? 'does' : 'do'} not change a saved machine.`;
}

/** The query that says the same as `values`, without those that are empty. Keeps every other parameter of `before`. */
export function writeSettings(before: URLSearchParams, values: Record<string, string>): URLSearchParams {
  const query = new URLSearchParams(before);
  for (const [name, value] of Object.entries(values)) {
    if (value === '') query.delete(name);
    else query.set(name, value);
  }
  return query;
}
