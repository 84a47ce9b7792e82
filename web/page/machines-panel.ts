// SPDX-License-Identifier: Apache-2.0
// The dialog of saved machines: saves the one that runs, to the browser's storage or to a file, and restores one of either,
// also one that is dropped on the page. It does one thing at a time, shows how far that is, and stops it when asked to.
import type { BootProgress } from '../api/index.ts';
import { element, showText } from '../shared/elements.ts';
import { StorageError, kMostNameLength, type SavedMachine, type SavedMachines } from '../shared/saved-machines.ts';
import { openSavedMachines } from '../shared/saved-source.ts';
import { ask } from './ask.ts';
import { formatBytes } from './boot-view.ts';
import { connectDropPlace } from './drop-place.ts';
import { formatMemory } from './status-line.ts';

export interface MachinesPanelHost {
  /** A machine runs, or stands still. */
  running(): boolean;
  /** The machine that runs as a file; null: none runs. */
  snapshot(): Promise<Blob> | null;
  /** Goes on with this one instead of the one that runs, which stays if this rejects. */
  replace(machine: Blob, options: { onProgress: (progress: BootProgress) => void; signal: AbortSignal }): Promise<void>;
}

/** What takes a while. */
interface Work {
  signal: AbortSignal;
  /** `total`: null where that is not known. Both in bytes. */
  progress(what: string, done: number, total: number | null): void;
}

const two = (value: number): string => String(value).padStart(2, '0');
const day = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
/** 2026-11-26 15.30, local time: sorts, and is a file name everywhere. */
export const defaultName = (date: Date): string => `${day(date)} ${two(date.getHours())}.${two(date.getMinutes())}`;
/** hartwood-2026-11-26-1530.hws, local time. */
export const downloadName = (date: Date): string => `hartwood-${day(date)}-${two(date.getHours())}${two(date.getMinutes())}.hws`;

export class MachinesPanel {
  private readonly host: MachinesPanelHost;
  private readonly dialog = element<HTMLDialogElement>('machines');
  private readonly name = element<HTMLInputElement>('machine-name');
  private readonly list = element('machine-list');
  private readonly bar = element<HTMLProgressElement>('work-bar');
  private store: SavedMachines | null = null;
  private working: AbortController | null = null;

