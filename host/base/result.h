// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or an Error that says what is wrong and what to do. For files, configuration and the host's own
// resources; a guest's faults are Traps, our bugs are HW_CHECKs.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace hartwood {

struct Error {
  std::string message;  // one sentence for the user, no trailing full stop
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : error_(std::move(error.message)) {}

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& value() {
    HW_CHECK(ok(), "value of a failed Result");
    return *value_;
  }
  const T& value() const {
    HW_CHECK(ok(), "value of a failed Result");
    return *value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const std::string& message() const { return error_; }
  Error error() const { return Error{error_}; }

 private:
  std::optional<T> value_;
  std::string error_;
};

// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error.message)) {}
  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const std::string& message() const { return error_; }
  Error error() const { return Error{error_}; }

 private:
  bool failed_ = false;
  std::string error_;
};
using Status = Result<void>;

// printf into a std::string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] Error errorf(const char* pattern, ...);

}  // namespace hartwood
