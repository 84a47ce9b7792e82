// SPDX-License-Identifier: Apache-2.0
// A typed, checking view of one JSON object. The core is built without exceptions, where the JSON library
// ends the program on a wrong type; here each access checks first. The first mistake is kept and finish()
// returns it, with the key's full path and what is accepted there. One thread; lives no longer than the value
// it reads.
#pragma once

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

using Json = nlohmann::json;

// Parses a text of at most 1 MiB and 32 levels, without comments. Errors: syntax (with the byte where it is),
// a key twice in one object, too deep, too long.
Result<Json> parse_json(std::string_view text);

class JsonObjectReader {
 public:
  template <class E>
  struct Choice {
    std::string_view name;
    E value;
  };

  // `path` names the value in messages: "" for the outermost, "disks[0]" for a nested one.
  JsonObjectReader(const Json& value, std::string path);

  // Each of these marks the key as known; if it is there and right, `to` is set, else `to` keeps what it has.
  // null is no value: leave the key out.
  bool has(std::string_view key) const;
  void boolean(std::string_view key, bool& to);
  void integer(std::string_view key, u64 least, u64 most, u64& to);
  void integer(std::string_view key, u32 least, u32 most, u32& to);
  // At most `most_bytes` of UTF-8 without zero bytes.
  void text(std::string_view key, size_t most_bytes, std::string& to);
  template <class E>
  void choice(std::string_view key, std::initializer_list<Choice<E>> choices, E& to) {
    const Json* value = take(key);
    if (value == nullptr) return;
    std::string accepted;
    for (const Choice<E>& each : choices) {
      if (value->is_string() && *value->get_ptr<const std::string*>() == each.name) {
        to = each.value;
        return;
      }
      accepted += accepted.empty() ? "" : ", ";
      accepted += "\"" + std::string(each.name) + "\"";
    }
    wrong(key, "one of " + accepted);
  }
  // Calls each(element, path of the element) for every element of an array of at most `most`.
  template <class F>
  void array(std::string_view key, size_t most, F&& each) {
    const Json* value = take(key);
    if (value == nullptr) return;
    if (!value->is_array() || value->size() > most) return wrong(key, format("an array of at most %zu elements", most));
    for (size_t i = 0; i < value->size(); i++) each((*value)[i], path_of(key) + format("[%zu]", i));
  }

  // The value of the key, marked as known; null if it is absent. For types that the methods above do not
  // have.
  const Json* take(std::string_view key);
  // Records that the key's value is not what is `accepted`.
  void wrong(std::string_view key, const std::string& accepted);
  // Records an error of a nested reader.
  void fail(const Error& error);

  // Success, or the first mistake. A key that was not asked for is one, and its message lists those that
  // were.
  Status finish();

 private:
  std::string path_of(std::string_view key) const;

  const Json& value_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
  std::string error_;
};

// How a value is named in messages: `"text"`, `17`, `an array`.
std::string describe_json(const Json& value);

}  // namespace hartwood
