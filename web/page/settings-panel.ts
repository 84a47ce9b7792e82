// SPDX-License-Identifier: Apache-2.0
// The settings dialog. What it changes becomes part of the address, so a machine can be sent as a link.
import { kDefaults, kMemorySizes } from '../api/index.ts';
import { kMaxHarts } from '../../build/generated/layout.ts';
import { element } from '../shared/elements.ts';
import { writeSettings } from '../shared/url-settings.ts';
import { formatMemory } from './status-line.ts';

const kTextFields = ['append', 'kernel', 'initrd'] as const;

export class SettingsPanel {
  private readonly dialog = element<HTMLDialogElement>('settings');
  private readonly form = element<HTMLFormElement>('settings-form');

  /** `apply`: called with the new query. */
  constructor(apply: (query: URLSearchParams) => void) {
    fill(this.field('harts'), Array.from({ length: kMaxHarts }, (_, index) => index + 1), String);
    fill(this.field('memory'), kMemorySizes, formatMemory);
    this.form.addEventListener('submit', (event) => {
      const button = event.submitter;
      if (!(button instanceof HTMLButtonElement) || button.value !== 'apply') return;
      const values: Record<string, string> = {};
      for (const name of kTextFields) values[name] = this.field(name).value.trim();
      for (const name of ['harts', 'memory'] as const) {
        const { value } = this.field(name);
        values[name] = value === String(kDefaults[name]) ? '' : value;
      }
      const query = new URLSearchParams(location.search);
      const compiler = query.get('compiler')?.trim() ?? '';
      values['restore'] = ''; // these are for a new machine
      values['compiler'] = !this.compiler.checked ? 'off' : compiler === 'off' ? '' : compiler; // 'early' stays
      apply(writeSettings(query, values));
    });
  }

  /** `harts`, `memory`: what the machine has now, null if the address has something impossible. */
  open(harts: number | null, memory: number | null): void {
    const query = new URLSearchParams(location.search);
    for (const name of kTextFields) this.field(name).value = query.get(name) ?? '';
    this.field('harts').value = String(harts ?? kDefaults.harts);
    this.field('memory').value = String(memory ?? kDefaults.memory);
    this.compiler.checked = query.get('compiler')?.trim() !== 'off';
    this.dialog.showModal();
  }

  private get compiler(): HTMLInputElement {
    return this.field('compiler') as HTMLInputElement;
  }

  private field(name: string): HTMLInputElement | HTMLSelectElement {
    return this.form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
  }
}

function fill(select: HTMLInputElement | HTMLSelectElement, values: readonly number[], format: (value: number) => string): void {
  select.replaceChildren(
    ...values.map((value) => {
      const option = document.createElement('option');
      option.value = String(value);
      option.textContent = format(value);
      return option;
    }),
  );
}
