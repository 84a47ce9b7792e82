// SPDX-License-Identifier: Apache-2.0
// The whole page takes a file that is dropped on it, and shows that it would while one is dragged over it.

/** `place`: a popover that covers the page, also its dialogs. */
export function connectDropPlace(place: HTMLElement, dropped: (file: File) => void): void {
  const show = (shown: boolean): void => {
    if (place.matches(':popover-open') !== shown) place.togglePopover(shown);
  };
  document.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files') !== true) return;
    event.preventDefault(); // else the browser opens the file
    event.dataTransfer.dropEffect = 'copy';
    show(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) show(false); // it left the page, not only one of its elements
  });
  document.addEventListener('drop', (event) => {
    show(false);
    const file = event.dataTransfer?.files[0];
    if (file === undefined) return;
    event.preventDefault();
    dropped(file);
  });
}
