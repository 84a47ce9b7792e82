// SPDX-License-Identifier: Apache-2.0
// The way out of the terminal for those who use no mouse. Every other key is the guest's, Tab included.

export type Keys = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey'>;

/** Ctrl+Shift+Escape, or Ctrl+F6 where the system keeps the first for itself. */
export function leavesTerminal(event: Keys): boolean {
  if (!event.ctrlKey || event.altKey || event.metaKey) return false;
  return (event.key === 'Escape' && event.shiftKey) || (event.key === 'F6' && !event.shiftKey);
}
