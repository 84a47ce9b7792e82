// SPDX-License-Identifier: Apache-2.0
// A worker of the browser that runs the kernels as WebAssembly (page-side.mjs starts it): the message that it gets has the
// arguments, the one that it sends has exit code and output.
import startKernels from './kernels.mjs';

self.onmessage = ({ data }) => {
  const lines = [];
  const take = (line) => lines.push(line);
  const onExit = (code) => self.postMessage({ code, text: lines.map((line) => `${line}\n`).join('') });
  startKernels({ arguments: data, print: take, printErr: take, onExit }).catch((error) => {
    // A program that ends by exit() also comes here, after its report.
    if (error?.name !== 'ExitStatus') self.postMessage({ code: 1, text: String(error) });
  });
};
