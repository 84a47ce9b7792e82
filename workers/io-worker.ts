// SPDX-License-Identifier: Apache-2.0
// The io worker's script: hands messages to the IoMachine and its answers to the page.
import { IoMachine } from './io-machine.ts';
import { parentPort } from './platform.ts';
import type { FromIo, ToIo } from './protocol.ts';

const parent = parentPort<ToIo, FromIo>();
const machine = new IoMachine((message, transfer) => parent.postMessage(message, transfer));
parent.onmessage = ({ data }) => machine.receive(data);
