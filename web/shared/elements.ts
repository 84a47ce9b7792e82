// SPDX-License-Identifier: Apache-2.0
// Finding the elements of our own pages: one that is missing is our bug, and says which.

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`This page has no element "${id}".`);
  return found as T;
}

export function showText(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}
