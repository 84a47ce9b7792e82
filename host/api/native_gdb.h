// SPDX-License-Identifier: Apache-2.0
// The native command line's --gdb: a TCP socket for one gdb at a time. serve() has a thread of its own, on which all of
// the server's and target's calls are made; the machine reports stops from any thread. A client that does not read is
// not read from either, so that what waits for it stays bounded.
#pragma once

#include <string>
#include <string_view>

#include "debug/gdb_server.h"

namespace hartwood {

class GdbSocket final : public GdbOutput {
 public:
  // `target` stays the caller's.
  explicit GdbSocket(GdbTarget& target) : server_(target, *this) {}
  ~GdbSocket() override;
  GdbSocket(const GdbSocket&) = delete;
  GdbSocket& operator=(const GdbSocket&) = delete;

  // `where` is ":PORT", which is this computer's alone (127.0.0.1), or "HOST:PORT" with localhost, an IPv4 address or
  // an IPv6 address in brackets. Port 0 is any free one. Whoever reaches the port owns the machine.
  Status listen_at(const std::string& where);
  // After listen_at().
  unsigned port() const { return port_; }
  // Whether programs on other computers may reach it.
  bool reachable_from_elsewhere() const { return !loopback_; }

  // Until something can be read from `wake`, after what was reported before that. The connection stays, for another
  // call.
  void serve(int wake);
  // Any thread; what it says reaches the server on serve()'s.
  void stopped(const GdbStop& stop);

  // From the server.
  void send(std::string_view bytes) override;

 private:
  void accept_client();
  void read_client();
  void write_client();
  void close_client();

  GdbServer server_;
  int listener_ = -1, client_ = -1;
  int stops_[2] = {-1, -1};  // a pipe of GdbStops
  unsigned port_ = 0;
  bool loopback_ = true;
  bool greeted_ = false;  // the client's first byte was gdb's
  std::string unsent_;
};

}  // namespace hartwood
