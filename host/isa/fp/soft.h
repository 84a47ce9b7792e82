// SPDX-License-Identifier: Apache-2.0
// The exact operations in integer arithmetic: every format, rounding mode and special value. They are the
// definition; fp_fast.h answers the common cases with host instructions and must always agree with these.
// Owned by no thread: pure functions, no host floating-point environment; exceptions are OR-ed into `flags`.
// A NaN result is always the canonical one. `rm` must be one of the five modes.
#pragma once

#include "isa/fp/format.h"

namespace hartwood::fp::soft {

// [unpriv: Single-Precision Floating-Point Computational Instructions]; instantiated for F16, F32 and F64.
template <class F>
BitsOf<F> add(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags);
template <class F>
BitsOf<F> mul(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags);
/// A finite number divided by zero raises DZ; 0/0 and inf/inf raise NV.
template <class F>
BitsOf<F> div(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags);
template <class F>
BitsOf<F> sqrt(BitsOf<F> a, Rm rm, u8& flags);
/// a*b + c with one rounding. inf*0 raises NV even when c is a quiet NaN.
template <class F>
BitsOf<F> fma(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags);

/// FCVT to an integer (`I` is i32, u32, i64 or u64). Out of range saturates with NV alone; a NaN gives the
/// largest `I`. [unpriv: Single-Precision Floating-Point Conversion and Move Instructions]
template <class F, class I>
I to_int(BitsOf<F> a, Rm rm, u8& flags);
/// FCVT from an integer (`I` as above).
template <class F, class I>
BitsOf<F> from_int(I v, Rm rm, u8& flags);
/// FCVT between formats: all six directions. Widening is exact and ignores `rm`.
template <class To, class From>
BitsOf<To> convert(BitsOf<From> a, Rm rm, u8& flags);

/// FROUND (`inexact` false) and FROUNDNX (true: raises NX when the value changes). The result keeps the
/// operand's sign. [unpriv: Zfa, Round-to-Integer Instructions]
template <class F>
BitsOf<F> round_int(BitsOf<F> a, Rm rm, bool inexact, u8& flags);

/// FCVTMOD.W.D: truncates and keeps the low 32 bits of the two's complement; infinities and NaNs give 0.
/// Raises what FCVT.W.D with rtz would. [unpriv: Zfa, Modular Convert-to-Integer Instruction]
i32 cvtmod_w_d(u64 a, u8& flags);

/// FLI: constant `index` (0 to 31) as the format encodes it. [unpriv: Zfa, Load-Immediate Instructions]
template <class F>
BitsOf<F> load_immediate(unsigned index);

}  // namespace hartwood::fp::soft
