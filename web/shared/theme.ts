// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system says. The root element's data-theme is what the style sheets look at.
import type { ThemeChoice } from './url-settings.ts';

const kKey = 'hartwood.theme';
const kNext: Record<ThemeChoice, ThemeChoice> = { auto: 'light', light: 'dark', dark: 'auto' };

/** What was stored under `key`; null too where the browser allows no storage. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then it is as before next time.
  }
}

export class Theme {
  private readonly system = matchMedia('(prefers-color-scheme: dark)');
  private chosen: ThemeChoice;
  private readonly onChange: (dark: boolean, choice: ThemeChoice) => void;

  /** `choice`: null takes what was chosen before. Calls `onChange` only later, when something changes. */
  constructor(choice: ThemeChoice | null, onChange: (dark: boolean, choice: ThemeChoice) => void = () => {}) {
    const stored = recall(kKey);
    this.chosen = choice ?? (stored === 'light' || stored === 'dark' ? stored : 'auto');
    this.onChange = onChange;
    this.system.addEventListener('change', () => this.apply());
    document.documentElement.dataset['theme'] = this.dark ? 'dark' : 'light';
  }

  get choice(): ThemeChoice {
    return this.chosen;
  }

  get dark(): boolean {
    return this.chosen === 'dark' || (this.chosen === 'auto' && this.system.matches);
  }

  /** The next of auto, light, dark. */
  advance(): void {
    this.chosen = kNext[this.chosen];
    remember(kKey, this.chosen);
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset['theme'] = this.dark ? 'dark' : 'light';
    this.onChange(this.dark, this.chosen);
  }
}
