// SPDX-License-Identifier: Apache-2.0
// What is seen until the kernel's own messages begin: the files' bytes as they arrive. On a warm cache it never shows.
import type { BootProgress } from '../api/index.ts';
import { element, showText } from '../shared/elements.ts';

const kNames: Record<BootProgress['kind'], string> = {
  kernel: 'kernel',
  initrd: 'initial RAM disk',
  firmware: 'firmware',
  dtb: 'device tree',
  disk: 'disk image',
  snapshot: 'saved machine',
};

export const formatBytes = (bytes: number): string => bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

export class BootView {
  private readonly files = new Map<BootProgress['kind'], BootProgress>();
  private readonly bar = element<HTMLProgressElement>('boot-bar');

  show(title: string): void {
    this.files.clear();
    showText('boot-title', title);
    showText('boot-what', 'Preparing the machine');
    showText('boot-bytes', '\u00a0');
    this.bar.removeAttribute('value');
    element('boot').hidden = false;
  }

  hide(): void {
    element('boot').hidden = true;
  }

  progress(progress: BootProgress): void {
    this.files.set(progress.kind, progress);
    const files = [...this.files.values()];
    const loaded = files.reduce((sum, file) => sum + file.loaded, 0);
    const missing = files.filter((file) => file.total === null || file.loaded < file.total);
    if (files.some((file) => file.total === null)) {
      this.bar.removeAttribute('value');
      showText('boot-bytes', formatBytes(loaded));
    } else {
      const total = files.reduce((sum, file) => sum + (file.total ?? 0), 0);
      this.bar.max = Math.max(total, 1);
      this.bar.value = loaded;
      showText('boot-bytes', `${formatBytes(loaded)} of ${formatBytes(total)}`);
    }
    showText('boot-what', missing.length === 0
      ? 'Starting the processors'
      : `Loading the ${missing.map((file) => kNames[file.kind]).join(' and the ')}`);
  }
}
