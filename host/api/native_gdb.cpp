// SPDX-License-Identifier: Apache-2.0
#include "api/native_gdb.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <type_traits>

namespace hartwood {
namespace {

// With this much still to be sent, nothing more is read.
constexpr size_t kMaxUnsent = 4 * kGdbPacketBytes;

static_assert(std::is_trivially_copyable_v<GdbStop> && sizeof(GdbStop) < 512, "a pipe passes it whole");

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

void set_option(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// A page in a browser can send a request to any port of this computer, with packets inside. No request begins so.
bool begins_like_gdb(char first) { return first == '+' || first == '-' || first == '$' || first == '\3'; }

}  // namespace

GdbSocket::~GdbSocket() {
  for (int* fd : {&client_, &listener_, &stops_[0], &stops_[1]}) close_fd(*fd);
}

Status GdbSocket::listen_at(const std::string& where) {
  const size_t colon = where.rfind(':');
  if (colon == std::string::npos) return errorf("--gdb %s: give :PORT or HOST:PORT", where.c_str());
  std::string host = where.substr(0, colon);
  const std::string port = where.substr(colon + 1);
  const bool digits = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::strtoul(port.c_str(), nullptr, 10) > 65535)
    return errorf("--gdb %s: the port is a number from 0 to 65535", where.c_str());
  if (host.empty() || host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
    return errorf("--gdb %s: the host is localhost, an IPv4 address or an IPv6 address in brackets", where.c_str());
  loopback_ = is_loopback(found->ai_addr);
  listener_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool listens = false;
  if (listener_ >= 0) {
    set_option(listener_, SOL_SOCKET, SO_REUSEADDR);
    listens = bind(listener_, found->ai_addr, found->ai_addrlen) == 0 && listen(listener_, 1) == 0;
  }
  const int why = errno;
  freeaddrinfo(found);
  if (!listens || pipe2(stops_, O_CLOEXEC | O_NONBLOCK) != 0) {
    close_fd(listener_);
    return errorf("cannot listen at %s for gdb: %s", where.c_str(), std::strerror(listens ? errno : why));
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                                           : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
  return {};
}

void GdbSocket::serve(int wake) {
  for (;;) {
    const short reads = unsent_.size() < kMaxUnsent ? POLLIN : 0, writes = unsent_.empty() ? 0 : POLLOUT;
    pollfd fds[] = {{wake, POLLIN, 0},
                    {stops_[0], POLLIN, 0},
                    {listener_, POLLIN, 0},
                    {client_, static_cast<short>(reads | writes), 0}};
    if (poll(fds, 4, -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (fds[1].revents != 0) {
      GdbStop stop;
      while (read(stops_[0], &stop, sizeof stop) == sizeof stop) server_.stopped(stop);
    }
    if (fds[0].revents != 0) break;
    if (client_ >= 0) {
      if ((fds[3].revents & POLLOUT) != 0) write_client();
      if (client_ >= 0 && (fds[3].revents & ~POLLOUT) != 0) read_client();
      if (client_ >= 0 && server_.finished() && unsent_.empty()) close_client();
    }
    if (fds[2].revents != 0) accept_client();
  }
}

// A pipe holds far more stops than are ever under way: one, and the machine's end.
void GdbSocket::stopped(const GdbStop& stop) {
  while (write(stops_[1], &stop, sizeof stop) < 0 && errno == EINTR) {
  }
}

void GdbSocket::accept_client() {
  const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted < 0) return;
  if (client_ >= 0) {
    close(accepted);  // there is a gdb already
    return;
  }
  set_option(accepted, IPPROTO_TCP, TCP_NODELAY);
  set_option(accepted, SOL_SOCKET, SO_KEEPALIVE);
  client_ = accepted;
  greeted_ = false;
}

void GdbSocket::read_client() {
  char bytes[2048];  // little: each packet in it can ask for much
  const ssize_t got = recv(client_, bytes, sizeof bytes, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 || (!greeted_ && !begins_like_gdb(bytes[0]))) {
    close_client();
    return;
  }
  if (!greeted_) {
    greeted_ = true;
    server_.connected();
  }
  server_.receive({reinterpret_cast<const u8*>(bytes), static_cast<size_t>(got)});
}

void GdbSocket::send(std::string_view bytes) {
  if (client_ < 0) return;
  unsent_ += bytes;
  write_client();
}

void GdbSocket::write_client() {
  const ssize_t sent = ::send(client_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // A connection that is broken shows itself when it is read.
  if (sent > 0) unsent_.erase(0, static_cast<size_t>(sent));
}

void GdbSocket::close_client() {
  if (client_ < 0) return;
  close_fd(client_);
  unsent_.clear();
  if (greeted_) server_.disconnected();
}

}  // namespace hartwood
