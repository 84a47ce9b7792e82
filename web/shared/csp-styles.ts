// SPDX-License-Identifier: Apache-2.0
// xterm.js under a content security policy without 'unsafe-inline': it writes its rules into <style> elements and colours
// into style attributes, both of which such a policy blocks. Constructed style sheets and the style property are allowed,
// so the elements that the document makes from now on put the same text there. (xterm's documentOverride option would be
// the place for this, but not all of xterm looks at it.)

/** Stands where xterm keeps a <style> element; its text lives in a constructed sheet. */
function makeSheetElement(make: Document['createElement']): HTMLElement {
  const element = make.call(document, 'span');
  element.hidden = true;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', { get: () => '', set: (text: string) => sheet.replaceSync(text) });
  Object.defineProperty(element, 'remove', {
    value(): void {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
      Element.prototype.remove.call(element);
    },
  });
  return element;
}

function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === 'style') this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

/** Call once for a page, before its first terminal. */
export function avoidInlineStyles(): void {
  if (Object.hasOwn(document, 'createElement')) return;
  const make = document.createElement;
  const createElement = (name: string, options?: ElementCreationOptions): HTMLElement => {
    if (name === 'style') return makeSheetElement(make);
    const element = make.call(document, name, options);
    if (name === 'span') element.setAttribute = setAttribute;
    return element;
  };
  Object.defineProperty(document, 'createElement', { value: createElement, configurable: true });
}
