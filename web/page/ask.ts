// SPDX-License-Identifier: Apache-2.0
// A question over the page: Enter takes what has the focus, Escape declines. What cannot be undone has the focus on No.
import { element, showText } from '../shared/elements.ts';

export interface Question {
  title: string;
  text: string;
  /** On the button. */
  yes: string;
  /** Something is lost by a yes. */
  danger?: boolean;
  /** Asks for a text. */
  input?: { value: string; maxLength: number };
}

/** null: declined; else the text that was asked for, '' where none was. One at a time. */
export async function ask({ title, text, yes, danger = false, input }: Question): Promise<string | null> {
  const dialog = element<HTMLDialogElement>('ask');
  const field = element<HTMLInputElement>('ask-input');
  const yesButton = element<HTMLButtonElement>('ask-yes');
  const noButton = element<HTMLButtonElement>('ask-no');
  showText('ask-title', title);
  showText('ask-text', text);
  yesButton.textContent = yes;
  yesButton.className = danger ? 'danger' : 'primary';
  field.hidden = input === undefined;
  field.disabled = input === undefined; // one that is required and not to be seen would hold the form back
  field.value = input?.value ?? '';
  if (input !== undefined) field.maxLength = input.maxLength;
  dialog.returnValue = '';
  dialog.showModal();
  if (input !== undefined) field.select();
  else (danger ? noButton : yesButton).focus();
  await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  return dialog.returnValue === 'yes' ? field.value.trim() : null;
}
