// SPDX-License-Identifier: Apache-2.0
// The disassembler's text, one line or more of each format; every row of the extensions that Debian 12's
// binutils does not know (binutils_native_test.cpp compares the rest); names of registers and extensions.
// Words and texts are those of the GNU assembler, of LLVM 19 for Zfa, Zicond and Zacas.
#include "isa/isa.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "isa/csr_names.h"

namespace hartwood {
namespace {

IsaOptions everything() {
  IsaOptions options;
  options.set(Extension::Zacas, true);
  return options;
}

std::string text(u32 word, u64 pc = 0x80000000) { return disassemble(word, pc, everything()); }

TEST(Disassemble, Integer) {
  EXPECT_EQ(text(0x00c58533), "add\ta0,a1,a2");
  EXPECT_EQ(text(0xfff58513), "addi\ta0,a1,-1");
  EXPECT_EQ(text(0x03f59513), "slli\ta0,a1,0x3f");
  EXPECT_EQ(text(0xfffff537), "lui\ta0,0xfffff");
  EXPECT_EQ(text(0x00001517), "auipc\ta0,0x1");
  EXPECT_EQ(text(0x8005b503), "ld\ta0,-2048(a1)");
  EXPECT_EQ(text(0xfea5bfa3), "sd\ta0,-1(a1)");
  EXPECT_EQ(text(0x00008067), "jalr\tzero,0(ra)");
  EXPECT_EQ(text(0x0805c53b), "zext.h\ta0,a1");
  EXPECT_EQ(text(0x20c5a53b), "sh1add.uw\ta0,a1,a2");
}

TEST(Disassemble, TargetsAreAbsolute) {
  EXPECT_EQ(text(0x00b50463, 0xffffffff80001000), "beq\ta0,a1,0xffffffff80001008");
  EXPECT_EQ(text(0xfeb55fe3, 0x1000), "bge\ta0,a1,0xffe");
  EXPECT_EQ(text(0x800000ef, 0x80200000), "jal\tra,0x80100000");
  EXPECT_EQ(text(0xfe000ee3, 0), "beq\tzero,zero,0xfffffffffffffffc") << "addresses wrap";
  EXPECT_EQ(text(0xb001, 0x1000), "c.j\t0x800");
  EXPECT_EQ(text(0xd381, 0x1000), "c.beqz\ta5,0xf00");
}

TEST(Disassemble, Atomics) {
  EXPECT_EQ(text(0x00b6252f), "amoadd.w\ta0,a1,(a2)");
  EXPECT_EQ(text(0x06b6352f), "amoadd.d.aqrl\ta0,a1,(a2)");
  EXPECT_EQ(text(0x1405a52f), "lr.w.aq\ta0,(a1)");
  EXPECT_EQ(text(0x1ab6352f), "sc.d.rl\ta0,a1,(a2)");
}

TEST(Disassemble, System) {
  EXPECT_EQ(text(0x00000073), "ecall");
  EXPECT_EQ(text(0x30559573), "csrrw\ta0,mtvec,a1");
  EXPECT_EQ(text(0x7c055573), "csrrwi\ta0,0x7c0,10");
  EXPECT_EQ(text(0xc0001073), "csrrw\tzero,cycle,zero");
  EXPECT_EQ(text(0x12b50073), "sfence.vma\ta0,a1");
  EXPECT_EQ(text(0x0045200f), "cbo.zero\t(a0)");
}

TEST(Disassemble, Fences) {
  EXPECT_EQ(text(0x0310000f), "fence\trw,w");
  EXPECT_EQ(text(0x0ff0000f), "fence\tiorw,iorw");
  EXPECT_EQ(text(0x0f00000f), "fence\tiorw,0");
  EXPECT_EQ(text(0x0100000f), "pause");
  EXPECT_EQ(text(0x0100008f), "fence\tw,0");
  EXPECT_EQ(text(0x8330000f), "fence.tso");
  EXPECT_EQ(text(0x8310000f), "fence\trw,w");
  EXPECT_EQ(text(0x0000100f), "fence.i");
}

TEST(Disassemble, FloatingPoint) {
  EXPECT_EQ(text(0x00c5f553), "fadd.s\tfa0,fa1,fa2") << "the dynamic mode is not written";
  EXPECT_EQ(text(0x00c58553), "fadd.s\tfa0,fa1,fa2,rne");
  EXPECT_EQ(text(0x6ac5b543), "fmadd.d\tfa0,fa1,fa2,fa3,rup");
  EXPECT_EQ(text(0xc2259553), "fcvt.l.d\ta0,fa1,rtz");
  EXPECT_EQ(text(0x42058553), "fcvt.d.s\tfa0,fa1") << "nor the mode of an exact conversion, if it is rne";
  EXPECT_EQ(text(0x4205f553), "fcvt.d.s\tfa0,fa1,dyn");
  EXPECT_EQ(text(0xa2c5a553), "feq.d\ta0,fa1,fa2");
  EXPECT_EQ(text(0xe2058553), "fmv.x.d\ta0,fa1");
  EXPECT_EQ(text(0xfea13c27), "fsd\tfa0,-8(sp)");
}

TEST(Disassemble, Compressed) {
  EXPECT_EQ(text(0x0001), "c.addi\tzero,0");
  EXPECT_EQ(text(0x1fe8), "c.addi4spn\ta0,sp,1020");
  EXPECT_EQ(text(0x7101), "c.addi16sp\tsp,-512");
  EXPECT_EQ(text(0x7501), "c.lui\ta0,0xfffe0");
  EXPECT_EQ(text(0x917d), "c.srli\ta0,0x3f");
  EXPECT_EQ(text(0x9901), "c.andi\ta0,-32");
  EXPECT_EQ(text(0x8c1d), "c.sub\ts0,a5");
  EXPECT_EQ(text(0x3c7c), "c.fld\tfa5,248(s0)");
  EXPECT_EQ(text(0xbfaa), "c.fsdsp\tfa0,504(sp)");
  EXPECT_EQ(text(0x852e), "c.mv\ta0,a1");
  EXPECT_EQ(text(0x9502), "c.jalr\ta0");
  EXPECT_EQ(text(0x9002), "c.ebreak");
  EXPECT_EQ(text(0xffff9002), "c.ebreak") << "the upper half is another's";
}

TEST(Disassemble, Illegal) {
  EXPECT_EQ(text(0xffffffff), ".word\t0xffffffff");
  EXPECT_EQ(text(0x0000707f), ".word\t0x0000707f");
  EXPECT_EQ(text(0x2001), ".half\t0x2001");
  EXPECT_EQ(text(0x8002), ".half\t0x8002");
  EXPECT_EQ(text(0x0000), "c.unimp");
  IsaOptions base;
  base.set(Extension::C, false);
  base.set(Extension::M, false);
  EXPECT_EQ(disassemble(0x952e, 0, base), ".half\t0x952e");
  EXPECT_EQ(disassemble(0x0000, 0, base), ".half\t0x0000");
  EXPECT_EQ(disassemble(0x02c58533, 0, base), ".word\t0x02c58533");
}

TEST(Disassemble, Zicond) {
  EXPECT_EQ(text(0x0ec5d533), "czero.eqz\ta0,a1,a2");
  EXPECT_EQ(text(0x0e0dffb3), "czero.nez\tt6,s11,zero");
}

TEST(Disassemble, Zacas) {
  EXPECT_EQ(text(0x28b6252f), "amocas.w\ta0,a1,(a2)");
  EXPECT_EQ(text(0x2cb6252f), "amocas.w.aq\ta0,a1,(a2)");
  EXPECT_EQ(text(0x2a0134af), "amocas.d.rl\ts1,zero,(sp)");
  EXPECT_EQ(text(0x2ec7452f), "amocas.q.aqrl\ta0,a2,(a4)");
}

TEST(Disassemble, Zfa) {
  EXPECT_EQ(text(0x28c5a553), "fminm.s\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x28c5b553), "fmaxm.s\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x4045c553), "fround.s\tfa0,fa1,rmm");
  EXPECT_EQ(text(0x405ff053), "froundnx.s\tft0,ft11");
  EXPECT_EQ(text(0xa0c5d553), "fltq.s\ta0,fa1,fa2");
  EXPECT_EQ(text(0xa0c5c553), "fleq.s\ta0,fa1,fa2");
  EXPECT_EQ(text(0x2ac5a553), "fminm.d\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x2ac5b553), "fmaxm.d\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x4245c553), "fround.d\tfa0,fa1,rmm");
  EXPECT_EQ(text(0x425ff053), "froundnx.d\tft0,ft11");
  EXPECT_EQ(text(0xa2c5d553), "fltq.d\ta0,fa1,fa2");
  EXPECT_EQ(text(0xa2c5c553), "fleq.d\ta0,fa1,fa2");
  EXPECT_EQ(text(0x2cc5a553), "fminm.h\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x2cc5b553), "fmaxm.h\tfa0,fa1,fa2");
  EXPECT_EQ(text(0x4445c553), "fround.h\tfa0,fa1,rmm");
  EXPECT_EQ(text(0x445ff053), "froundnx.h\tft0,ft11");
  EXPECT_EQ(text(0xa4c5d553), "fltq.h\ta0,fa1,fa2");
  EXPECT_EQ(text(0xa4c5c553), "fleq.h\ta0,fa1,fa2");
  EXPECT_EQ(text(0xc2859553), "fcvtmod.w.d\ta0,fa1,rtz");
}

TEST(Disassemble, ZfaConstants) {
  constexpr const char* kConstants[32] = {
      "-0x1p+0", "min",      "0x1p-16",  "0x1p-15",  "0x1p-8",  "0x1p-7",   "0x1p-4",   "0x1p-3",
      "0x1p-2",  "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1",  "0x1.4p-1", "0x1.8p-1", "0x1.cp-1",
      "0x1p+0",  "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1",  "0x1.4p+1", "0x1.8p+1", "0x1p+2",
      "0x1p+3",  "0x1p+4",   "0x1p+7",   "0x1p+8",   "0x1p+15", "0x1p+16",  "inf",      "nan"};
  for (u32 i = 0; i < 32; i++) {
    EXPECT_EQ(text(0xf0100553 | i << 15), std::string("fli.s\tfa0,") + kConstants[i]);
    EXPECT_EQ(text(0xf2100553 | i << 15), std::string("fli.d\tfa0,") + kConstants[i]);
    EXPECT_EQ(text(0xf4100553 | i << 15), std::string("fli.h\tfa0,") + kConstants[i]);
  }
}

TEST(Names, Csrs) {
  EXPECT_STREQ(csr_name(0x001), "fflags");
  EXPECT_STREQ(csr_name(0x180), "satp");
  EXPECT_STREQ(csr_name(0x14d), "stimecmp");
  EXPECT_STREQ(csr_name(0x300), "mstatus");
  EXPECT_STREQ(csr_name(0x323), "mhpmevent3");
  EXPECT_STREQ(csr_name(0x3a2), "pmpcfg2");
  EXPECT_STREQ(csr_name(0x3ef), "pmpaddr63");
  EXPECT_STREQ(csr_name(0xc1f), "hpmcounter31");
  EXPECT_STREQ(csr_name(0xfb0), "mtopi");
  EXPECT_EQ(csr_name(0x000), nullptr);
  EXPECT_EQ(csr_name(0x3a1), nullptr) << "pmpcfg1 is RV32's";
  EXPECT_EQ(csr_name(0x7c0), nullptr);
  EXPECT_EQ(csr_name(0x1000), nullptr);
  EXPECT_EQ(csr_name(0x10300), nullptr);
  EXPECT_EQ(csr_name(~0u), nullptr);
}

TEST(Names, CsrsBothWays) {
  std::set<std::string> names;
  for (u32 number = 0; number < 0x1000; number++) {
    const char* name = csr_name(number);
    if (name == nullptr) continue;
    EXPECT_EQ(csr_number(name), static_cast<int>(number)) << name;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(names.size(), 286u) << "rows of csr_names.inc";
  EXPECT_EQ(csr_number(""), -1);
  EXPECT_EQ(csr_number("mstatu"), -1);
  EXPECT_EQ(csr_number("mstatus "), -1);
  EXPECT_EQ(csr_number("MSTATUS"), -1);
}

TEST(Names, Extensions) {
  EXPECT_STREQ(extension_name(Extension::I), "i");
  EXPECT_STREQ(extension_name(Extension::Zifencei), "zifencei");
  EXPECT_STREQ(extension_name(Extension::Zbs), "zbs");
  EXPECT_STREQ(extension_name(Extension::Zacas), "zacas");
  EXPECT_STREQ(extension_name(Extension::Svinval), "svinval");
  std::set<std::string> names;
  for (u32 i = 0; i < static_cast<u32>(Extension::count); i++) {
    EXPECT_TRUE(names.insert(extension_name(static_cast<Extension>(i))).second);
  }
  EXPECT_STREQ(extension_name(Extension::count), "?");
}

TEST(Names, Registers) {
  EXPECT_STREQ(kXNames[0], "zero");
  EXPECT_STREQ(kXNames[8], "s0");
  EXPECT_STREQ(kXNames[10], "a0");
  EXPECT_STREQ(kXNames[28], "t3");
  EXPECT_STREQ(kXNames[31], "t6");
  EXPECT_STREQ(kFNames[0], "ft0");
  EXPECT_STREQ(kFNames[9], "fs1");
  EXPECT_STREQ(kFNames[28], "ft8");
  EXPECT_STREQ(kFNames[31], "ft11");
}

}  // namespace
}  // namespace hartwood
