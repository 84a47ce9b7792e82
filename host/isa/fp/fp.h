// SPDX-License-Identifier: Apache-2.0
// The RISC-V floating-point operations as exact, pure functions on bit patterns: include this one header.
// Owned by no thread; thread-safe; no host floating-point environment is read or written.
//
//   format.h    F16, F32, F64; Rm; the fflags bits; box and unbox
//   compare.h   sgnj sgnjn sgnjx classify eq lt le ltq leq min max minm maxm
//   fp_fast.h   add sub mul div sqrt fmadd fmsub fnmsub fnmadd to_int from_int convert
//   soft.h      the same in integer arithmetic (namespace soft): the definition of the results
//   below       fround froundnx cvtmod_w_d fli
//
// Every function that can raise an exception takes `u8& flags`: pass the hart's current fflags in, it is
// OR-ed into (knowing that NX is set already is also what makes the quick paths quick). `rm` is a resolved,
// valid mode. Example: `u64 r = fp::add<fp::F64>(a, b, fp::Rm::rne, fflags);`
#pragma once

#include "isa/fp/compare.h"
#include "isa/fp/format.h"
#include "isa/fp/fp_fast.h"
#include "isa/fp/soft.h"

namespace hartwood::fp {

/// FROUND and FROUNDNX: to an integral value of the same format. [unpriv: Zfa, Round-to-Integer Instructions]
template <class F>
inline BitsOf<F> fround(BitsOf<F> a, Rm rm, u8& flags) {
  return soft::round_int<F>(a, rm, false, flags);
}
template <class F>
inline BitsOf<F> froundnx(BitsOf<F> a, Rm rm, u8& flags) {
  return soft::round_int<F>(a, rm, true, flags);
}

/// FCVTMOD.W.D. [unpriv: Zfa, Modular Convert-to-Integer Instruction]
inline i32 cvtmod_w_d(u64 a, u8& flags) { return soft::cvtmod_w_d(a, flags); }

/// FLI: `index` is the instruction's rs1 field, 0 to 31. [unpriv: Zfa, Load-Immediate Instructions]
template <class F>
inline BitsOf<F> fli(unsigned index) {
  return soft::load_immediate<F>(index);
}

}  // namespace hartwood::fp
