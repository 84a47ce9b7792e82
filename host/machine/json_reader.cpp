// SPDX-License-Identifier: Apache-2.0
#include "machine/json_reader.h"

#include <vector>

namespace hartwood {
namespace {

using ull = unsigned long long;

constexpr size_t kMaxTextBytes = size_t{1} << 20;
constexpr size_t kMaxJsonDepth = 32;

std::string shown(std::string_view text) {
  constexpr size_t kMostShown = 60;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kMostShown)) quoted += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  quoted += text.size() > kMostShown ? "...\"" : "\"";
  return quoted;
}

// Walks the text once before a tree is built of it, for what the library does not tell without exceptions.
class Checker : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    error_ = format("it has the key %s twice", shown(name).c_str());
    return false;
  }
  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    error_ = format("it is no JSON from byte %zu on", position);
    return false;
  }
  const std::string& error() const { return error_; }

 private:
  bool open() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxJsonDepth) return true;
    error_ = format("it is nested deeper than %zu levels", kMaxJsonDepth);
    return false;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::set<std::string>> keys_;
  std::string error_;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (text.size() > kMaxTextBytes) return errorf("the configuration is longer than 1 MiB");
  Checker checker;
  if (!Json::sax_parse(text.begin(), text.end(), &checker))
    return errorf("the configuration cannot be read: %s", checker.error().c_str());
  Json value = Json::parse(text.begin(), text.end(), nullptr, false);
  if (value.is_discarded()) return errorf("the configuration is no JSON");
  return value;
}

std::string describe_json(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return *value.get_ptr<const Json::boolean_t*>() ? "true" : "false";
    case Json::value_t::number_unsigned: return format("%llu", ull{*value.get_ptr<const Json::number_unsigned_t*>()});
    case Json::value_t::number_integer:
      return format("%lld", static_cast<long long>(*value.get_ptr<const Json::number_integer_t*>()));
    case Json::value_t::number_float: return format("%g", *value.get_ptr<const Json::number_float_t*>());
    case Json::value_t::string: return shown(*value.get_ptr<const std::string*>());
    case Json::value_t::array: return "an array";
    case Json::value_t::object: return "an object";
    case Json::value_t::binary:
    case Json::value_t::discarded: break;
  }
  return "no value";
}

JsonObjectReader::JsonObjectReader(const Json& value, std::string path) : value_(value), path_(std::move(path)) {
  if (!value.is_object())
    error_ = (path_.empty() ? std::string("the configuration") : path_) + " has to be an object, not " +
             describe_json(value);
}

std::string JsonObjectReader::path_of(std::string_view key) const {
  return (path_.empty() ? "" : path_ + ".") + std::string(key);
}

bool JsonObjectReader::has(std::string_view key) const {
  return value_.is_object() && value_.find(std::string(key)) != value_.end();
}

const Json* JsonObjectReader::take(std::string_view key) {
  known_.emplace(key);
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(std::string(key));
  return found == value_.end() ? nullptr : &*found;
}

void JsonObjectReader::wrong(std::string_view key, const std::string& accepted) {
  const auto found = value_.find(std::string(key));
  fail(errorf("%s has to be %s, not %s", path_of(key).c_str(), accepted.c_str(),
              found == value_.end() ? "absent" : describe_json(*found).c_str()));
}

void JsonObjectReader::fail(const Error& error) {
  if (error_.empty()) error_ = error.message;
}

void JsonObjectReader::boolean(std::string_view key, bool& to) {
  const Json* value = take(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(key, "true or false");
  to = *value->get_ptr<const Json::boolean_t*>();
}

void JsonObjectReader::integer(std::string_view key, u64 least, u64 most, u64& to) {
  const Json* value = take(key);
  if (value == nullptr) return;
  // The parser makes every whole number that is not negative an unsigned one.
  const u64* number = value->is_number_unsigned() ? value->get_ptr<const Json::number_unsigned_t*>() : nullptr;
  if (number == nullptr || *number < least || *number > most)
    return wrong(key, format("a whole number from %llu to %llu", ull{least}, ull{most}));
  to = *number;
}

void JsonObjectReader::integer(std::string_view key, u32 least, u32 most, u32& to) {
  u64 wide = to;
  integer(key, u64{least}, u64{most}, wide);
  to = static_cast<u32>(wide);
}

void JsonObjectReader::text(std::string_view key, size_t most_bytes, std::string& to) {
  const Json* value = take(key);
  if (value == nullptr) return;
  const std::string* text = value->is_string() ? value->get_ptr<const std::string*>() : nullptr;
  if (text == nullptr || text->size() > most_bytes || text->find('\0') != std::string::npos)
    return wrong(key, format("a text of at most %zu bytes", most_bytes));
  to = *text;
}

Status JsonObjectReader::finish() {
  if (error_.empty() && value_.is_object())
    for (auto each = value_.begin(); each != value_.end() && error_.empty(); ++each) {
      if (known_.contains(each.key())) continue;
      std::string known;
      for (const std::string& name : known_) known += (known.empty() ? "" : ", ") + name;
      error_ = (path_.empty() ? std::string("the configuration") : path_) + " has an unknown key " + shown(each.key()) +
               "; known are " + known;
    }
  if (error_.empty()) return {};
  return Error{error_};
}

}  // namespace hartwood