  constructor(host: MachinesPanelHost) {
    this.host = host;
    this.name.maxLength = kMostNameLength;
    element('save-machine').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.attempt(() => this.save());
    });
    element('save-file').addEventListener('click', () => void this.attempt(() => this.saveToFile()));
    const picker = element<HTMLInputElement>('open-file');
    element('choose-file').addEventListener('click', () => picker.click());
    picker.addEventListener('change', () => {
      const [file] = picker.files ?? [];
      picker.value = '';
      if (file !== undefined) void this.attempt(() => this.restore(file, file.name));
    });
    element('close-machines').addEventListener('click', () => this.dialog.close());
    element('work-cancel').addEventListener('click', () => this.working?.abort());
    this.dialog.addEventListener('cancel', (event) => {
      if (this.working === null) return;
      event.preventDefault();
      this.working.abort();
    });
    this.dialog.addEventListener('close', () => this.working?.abort()); // browsers let a second Escape close it
    connectDropPlace(element('drop'), (file) => void this.dropped(file));
  }

  async open(): Promise<void> {
    this.name.value = defaultName(new Date());
    this.say('');
    if (!this.dialog.open) this.dialog.showModal();
    await this.attempt(async () => {
      await (await this.opened()).tidy();
      await this.show();
    });
  }

  private async dropped(file: File): Promise<void> {
    if (this.working !== null || element<HTMLDialogElement>('ask').open) return;
    await this.open();
    await this.attempt(() => this.restore(file, file.name));
  }

  private async opened(): Promise<SavedMachines> {
    return this.store ??= await openSavedMachines();
  }

  private async attempt(action: () => Promise<void>): Promise<void> {
    this.say('');
    try {
      await action();
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  /** Shows progress instead of all else while `action` runs. Resolves with false if it was cancelled. */
  private async work(title: string, action: (work: Work) => Promise<void>): Promise<boolean> {
    const working = new AbortController();
    const focused = document.activeElement;
    this.working = working;
    const choices = [...this.dialog.querySelectorAll<HTMLElement>('.choices')];
    for (const each of choices) each.inert = true;
    const progress = (what: string, done: number, total: number | null): void => {
      showText('work-what', what);
      showText('work-bytes', done === 0 ? '\u00a0' : `${formatBytes(done)}${total === null ? '' : ` of ${formatBytes(total)}`}`);
      if (total === null) {
        this.bar.removeAttribute('value');
      } else {
        this.bar.max = Math.max(total, 1);
        this.bar.value = done;
      }
    };
    progress(title, 0, null);
    element('work').hidden = false;
    element('work-cancel').focus();
    try {
      await action({ signal: working.signal, progress });
      return true;
    } catch (error) {
      if (!working.signal.aborted) throw error;
      this.say('Cancelled; everything is as it was.');
      return false;
    } finally {
      this.working = null;
      element('work').hidden = true;
      for (const each of choices) each.inert = false;
      if (focused instanceof HTMLElement) focused.focus();
    }
  }

  private say(text: string, failed = false): void {
    showText('machines-say', text);
    element('machines-say').classList.toggle('bad', failed);
  }

  private async snapshot(signal: AbortSignal): Promise<Blob> {
    const blob = await unlessAborted(this.host.snapshot() ?? Promise.resolve(null), signal);
    if (blob === null) throw new StorageError('No machine runs that could be saved.');
    return blob;
  }

  private async save(): Promise<void> {
    const name = this.name.value.trim();
    const store = await this.opened();
    if (await store.has(name) && await ask({
      title: `Replace “${name}”?`, text: 'A machine is saved under this name already. It is lost when the new one is written.',
      yes: 'Replace', danger: true,
    }) === null) return;
    let size = 0;
    const done = await this.work('Saving the machine', async ({ signal, progress }) => {
      const blob = await this.snapshot(signal);
      size = blob.size;
      progress('Writing', 0, size);
      await store.save(name, blob, { signal, onProgress: (bytes) => progress('Writing', bytes, size) });
    });
    if (!done) return;
    await this.show();
    this.say(`Saved as “${name}”, ${formatBytes(size)}. The machine goes on.`);
  }

  private async saveToFile(): Promise<void> {
    await this.work('Saving the machine', async ({ signal }) => {
      const blob = await this.snapshot(signal);
      download(blob, new Date());
      this.say(`${formatBytes(blob.size)} handed to the browser’s downloads. The machine goes on.`);
    });
  }

  private async restore(machine: Blob, name: string): Promise<void> {
    if (this.host.running() && await ask({
      title: `Restore “${name}”?`, text: 'It takes the place of the machine that runs now. Save that one first if you need it.', yes: 'Restore',
    }) === null) return;
    const replacing = this.host.running();
    let done = false;
    try {
      done = await this.work('Reading the saved machine', ({ signal, progress }) => this.host.replace(machine, {
        signal, onProgress: ({ loaded, total }) => progress('Reading the saved machine', loaded, total),
      }));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new StorageError(`“${name}” cannot be restored. ${text}${replacing ? ' The machine that ran before goes on.' : ''}`, { cause: error });
    }
    if (done) this.dialog.close();
  }

  private async show(): Promise<void> {
    const machines = await (await this.opened()).list();
    element('no-machines').hidden = machines.length > 0;
    this.list.replaceChildren(...machines.map((machine) => this.entry(machine)));
  }

  private entry(machine: SavedMachine): HTMLElement {
    const { name, damaged } = machine;
    const item = document.createElement('li');
    const title = document.createElement('strong');
    title.textContent = name;
    const facts = document.createElement('span');
    facts.className = 'quiet';
    facts.textContent = [
      ...(machine.date === 0 ? [] : [
        new Date(machine.date).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }), formatBytes(machine.size),
      ]),
      ...(machine.harts === null ? [] : [`${machine.harts} ${machine.harts === 1 ? 'processor' : 'processors'}`]),
      ...(machine.memory === null ? [] : [formatMemory(machine.memory)]),
    ].map((fact) => fact.replaceAll(' ', '\u00a0')).join(' · '); // broken between facts only
    const text = document.createElement('div');
    text.append(title, facts);
    if (damaged) {
      const what = document.createElement('span');
      what.className = 'bad';
      what.textContent = 'Damaged: it cannot be restored.';
      text.append(what);
    }
    const actions = document.createElement('div');
    actions.className = 'row';
    const button = (label: string, action: () => Promise<void>, style = ''): void => {
      const made = document.createElement('button');
      made.type = 'button';
      made.textContent = label;
      made.setAttribute('aria-label', `${label} ${name}`);
      made.className = style;
      made.addEventListener('click', () => void this.attempt(action));
      actions.append(made);
    };
    if (!damaged) this.addChoices(machine, button);
    button('Delete', async () => {
      if (await ask({ title: `Delete “${name}”?`, text: 'It cannot be brought back.', yes: 'Delete', danger: true }) === null) return;
      await (await this.opened()).remove(machine);
      await this.show();
      element('close-machines').focus();
    });
    item.append(text, actions);
    return item;
  }

  private addChoices({ name, date }: SavedMachine, button: (label: string, action: () => Promise<void>, style?: string) => void): void {
    button('Restore', async () => this.restore(await (await this.opened()).load(name), name), 'primary');
    button('Export', async () => download(await (await this.opened()).load(name), new Date(date)));
    button('Rename', async () => {
      const to = await ask({
        title: 'Rename', text: `A new name for “${name}”.`, yes: 'Rename', input: { value: name, maxLength: kMostNameLength },
      });
      if (to === null) return;
      await (await this.opened()).rename(name, to);
      await this.show();
      element('close-machines').focus();
    });
  }
}

/** What `promise` gives, or the signal's reason, whichever is first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    promise.then(resolve, reject);
  });
}

function download(blob: Blob, date: Date): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = downloadName(date);
  link.click();
  // The download has begun by then, which no event tells.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
