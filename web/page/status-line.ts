// SPDX-License-Identifier: Apache-2.0
// The line below the terminal: state, processors, speed, memory, uptime.
import type { CompilerStatistics, Machine, Statistics } from '../api/index.ts';
import { element, showText } from '../shared/elements.ts';

const kInterval = 500; // ms
const kStates = { loading: 'Loading', running: 'Running', paused: 'Paused', off: 'Off', failed: 'Failed' } as const;
export type ShownState = keyof typeof kStates;

export function formatUptime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

export function formatMemory(mebibytes: number): string {
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`;
}

export function formatSpeed(mips: number): string {
  return mips < 10 ? mips.toFixed(1) : String(Math.round(mips));
}

export function describeCompiler(compiler: CompilerStatistics, harts: Statistics['harts']): string {
  const lines = [
    `${compiler.requests} requests, ${compiler.regionsCompiled} regions of guest code compiled`,
    `${compiler.modulesCompiled} modules, ${formatBytes(compiler.bytesEmitted)} of WebAssembly`,
    `${compiler.modulesLive} in use, ${compiler.modulesEvicted} evicted`,
    `received by the harts: ${harts.map((hart) => hart.modulesInstalled).join(', ')}`,
  ];
  if (compiler.modulesFailed > 0) lines.push(`${compiler.modulesFailed} refused by the browser`);
  return lines.join('\n');
}

function formatBytes(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

export class StatusLine {
  private machine: Machine | null = null;
  private readonly lamps = element('hart-lamps');

  constructor() {
    setInterval(() => this.update(), kInterval);
    document.addEventListener('visibilitychange', () => this.update());
  }

  setState(state: ShownState): void {
    showText('state', kStates[state]);
    element('state').dataset['state'] = state;
  }

  /** null: the machine has ended. What it was stays to be read, but nothing runs. */
  show(machine: Machine | null): void {
    if (machine === null) this.update();
    this.machine = machine;
    element('fact-speed').hidden = machine === null;
    if (machine === null) element('fact-compiler').hidden = true;
    if (machine === null) return;
    showText('harts', machine.harts === 1 ? '1 hart' : `${machine.harts} harts`);
    showText('memory', formatMemory(machine.memory));
    this.lamps.replaceChildren(...Array.from({ length: machine.harts }, () => document.createElement('i')));
    for (const fact of ['fact-harts', 'fact-memory', 'fact-uptime']) element(fact).hidden = false;
    this.update();
  }

  private update(): void {
    if (this.machine === null || document.hidden) return;
    const { mips, uptime, harts, compiler } = this.machine.stat();
    showText('speed', formatSpeed(mips));
    showText('uptime', formatUptime(uptime));
    const fact = element('fact-compiler');
    fact.hidden = compiler === null;
    if (compiler !== null) {
      showText('compiled', String(compiler.regionsCompiled));
      const title = describeCompiler(compiler, harts);
      if (fact.title !== title) fact.title = title;
    }
    harts.forEach((hart, index) => {
      const lamp = this.lamps.children[index];
      if (!(lamp instanceof HTMLElement)) return;
      lamp.dataset['state'] = hart.state;
    });
  }
}
