// SPDX-License-Identifier: Apache-2.0
#include "machine/config.h"

#include <charconv>

#include "base/bits.h"
#include "machine/json_reader.h"
#include "memory/guest_memory.h"

namespace hartwood {
namespace {

constexpr size_t kMaxSourceBytes = 4096;
constexpr const char* kMemorySizes =
    "64, 128, 256, 512, 1024 or 2048 MiB, as a number of MiB or a text such as \"512M\"";

// The whole text as an unsigned number; false if it is none or too large.
bool parse_number(std::string_view text, int base, u64& to) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), to, base);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

void read_memory(JsonObjectReader& reader, u64& to) {
  const Json* value = reader.take("memory");
  if (value == nullptr) return;
  std::string text;
  if (value->is_string())
    text = *value->get_ptr<const std::string*>();
  else if (value->is_number_unsigned())
    text = describe_json(*value);
  const Result<u64> bytes = parse_memory_size(text);
  if (!bytes) return reader.wrong("memory", kMemorySizes);
  to = *bytes;
}

void read_seed(JsonObjectReader& reader, u64& to) {
  const Json* value = reader.take("seed");
  if (value == nullptr) return;
  if (value->is_number_unsigned()) {
    to = *value->get_ptr<const Json::number_unsigned_t*>();
    return;
  }
  const Result<u64> seed = parse_seed(value->is_string() ? *value->get_ptr<const std::string*>() : std::string());
  if (!seed) return reader.wrong("seed", "a whole number from 0 to 2^64-1, or a text of one (decimal or 0x...)");
  to = *seed;
}

void read_disks(JsonObjectReader& reader, std::vector<DiskConfig>& to) {
  reader.array("disks", kMaxDisks, [&](const Json& element, const std::string& path) {
    JsonObjectReader each(element, path);
    DiskConfig disk;
    each.text("source", kMaxSourceBytes, disk.source);
    each.boolean("read_only", disk.read_only);
    if (element.is_object() && disk.source.empty()) each.wrong("source", "the name of a disk");
    if (Status status = each.finish(); !status) return reader.fail(status.error());
    to.push_back(std::move(disk));
  });
}

}  // namespace

Result<u64> parse_memory_size(std::string_view text) {
  const std::string_view whole = text;
  unsigned shift = 20;
  if (!text.empty()) {
    const char unit = text.back();
    if (unit == 'K' || unit == 'k') shift = 10;
    if (unit == 'G' || unit == 'g') shift = 30;
    if (shift != 20 || unit == 'M' || unit == 'm') text.remove_suffix(1);
  }
  u64 number = 0;
  const bool is_number = parse_number(text, 10, number) && number <= (kMaxRamBytes >> shift);
  const u64 bytes = number << shift;
  if (!is_number || !is_power_of_two(bytes) || bytes < kMinRamBytes)
    return errorf("memory of '%s' is not possible; choose %s", std::string(whole.substr(0, 32)).c_str(), kMemorySizes);
  return bytes;
}

Result<u64> parse_seed(std::string_view text) {
  u64 seed = 0;
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (!parse_number(hexadecimal ? text.substr(2) : text, hexadecimal ? 16 : 10, seed))
    return errorf("'%s' is no seed; give a whole number below 2^64, decimal or 0x...",
                  std::string(text.substr(0, 32)).c_str());
  return seed;
}

Result<MachineConfig> parse_config(std::string_view json) {
  const Result<Json> value = parse_json(json);
  if (!value) return value.error();
  MachineConfig config;
  JsonObjectReader reader(*value, "");
  reader.integer("harts", 1, kMaxHarts, config.harts);
  read_memory(reader, config.memory_bytes);
  reader.text("append", kMaxAppendBytes, config.append);
  reader.choice<u32>("paging", {{"sv39", 39}, {"sv48", 48}, {"sv57", 57}}, config.va_bits);
  reader.boolean("zacas", config.zacas);
  reader.boolean("svadu", config.svadu);
  reader.choice<ConsoleKind>("console",
                             {{"virtio", ConsoleKind::virtio}, {"uart", ConsoleKind::uart}, {"sbi", ConsoleKind::sbi}},
                             config.console);
  reader.choice<FirmwareKind>(
      "firmware", {{"built-in", FirmwareKind::built_in}, {"file", FirmwareKind::file}, {"none", FirmwareKind::none}},
      config.firmware);
  reader.boolean("compiler", config.compiler);
  reader.boolean("compiler_eager", config.compiler_eager);
  reader.integer("compiler_visits", 1, 1000, config.compiler_visits);
  reader.integer("compiler_after", 0, 1'000'000'000, config.compiler_after);
  reader.boolean("deterministic", config.deterministic);
  reader.choice<ClockKind>("clock", {{"host", ClockKind::host}, {"virtual", ClockKind::instructions}}, config.clock);
  if (config.clock == ClockKind::instructions && config.harts != 1)
    reader.wrong("clock", "\"host\" where there are several harts");
  read_seed(reader, config.seed);
  read_disks(reader, config.disks);
  if (Status status = reader.finish(); !status) return status.error();
  return config;
}

std::string describe_config(const MachineConfig& config) {
  constexpr const char* kConsoles[] = {"virtio", "uart", "sbi"};
  constexpr const char* kFirmwares[] = {"built-in", "file", "none"};
  Json json;
  json["harts"] = config.harts;
  json["memory"] = config.memory_bytes >> 20;
  json["append"] = config.append;
  json["paging"] = format("sv%u", config.va_bits);
  json["zacas"] = config.zacas;
  json["svadu"] = config.svadu;
  json["console"] = kConsoles[static_cast<size_t>(config.console)];
  json["firmware"] = kFirmwares[static_cast<size_t>(config.firmware)];
  json["compiler"] = config.compiler;
  json["compiler_visits"] = config.compiler_visits;
  json["compiler_after"] = config.compiler_after;
  json["compiler_eager"] = config.compiler_eager;
  json["deterministic"] = config.deterministic;
  json["clock"] = config.clock == ClockKind::instructions ? "virtual" : "host";
  json["seed"] = config.seed;
  json["disks"] = Json::array();
  for (const DiskConfig& disk : config.disks) {
    Json each;
    each["source"] = disk.source;
    each["read_only"] = disk.read_only;
    json["disks"].push_back(std::move(each));
  }
  // What is no UTF-8 in a command line cannot be in JSON: it is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hartwood
