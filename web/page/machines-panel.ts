// SPDX-License-Identifier: Apache-2.0
// The dialog of saved machines: saves the one that runs, to the browser's storage or to a file, and opens one of either.
import { element, showText } from '../shared/elements.ts';
import { SavedMachines, StorageError, kMostNameLength, type SavedMachine } from '../shared/saved-machines.ts';
import { formatBytes } from './boot-view.ts';
import { formatMemory } from './status-line.ts';

export interface MachinesPanelHost {
  /** The machine that runs as a file; null: none runs. */
  snapshot(): Promise<Blob> | null;
  /** Goes on with this one instead of the one that runs. */
  open(machine: Blob, name: string): void;
}

const two = (value: number): string => String(value).padStart(2, '0');
/** 2026-11-26 15.30: sorts, and is a file name everywhere. */
export const defaultName = (date: Date): string =>
  `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}.${two(date.getMinutes())}`;

export class MachinesPanel {
  private readonly host: MachinesPanelHost;
  private readonly dialog = element<HTMLDialogElement>('machines');
  private readonly name = element<HTMLInputElement>('machine-name');
  private readonly list = element('machine-list');
  private store: SavedMachines | null = null;

  constructor(host: MachinesPanelHost) {
    this.host = host;
    this.name.maxLength = kMostNameLength;
    element('save-machine').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.attempt('Saving', () => this.save());
    });
    element('save-file').addEventListener('click', () => void this.attempt('Saving', () => this.saveToFile()));
    const picker = element<HTMLInputElement>('open-file');
    element('choose-file').addEventListener('click', () => picker.click());
    picker.addEventListener('change', () => {
      const [file] = picker.files ?? [];
      picker.value = '';
      if (file !== undefined) this.restore(file, file.name);
    });
    element('close-machines').addEventListener('click', () => this.dialog.close());
    document.addEventListener('dragover', (event) => {
      if (event.dataTransfer?.types.includes('Files') === true) event.preventDefault();
    });
    document.addEventListener('drop', (event) => {
      const file = event.dataTransfer?.files[0];
      if (file === undefined) return;
      event.preventDefault();
      this.restore(file, file.name);
    });
  }

  async open(): Promise<void> {
    this.name.value = defaultName(new Date());
    this.say('');
    this.dialog.showModal();
    await this.attempt('', async () => {
      this.store ??= await SavedMachines.open();
      await this.store.tidy();
      await this.show();
    });
  }

  /** One of the list, by its name: for ?restore=NAME. */
  async load(name: string): Promise<File> {
    this.store ??= await SavedMachines.open();
    return this.store.load(name);
  }

  private async attempt(what: string, action: () => Promise<void>): Promise<void> {
    const buttons = [...this.dialog.querySelectorAll('button')];
    this.say(what === '' ? '' : `${what} …`);
    if (what !== '') for (const button of buttons) button.disabled = true;
    try {
      await action();
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  private say(text: string, failed = false): void {
    showText('machines-say', text);
    element('machines-say').classList.toggle('bad', failed);
  }

  private async snapshot(): Promise<Blob> {
    const blob = await this.host.snapshot();
    if (blob === null) throw new StorageError('No machine runs that could be saved.');
    return blob;
  }

  private async save(): Promise<void> {
    const name = this.name.value.trim();
    const blob = await this.snapshot();
    this.store ??= await SavedMachines.open();
    await this.store.save(name, blob);
    await this.show();
    this.say(`Saved as “${name}”, ${formatBytes(blob.size)}. The machine goes on.`);
  }

  private async saveToFile(): Promise<void> {
    const blob = await this.snapshot();
    download(blob, this.name.value.trim() || defaultName(new Date()));
    this.say(`${formatBytes(blob.size)} handed to the browser’s downloads. The machine goes on.`);
  }

  private restore(machine: Blob, name: string): void {
    this.dialog.close();
    this.host.open(machine, name);
  }

  private async show(): Promise<void> {
    const machines = await this.store?.list() ?? [];
    element('no-machines').hidden = machines.length > 0;
    this.list.replaceChildren(...machines.map((machine) => this.entry(machine)));
  }

  private entry(machine: SavedMachine): HTMLElement {
    const { name } = machine;
    const item = document.createElement('li');
    const title = document.createElement('strong');
    title.textContent = name;
    const facts = document.createElement('span');
    facts.className = 'quiet';
    facts.textContent = [
      new Date(machine.date).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }),
      formatBytes(machine.size),
      ...(machine.harts === null ? [] : [`${machine.harts} ${machine.harts === 1 ? 'processor' : 'processors'}`]),
      ...(machine.memory === null ? [] : [formatMemory(machine.memory)]),
    ].join(' · ');
    const text = document.createElement('div');
    text.append(title, facts);
    const actions = document.createElement('div');
    actions.className = 'row';
    const button = (label: string, action: () => Promise<void>, primary = false): void => {
      const made = document.createElement('button');
      made.type = 'button';
      made.textContent = label;
      made.setAttribute('aria-label', `${label} ${name}`);
      made.className = primary ? 'primary' : '';
      made.addEventListener('click', () => void this.attempt('', action));
      actions.append(made);
    };
    button('Restore', async () => this.restore(await this.load(name), name), true);
    button('Export', async () => download(await this.load(name), name));
    button('Rename', async () => {
      const to = window.prompt('New name', name)?.trim();
      if (to === undefined) return;
      await this.store?.rename(name, to);
      await this.show();
    });
    button('Delete', async () => {
      if (!window.confirm(`Delete “${name}”? It cannot be brought back.`)) return;
      await this.store?.remove(name);
      await this.show();
    });
    item.append(text, actions);
    return item;
  }
}

function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `hartwood ${name.replace(/[^\w.-]+/g, ' ').trim()}.hws`;
  link.click();
  // The download has begun by then, which no event tells.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
