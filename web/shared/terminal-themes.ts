// SPDX-License-Identifier: Apache-2.0
// The terminal's colours; the background is that of --terminal in style.css.
import type { ITheme } from '@xterm/xterm';

export const kDarkTerminal: ITheme = {
  background: '#0e1311',
  foreground: '#d9e0db',
  cursor: '#8fd0a8',
  cursorAccent: '#0e1311',
  selectionBackground: '#2d5a41',
  selectionInactiveBackground: '#26382d',
  scrollbarSliderBackground: '#97a49c33',
  scrollbarSliderHoverBackground: '#97a49c66',
  scrollbarSliderActiveBackground: '#97a49c88',
  black: '#1b221e', red: '#e88080', green: '#86c99b', yellow: '#dcc07a',
  blue: '#82aee6', magenta: '#c39ae0', cyan: '#77c6c4', white: '#cfd6d1',
  brightBlack: '#748079', brightRed: '#f4a3a0', brightGreen: '#a9dfb8', brightYellow: '#efd89b',
  brightBlue: '#a9c8f2', brightMagenta: '#d8b8ee', brightCyan: '#9cdcda', brightWhite: '#f4f7f5',
};

export const kLightTerminal: ITheme = {
  background: '#fcfdfb',
  foreground: '#242c27',
  cursor: '#2f6f49',
  cursorAccent: '#fcfdfb',
  selectionBackground: '#bfe0cb',
  selectionInactiveBackground: '#dcebe1',
  scrollbarSliderBackground: '#5a655e2e',
  scrollbarSliderHoverBackground: '#5a655e55',
  scrollbarSliderActiveBackground: '#5a655e77',
  black: '#242c27', red: '#b3332f', green: '#2b7044', yellow: '#87630a',
  blue: '#2459a8', magenta: '#7f3f9e', cyan: '#12706f', white: '#616b64',
  brightBlack: '#69736d', brightRed: '#c2403b', brightGreen: '#347d4f', brightYellow: '#8f6b12',
  brightBlue: '#2f66b8', brightMagenta: '#8d4bad', brightCyan: '#1c7d7c', brightWhite: '#39423c',
};
