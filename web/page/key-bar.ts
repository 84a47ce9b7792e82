// SPDX-License-Identifier: Apache-2.0
// The keys that a touch screen's keyboard lacks. Ctrl holds for one character.
import { element } from '../shared/elements.ts';

const kSequences: Record<string, string> = {
  escape: '\x1b',
  tab: '\t',
  up: '\x1b[A',
  down: '\x1b[B',
  left: '\x1b[D',
  right: '\x1b[C',
};

export interface KeyTarget {
  input(data: string): void;
  setControl(on: boolean): void;
}

/** `target`: null while there is no terminal. */
export function connectKeyBar(target: () => KeyTarget | null): void {
  const bar = element('keys');
  const control = bar.querySelector<HTMLButtonElement>('[data-key="control"]');
  const setControl = (on: boolean): void => {
    control?.setAttribute('aria-pressed', String(on));
    target()?.setControl(on);
  };
  // The terminal keeps the focus, and with it the on-screen keyboard.
  bar.addEventListener('pointerdown', (event) => event.preventDefault());
  bar.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    const key = button?.dataset['key'];
    if (key === undefined) return;
    if (key === 'control') setControl(control?.getAttribute('aria-pressed') !== 'true');
    else target()?.input(kSequences[key] ?? '');
  });
  element('terminal').addEventListener('controlused', () => control?.setAttribute('aria-pressed', 'false'));
}
