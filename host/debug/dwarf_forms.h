// SPDX-License-Identifier: Apache-2.0
// What the readers of DWARF share: the sections, and the encodings of attribute values. [dwarf5: Attribute Encodings,
// Variable Length Data, String Representations]; GNU's extensions for split and supplementary files too.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"
#include "debug/cursor.h"

namespace hartwood {

class ElfFile;

// Views of one file's debug information; an absent section is empty.
struct DwarfSections {
  std::span<const u8> info, abbrev, str, line, line_str, ranges, rnglists, addr, str_offsets, aranges;
  std::string unreadable;  // a sentence about those that are there and cannot be read, else empty
  bool object = false;     // of an object file: code may begin at address 0

  // The file must outlive this.
  static DwarfSections of(ElfFile& file);
};

namespace dwarf {

enum Form : u16 {
  kFormAddr = 0x01,
  kFormBlock2 = 0x03,
  kFormBlock4 = 0x04,
  kFormData2 = 0x05,
  kFormData4 = 0x06,
  kFormData8 = 0x07,
  kFormString = 0x08,
  kFormBlock = 0x09,
  kFormBlock1 = 0x0a,
  kFormData1 = 0x0b,
  kFormFlag = 0x0c,
  kFormSdata = 0x0d,
  kFormStrp = 0x0e,
  kFormUdata = 0x0f,
  kFormRefAddr = 0x10,
  kFormRef1 = 0x11,
  kFormRef2 = 0x12,
  kFormRef4 = 0x13,
  kFormRef8 = 0x14,
  kFormRefUdata = 0x15,
  kFormIndirect = 0x16,
  kFormSecOffset = 0x17,
  kFormExprloc = 0x18,
  kFormFlagPresent = 0x19,
  kFormStrx = 0x1a,
  kFormAddrx = 0x1b,
  kFormRefSup4 = 0x1c,
  kFormStrpSup = 0x1d,
  kFormData16 = 0x1e,
  kFormLineStrp = 0x1f,
  kFormRefSig8 = 0x20,
  kFormImplicitConst = 0x21,
  kFormLoclistx = 0x22,
  kFormRnglistx = 0x23,
  kFormRefSup8 = 0x24,
  kFormStrx1 = 0x25,
  kFormStrx2 = 0x26,
  kFormStrx3 = 0x27,
  kFormStrx4 = 0x28,
  kFormAddrx1 = 0x29,
  kFormAddrx2 = 0x2a,
  kFormAddrx3 = 0x2b,
  kFormAddrx4 = 0x2c,
  kFormGnuAddrIndex = 0x1f01,
  kFormGnuStrIndex = 0x1f02,
  kFormGnuRefAlt = 0x1f20,
  kFormGnuStrpAlt = 0x1f21,
};

// How wide a unit's values are.
struct Widths {
  u16 version = 0;
  u8 address = 8;  // bytes, 1 to 8
  u8 offset = 4;   // bytes: 4, or 8 in the 64-bit format
};

// An attribute's value as it stands: indices and offsets are not followed.
struct FormValue {
  u16 form = 0;
  u64 number = 0;  // addresses, constants (sign-extended where signed), offsets, indices
  std::span<const u8> bytes;
  std::string_view text;

  bool present() const { return form != 0; }
  bool is_address() const;
  bool is_address_index() const;
  bool is_string_index() const;
  bool is_constant() const;
  bool is_supplementary() const;  // in a file that several share
};

// Reads one value and moves on. `implicit` is the abbreviation's own constant. Fails the cursor on unknown forms.
FormValue read_form(Cursor& cursor, u16 form, const Widths& widths, i64 implicit);

// How many bytes a form takes: `fixed` of them and so many addresses and offsets; or it has to be read.
struct FormSize {
  bool known = false;
  u8 fixed = 0, addresses = 0, offsets = 0;
};
FormSize form_size(u16 form);

// The length that opens a unit, and with it the width of offsets. Returns the unit's end, counted in the cursor's
// bytes; fails the cursor if that is outside of them.
u64 unit_end(Cursor& cursor, u8& offset_bytes);

// The string at `at`; empty if that is outside or has no end.
inline std::string_view string_at(std::span<const u8> section, u64 at) {
  Cursor cursor(section, at);
  return cursor.string();
}

}  // namespace dwarf
}  // namespace hartwood
