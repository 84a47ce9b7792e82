// SPDX-License-Identifier: Apache-2.0
// The one error class of the API. `code` is for programs, `message` for people, `detail` for bug reports.
import type { ErrorCode, ErrorReport } from '../../workers/protocol.ts';

export type { ErrorCode };

export class MachineError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, message: string, detail = '') {
    super(message);
    this.name = 'MachineError';
    this.code = code;
    this.detail = detail;
  }

  static from(report: ErrorReport): MachineError {
    return new MachineError(report.code, report.message, report.detail);
  }
}
