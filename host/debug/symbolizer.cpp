// SPDX-License-Identifier: Apache-2.0
#include "debug/symbolizer.h"

#include <algorithm>

#include "base/crc32.h"

namespace hartwood {
namespace {

std::string hex(std::span<const u8> bytes) {
  std::string text;
  for (const u8 byte : bytes) text += format("%02x", byte);
  return text;
}

std::string source(const std::string& file, u32 line) {
  if (file.empty()) return {};
  return line != 0 ? " (" + file + format(":%u)", line) : " (" + file + ")";
}

}  // namespace

std::string Symbolizer::Symbolized::text(Va address) const {
  std::string text;
  for (const Frame& frame : frames)
    if (frame.inlined)
      text += (frame.function.empty() ? "?" : frame.function) + source(frame.file, frame.line) + " in ";
  if (symbol.empty())
    text += format("0x%llx", static_cast<unsigned long long>(address.value));
  else
    text += symbol + format("+0x%llx", static_cast<unsigned long long>(offset));
  if (!frames.empty() && !frames.back().inlined) text += source(frames.back().file, frames.back().line);
  return text;
}

Result<u32> Symbolizer::add(std::string name, ElfFile file, u64 bias, std::span<const u8> expected) {
  if (!expected.empty()) {
    if (file.build_id().empty())
      return errorf("%s has no build-id, so it may be another file than the one that is loaded", name.c_str());
    if (!std::ranges::equal(file.build_id(), expected))
      return errorf("%s has the build-id %s, what is loaded has %s", name.c_str(), file.build_id_text().c_str(),
                    hex(expected).c_str());
  }
  u64 low = ~u64{0}, high = 0;
  for (const ElfSection& section : file.sections()) {
    if (!section.allocated() || section.bytes == 0 || section.address + section.bytes < section.address) continue;
    low = std::min(low, section.address);
    high = std::max(high, section.address + section.bytes);
  }
  auto object = std::make_unique<Object>(Object{std::move(name), std::move(file)});
  object->bias = bias;
  if (low < high) {
    object->low = low + bias;
    object->high = high + bias;
  }
  objects_.push_back(std::move(object));
  return static_cast<u32>(objects_.size() - 1);
}

Status Symbolizer::add_debug_file(u32 index, ElfFile file, std::span<const u8> bytes) {
  if (index >= objects_.size() || !objects_[index]) return errorf("there is no object %u", index);
  Object& object = *objects_[index];
  const std::string& name = object.name;
  if (object.file.kind() == ElfFile::Kind::object)
    return errorf("%s is an object file, whose debug information cannot be split off", name.c_str());
  if (!object.file.build_id().empty()) {
    if (!std::ranges::equal(file.build_id(), object.file.build_id()))
      return errorf("the debug file's build-id %s is not that of %s, %s",
                    file.build_id().empty() ? "(none)" : file.build_id_text().c_str(), name.c_str(),
                    object.file.build_id_text().c_str());
  } else {
    const std::optional<ElfFile::DebugLink> link = object.file.debug_link();
    if (!link) return errorf("%s has neither a build-id nor a link to a debug file to check this one by", name.c_str());
    if (crc32(bytes) != link->crc)
      return errorf("the debug file's checksum is not the one that %s has for %s", name.c_str(),
                    std::string(link->file).c_str());
  }
  object.debug_file = std::move(file);
  object.info.reset();
  object.frames.reset();
  object.opened = object.frames_opened = false;
  return {};
}

Status Symbolizer::remove(u32 index) {
  if (index >= objects_.size() || !objects_[index]) return errorf("there is no object %u", index);
  objects_[index].reset();
  return {};
}

Symbolizer::Object* Symbolizer::object_at(u64 address) {
  for (const std::unique_ptr<Object>& object : objects_)
    if (object && address >= object->low && address < object->high && object->file.section_at(address - object->bias))
      return object.get();
  return nullptr;
}

void Symbolizer::open(Object& object) {
  if (object.opened) return;
  object.opened = true;
  object.trouble.clear();
  // The file itself, unless there is a split one.
  ElfFile& file = object.debug_file ? *object.debug_file : object.file;
  DwarfSections sections = DwarfSections::of(file);
  const bool none = sections.info.empty();
  const std::string unreadable = sections.unreadable;
  Result<DwarfInfo> info = DwarfInfo::read(std::move(sections));
  if (!info.ok()) {
    object.trouble = object.name + ": " + info.message();
    return;
  }
  if (!unreadable.empty()) {
    object.trouble = object.name + ": " + unreadable;
  } else if (none) {
    object.trouble = object.name + " has no debug information";
    if (object.debug_file)
      object.trouble = "the debug file of " + object.trouble;
    else if (!object.file.build_id().empty())
      object.trouble += "; a debug file of build-id " + object.file.build_id_text() + " would have it";
    else
      object.trouble += " and no build-id to find its debug file by";
  }
  object.info = std::move(*info);
}

void Symbolizer::open_frames(Object& object) {
  if (object.frames_opened) return;
  object.frames_opened = true;
  object.frames_trouble.clear();
  // .eh_frame is loaded, so the file has it; a split file has only its header.
  std::span<const u8> eh_frame, debug_frame;
  u64 eh_frame_address = 0;
  if (const std::optional<u32> index = object.file.find(".eh_frame")) {
    if (const Result<std::span<const u8>> bytes = object.file.contents(*index); bytes.ok()) {
      eh_frame = *bytes;
      eh_frame_address = object.file.sections()[*index].address;
    }
  }
  for (ElfFile* file : {object.debug_file ? &*object.debug_file : nullptr, &object.file}) {
    if (!file || !debug_frame.empty()) continue;
    const Result<std::span<const u8>> bytes = file->contents(".debug_frame");
    if (bytes.ok())
      debug_frame = *bytes;
    else
      object.frames_trouble = object.name + ": " + bytes.message();
  }
  Result<CallFrames> frames = CallFrames::read(eh_frame, eh_frame_address, debug_frame);
  if (!frames.ok())
    object.frames_trouble = object.name + ": " + frames.message();
  else
    object.frames = std::move(*frames);
}

Symbolizer::Symbolized Symbolizer::symbolize(Va va) {
  Symbolized result;
  Object* object = object_at(va.value);
  if (!object) {
    result.note = "no object is known at this address";
    return result;
  }
  result.object = object->name;
  open(*object);
  const u64 address = va.value - object->bias;
  result.note = object->trouble;
  u64 entry = address;
  if (object->info) {
    DwarfInfo::Place place = object->info->find(address);
    for (DwarfInfo::Frame& frame : place.frames)
      result.frames.push_back({std::string(frame.function), std::move(frame.file), frame.line, frame.inlined});
    if (!place.frames.empty() && !place.frames.back().function.empty()) entry = place.entry;
    if (result.note.empty()) result.note = !place.note.empty() ? place.note : object->info->note();
  }
  std::optional<ElfFile::Symbol> symbol = object->debug_file ? object->debug_file->symbol_for(address) : std::nullopt;
  if (!symbol) symbol = object->file.symbol_for(address);
  std::string function;
  if (!result.frames.empty()) function = result.frames.back().function;
  if (symbol) {
    result.symbol = symbol->name;
    result.offset = address - symbol->address;
    // Of several names the debugger's; but a part of a function (f.cold, f.isra.0) is called what it is.
    if (!function.empty() && !result.symbol.starts_with(function + ".")) result.symbol = function;
    // A file without debug information for this place still knows its symbol.
    if (result.frames.empty())
      result.frames.push_back({std::string(symbol->name), {}, 0, false});
    else if (result.frames.back().function.empty() && !result.frames.back().inlined)
      result.frames.back().function = symbol->name;
  } else if (!function.empty()) {
    result.symbol = function;
    result.offset = address - entry;
  }
  return result;
}

std::optional<Va> Symbolizer::address_of(std::string_view name) {
  for (const std::unique_ptr<Object>& object : objects_) {
    if (!object) continue;
    std::optional<ElfFile::Symbol> symbol = object->file.symbol_named(name);
    if (!symbol && object->debug_file) symbol = object->debug_file->symbol_named(name);
    if (symbol) return Va(symbol->address + object->bias);
  }
  return std::nullopt;
}

Result<std::optional<Symbolizer::Step>> Symbolizer::unwind(const FrameRegisters& frame, bool interrupted,
                                                           const ReadGuest& read) {
  // A return address may be behind the last instruction of its function.
  const u64 pc = interrupted ? frame.pc : frame.pc - 1;
  const auto here = static_cast<unsigned long long>(frame.pc);
  Object* object = object_at(pc);
  if (!object) return errorf("no object is known at pc 0x%llx", here);
  open_frames(*object);
  if (!object->frames) return Error{object->frames_trouble};
  const Result<std::optional<CallFrames::Rules>> rules = object->frames->rules(pc - object->bias);
  if (!rules.ok()) return rules.error();
  if (!*rules) {
    if (!object->frames_trouble.empty()) return Error{object->frames_trouble};
    return errorf("%s has no call frame information for pc 0x%llx", object->name.c_str(), here);
  }
  Result<std::optional<FrameRegisters>> caller = CallFrames::unwind(**rules, frame, object->bias, read);
  if (!caller.ok()) return caller.error();
  if (!*caller) return std::optional<Step>();
  return std::optional(Step{**caller, (*rules)->signal_frame});
}

}  // namespace hartwood
