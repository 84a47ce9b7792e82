// SPDX-License-Identifier: Apache-2.0
#include "debug/dwarf_forms.h"

#include "debug/elf_file.h"

namespace hartwood {

DwarfSections DwarfSections::of(ElfFile& file) {
  DwarfSections sections;
  sections.object = file.kind() == ElfFile::Kind::object;
  const struct {
    const char* name;
    std::span<const u8>* view;
  } wanted[] = {
      {".debug_info", &sections.info},
      {".debug_abbrev", &sections.abbrev},
      {".debug_str", &sections.str},
      {".debug_line", &sections.line},
      {".debug_line_str", &sections.line_str},
      {".debug_ranges", &sections.ranges},
      {".debug_rnglists", &sections.rnglists},
      {".debug_addr", &sections.addr},
      {".debug_str_offsets", &sections.str_offsets},
      {".debug_aranges", &sections.aranges},
  };
  for (const auto& each : wanted) {
    const Result<std::span<const u8>> bytes = file.contents(each.name);
    if (bytes.ok())
      *each.view = *bytes;
    else if (sections.unreadable.empty())
      sections.unreadable = bytes.message();
  }
  return sections;
}

namespace dwarf {

bool FormValue::is_address() const { return form == kFormAddr; }
bool FormValue::is_address_index() const {
  return form == kFormAddrx || form == kFormGnuAddrIndex || (form >= kFormAddrx1 && form <= kFormAddrx4);
}
bool FormValue::is_string_index() const {
  return form == kFormStrx || form == kFormGnuStrIndex || (form >= kFormStrx1 && form <= kFormStrx4);
}
bool FormValue::is_constant() const {
  switch (form) {
    case kFormData1:
    case kFormData2:
    case kFormData4:
    case kFormData8:
    case kFormSdata:
    case kFormUdata:
    case kFormImplicitConst: return true;
    default: return false;
  }
}
bool FormValue::is_supplementary() const {
  return form == kFormRefSup4 || form == kFormRefSup8 || form == kFormStrpSup || form == kFormGnuRefAlt ||
         form == kFormGnuStrpAlt;
}

FormSize form_size(u16 form) {
  switch (form) {
    case kFormAddr: return {true, 0, 1, 0};
    case kFormFlagPresent:
    case kFormImplicitConst: return {true, 0, 0, 0};
    case kFormData1:
    case kFormRef1:
    case kFormFlag:
    case kFormStrx1:
    case kFormAddrx1: return {true, 1, 0, 0};
    case kFormData2:
    case kFormRef2:
    case kFormStrx2:
    case kFormAddrx2: return {true, 2, 0, 0};
    case kFormStrx3:
    case kFormAddrx3: return {true, 3, 0, 0};
    case kFormData4:
    case kFormRef4:
    case kFormRefSup4:
    case kFormStrx4:
    case kFormAddrx4: return {true, 4, 0, 0};
    case kFormData8:
    case kFormRef8:
    case kFormRefSig8:
    case kFormRefSup8: return {true, 8, 0, 0};
    case kFormData16: return {true, 16, 0, 0};
    case kFormStrp:
    case kFormLineStrp:
    case kFormStrpSup:
    case kFormSecOffset:
    case kFormGnuRefAlt:
    case kFormGnuStrpAlt: return {true, 0, 0, 1};
    default: return {};
  }
}

FormValue read_form(Cursor& cursor, u16 form, const Widths& widths, i64 implicit) {
  if (form == kFormIndirect) {
    // Not twice, and not a constant that only an abbreviation can hold.
    form = static_cast<u16>(std::min<u64>(cursor.uleb(), 0xffff));
    if (form == kFormIndirect || form == kFormImplicitConst) {
      cursor.fail();
      return {};
    }
  }
  FormValue value;
  value.form = form;
  switch (form) {
    case kFormAddr: value.number = cursor.number(widths.address); break;
    case kFormRefAddr: value.number = cursor.number(widths.version <= 2 ? widths.address : widths.offset); break;
    case kFormFlagPresent: value.number = 1; break;
    case kFormImplicitConst: value.number = static_cast<u64>(implicit); break;
    case kFormSdata: value.number = static_cast<u64>(cursor.sleb()); break;
    case kFormUdata:
    case kFormRefUdata:
    case kFormStrx:
    case kFormAddrx:
    case kFormLoclistx:
    case kFormRnglistx:
    case kFormGnuAddrIndex:
    case kFormGnuStrIndex: value.number = cursor.uleb(); break;
    case kFormString: value.text = cursor.string(); break;
    case kFormBlock1: value.bytes = cursor.take(cursor.get<u8>()); break;
    case kFormBlock2: value.bytes = cursor.take(cursor.get<u16>()); break;
    case kFormBlock4: value.bytes = cursor.take(cursor.get<u32>()); break;
    case kFormBlock:
    case kFormExprloc: value.bytes = cursor.take(cursor.uleb()); break;
    case kFormData16: value.bytes = cursor.take(16); break;
    default: {
      const FormSize size = form_size(form);
      if (!size.known) {
        cursor.fail();
        return {};
      }
      value.number = cursor.number(size.fixed + size.offsets * widths.offset);
      break;
    }
  }
  if (!cursor.ok()) return {};
  return value;
}

u64 unit_end(Cursor& cursor, u8& offset_bytes) {
  offset_bytes = 4;
  u64 length = cursor.get<u32>();
  if (length == 0xffff'ffff) {
    offset_bytes = 8;
    length = cursor.get<u64>();
  } else if (length >= 0xffff'fff0) {  // reserved
    cursor.fail();
  }
  if (length > cursor.left()) cursor.fail();
  return cursor.ok() ? cursor.at() + length : cursor.at();
}

}  // namespace dwarf
}  // namespace hartwood
