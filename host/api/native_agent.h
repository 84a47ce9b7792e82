// SPDX-License-Identifier: Apache-2.0
// The native command line's --agent: a Unix socket that passes lines between one client at a time and the guest's
// agent. Lines that begin with '!' are for the machine itself:
//
//   !renew   another generation of the machine (vmgenid)          !renewed
//   !pages   how many pages of RAM are not all zeroes, of all     !pages 7316 131072
//
// A line that the agent's channel does not take is answered with "!not taken". serve() has a thread of its own; the
// machine writes from the harts' threads, and never waits: a client that does not read is cut off.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "machine/machine.h"

namespace hartwood {

class AgentSocket final : public ByteSink {
 public:
  AgentSocket() = default;
  ~AgentSocket() override {
    if (client_ >= 0) close(client_);
    if (listener_ >= 0) {
      close(listener_);
      unlink(path_.c_str());
    }
  }
  AgentSocket(const AgentSocket&) = delete;
  AgentSocket& operator=(const AgentSocket&) = delete;

  bool active() const { return listener_ >= 0; }

  // Makes the socket; in place of one that lies there and that nobody listens at.
  Status listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return errorf("--agent: %s is too long for a socket", path.c_str());
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) return errorf("cannot make a socket: %s", std::strerror(errno));
    // What an earlier run left; never a socket that is in use, nor another kind of file.
    struct stat old;
    if (lstat(path.c_str(), &old) == 0 && S_ISSOCK(old.st_mode) && !answers(address)) unlink(path.c_str());
    if (bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(made, 1) != 0) {
      const int why = errno;
      close(made);
      return errorf("cannot listen at %s: %s", path.c_str(), std::strerror(why));
    }
    listener_ = made;
    path_ = path;
    return {};
  }

  // Until something can be read from `wake`.
  void serve(Machine& machine, int wake) {
    for (;;) {
      pollfd fds[2] = {{client_ >= 0 ? client_ : listener_, POLLIN, 0}, {wake, POLLIN, 0}};
      if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
      if (fds[1].revents != 0) return;
      if (fds[0].revents == 0) continue;
      if (client_ < 0) {
        const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        Guard guard(lock_);
        client_ = accepted;
        pending_.clear();
        skipping_ = false;
        continue;
      }
      char bytes[4096];
      const ssize_t got = recv(client_, bytes, sizeof bytes, 0);
      if (got <= 0) {
        Guard guard(lock_);
        close(client_);
        client_ = -1;
        continue;
      }
      pending_.append(bytes, static_cast<size_t>(got));
      for (size_t end; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1)) {
        if (skipping_)
          say("!not taken\n");
        else
          obey(machine, std::string_view(pending_).substr(0, end));
        skipping_ = false;
      }
      if (pending_.size() > AgentInput::kCapacity) {
        pending_.clear();
        skipping_ = true;  // the rest of a line that is too long
      }
    }
  }

  // From the guest.
  u32 write(std::span<const u8> bytes) override {
    send_now(bytes.data(), bytes.size());
    return static_cast<u32>(bytes.size());
  }

 private:
  static bool answers(const sockaddr_un& address) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    return connected;
  }

  void obey(Machine& machine, std::string_view line) {
    if (line == "!renew") {
      const Status renewed = machine.renew_generation();
      say(renewed ? "!renewed\n" : "!error " + renewed.message() + "\n");
    } else if (line == "!pages") {
      const u64 pages = machine.memory().page_count();
      say(format("!pages %llu %llu\n", static_cast<unsigned long long>(pages_in_use(machine.memory())),
                 static_cast<unsigned long long>(pages)));
    } else if (line.starts_with('!')) {
      say("!error not known: " + std::string(line) + "\n");
    } else if (!machine.agent_send(line)) {
      say("!not taken\n");
    }
  }

  // As the harts change it meanwhile, a figure to look at.
  static u64 pages_in_use(const GuestMemory& memory) {
    u64 count = 0;
    for (u64 page = 0; page < memory.page_count(); page++) {
      const u8* at = memory.ram() + (page << kPageShift);
      // All are zero if the first is, and each is like its neighbour.
      count += at[0] != 0 || std::memcmp(at, at + 1, kPageBytes - 1) != 0;
    }
    return count;
  }

  void say(const std::string& text) { send_now(text.data(), text.size()); }
  void send_now(const void* bytes, size_t size) {
    Guard guard(lock_);
    if (client_ < 0) return;
    // What was sent in part is no line: the client sees the end instead.
    if (send(client_, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) != static_cast<ssize_t>(size))
      shutdown(client_, SHUT_RDWR);
  }

  int listener_ = -1, client_ = -1;  // client_ is set by serve() only, under lock_
  std::string path_, pending_;
  bool skipping_ = false;
  Lock lock_;
};

}  // namespace hartwood
