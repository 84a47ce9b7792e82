// SPDX-License-Identifier: Apache-2.0
// The terminal of index.html and embed.html: xterm.js with its addons, fitted to its container. Loaded by dynamic import
// beside the machine's start, which does not wait for it.
import { ClipboardAddon, type IClipboardProvider } from '@xterm/addon-clipboard';
import { FitAddon } from '@xterm/addon-fit';
import { UnicodeGraphemesAddon } from '@xterm/addon-unicode-graphemes';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import { avoidInlineStyles } from './csp-styles.ts';
import { leavesTerminal } from './leave-keys.ts';
import { kDarkTerminal, kLightTerminal } from './terminal-themes.ts';

export interface TerminalOptions {
  container: HTMLElement;
  dark: boolean;
  screenReader: boolean;
  /** What the user types or pastes. */
  onInput: (data: string | Uint8Array) => void;
  onResize: (columns: number, rows: number) => void;
  /** The user pressed the keys that leave the terminal. */
  onLeave: () => void;
}

const kFont = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const kNarrow = 520; // CSS pixels: below, a smaller letter gives more columns

/** The guest may fill the clipboard (OSC 52) but never read it. */
const kClipboard: IClipboardProvider = {
  readText: async () => '',
  writeText: async (_selection, text) => navigator.clipboard?.writeText(text),
};

export class TerminalView {
  private readonly terminal: Terminal;
  private readonly fitter = new FitAddon();
  private readonly options: TerminalOptions;
  private fixed: { columns: number; rows: number } | null = null;
  private control = false;
  private fitting = 0;

  constructor(options: TerminalOptions) {
    this.options = options;
    avoidInlineStyles();
    this.terminal = new Terminal({
      allowProposedApi: true, // addon-unicode-graphemes asks for it
      convertEol: false,
      cursorBlink: false, // its animation alone costs a software-rendered page 6 % of a core
      fontFamily: kFont,
      fontSize: fontSize(options.container),
      lineHeight: 1.15,
      scrollback: 5000,
      screenReaderMode: options.screenReader,
      theme: options.dark ? kDarkTerminal : kLightTerminal,
      minimumContrastRatio: 4.5,
    });
    const { terminal } = this;
    terminal.loadAddon(this.fitter);
    terminal.loadAddon(new UnicodeGraphemesAddon());
    terminal.loadAddon(new WebLinksAddon());
    terminal.loadAddon(new ClipboardAddon(undefined, kClipboard));
    terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    terminal.open(options.container);
    void this.drawWithGpu();
    terminal.onData((data) => options.onInput(this.withControl(data)));
    terminal.onBinary((data) => options.onInput(Uint8Array.from(data, (each) => each.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => options.onResize(cols, rows));
    new ResizeObserver(() => this.scheduleFit()).observe(options.container);
    this.fit();
    document.fonts?.ready.then(() => this.fit(), () => {});
  }

  get columns(): number {
    return this.terminal.cols;
  }
  get rows(): number {
    return this.terminal.rows;
  }

  /** Resolves when it is drawn: the machine's output is held back until then. */
  write(data: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => this.terminal.write(data, resolve));
  }

  focus(): void {
    this.terminal.focus();
  }

  setDark(dark: boolean): void {
    this.terminal.options.theme = dark ? kDarkTerminal : kLightTerminal;
  }

  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
  }

  /** A grid of exactly this size; null: as large as the container again. */
  setFixedSize(size: { columns: number; rows: number } | null): void {
    this.fixed = size;
    this.fit();
  }

  /** From the key bar of a touch screen: the next character typed becomes its control character. */
  setControl(on: boolean): void {
    this.control = on;
  }

  /** As if typed. */
  input(data: string): void {
    this.terminal.input(data, true);
  }

  fit(): void {
    if (this.fixed !== null) {
      this.terminal.resize(this.fixed.columns, this.fixed.rows);
      return;
    }
    const size = fontSize(this.options.container);
    if (this.terminal.options.fontSize !== size) this.terminal.options.fontSize = size;
    this.fitter.fit();
  }

  private scheduleFit(): void {
    cancelAnimationFrame(this.fitting);
    this.fitting = requestAnimationFrame(() => this.fit());
  }

  private withControl(data: string): string {
    if (!this.control || !/^[@-_a-z]$/i.test(data)) return data;
    this.control = false;
    this.options.container.dispatchEvent(new CustomEvent('controlused'));
    return String.fromCharCode(data.toUpperCase().charCodeAt(0) & 0x1f);
  }

  /** False: not the terminal's. */
  private onKey(event: KeyboardEvent): boolean {
    if (leavesTerminal(event)) {
      event.preventDefault();
      if (event.type === 'keydown') this.options.onLeave();
      return false;
    }
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyC' && this.terminal.hasSelection()) {
      event.preventDefault();
      if (event.type === 'keydown') void navigator.clipboard?.writeText(this.terminal.getSelection());
      return false;
    }
    // The browser's own paste, which asks for no permission.
    return !(event.ctrlKey && event.shiftKey && event.code === 'KeyV');
  }

  /** xterm's WebGL renderer where there is a real GPU; a software one is slower than the DOM. */
  private async drawWithGpu(): Promise<void> {
    if (!hasGpu()) return;
    const { WebglAddon } = await import('@xterm/addon-webgl');
    try {
      const addon = new WebglAddon();
      addon.onContextLoss(() => addon.dispose()); // xterm goes back to the DOM
      this.terminal.loadAddon(addon);
    } catch {
      // The DOM renderer stays.
    }
  }
}

function fontSize(container: HTMLElement): number {
  return container.clientWidth < kNarrow ? 12 : 14;
}

function hasGpu(): boolean {
  const context = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  if (context === null) return false;
  const names = context.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(context.getParameter(names?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER));
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}
