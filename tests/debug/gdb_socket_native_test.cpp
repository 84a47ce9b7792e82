// SPDX-License-Identifier: Apache-2.0
// The TCP socket for gdb: where it listens, one client at a time, clients that do not read, and whom it cuts off.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "api/native_gdb.h"
#include "debug/gdb_fake.h"

namespace hartwood::test {
namespace {

// Stops at once when it is asked to.
class StoppingTarget final : public FakeTarget {
 public:
  StoppingTarget() : FakeTarget(2) {}
  void interrupt() override {
    FakeTarget::interrupt();
    running = false;
    socket->stopped({GdbStop::interrupted, 1});
  }
  GdbSocket* socket = nullptr;
};

// A socket that is served.
struct Served {
  Served() : socket(target) {
    target.socket = &socket;
    EXPECT_TRUE(socket.listen_at(":0").ok());
    EXPECT_EQ(pipe2(wake, O_CLOEXEC), 0);
    thread = std::thread([this] { socket.serve(wake[0]); });
  }
  ~Served() {
    end();
    close(wake[0]);
    close(wake[1]);
  }
  // Afterwards the target may be looked at.
  void end() {
    if (!thread.joinable()) return;
    EXPECT_EQ(write(wake[1], "", 1), 1);
    thread.join();
  }
  StoppingTarget target;
  GdbSocket socket;
  int wake[2] = {-1, -1};
  std::thread thread;
};

class Client {
 public:
  explicit Client(unsigned port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // Little lies on the way.
    const int bytes = 16384;
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<u16>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { close(fd_); }
  void say(std::string_view bytes) {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // As much as is taken without waiting.
  size_t offer(std::string_view bytes) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  }
  // All that comes until `end` has; or until the other side closes.
  std::string hear(std::string_view end) {
    std::string all;
    while (end.empty() || !all.ends_with(end)) {
      char bytes[65536];
      const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return all + "(closed)";
      all.append(bytes, static_cast<size_t>(got));
    }
    return all;
  }

 private:
  int fd_;
};

TEST(GdbSocket, ListensWhereItIsTold) {
  StoppingTarget target;
  for (const char* where :
       {"", "1234", ":", ":x", ":-1", ":65536", ":123456", "example.invalid:1234", "1.2.3:x", "[::1:0"}) {
    GdbSocket socket(target);
    EXPECT_FALSE(socket.listen_at(where).ok()) << where;
  }
  for (const char* where : {":0", "localhost:0", "127.0.0.1:0", "127.0.0.2:0"}) {
    GdbSocket socket(target);
    EXPECT_TRUE(socket.listen_at(where).ok()) << where;
    EXPECT_FALSE(socket.reachable_from_elsewhere()) << where;
    EXPECT_GT(socket.port(), 0u);
    // It is taken.
    GdbSocket other(target);
    const Status second = other.listen_at(std::string(where).substr(0, std::string(where).rfind(':')) + ":" +
                                          std::to_string(socket.port()));
    EXPECT_FALSE(second.ok()) << where;
    EXPECT_NE(second.message().find("Address already in use"), std::string::npos) << second.message();
  }
  GdbSocket everywhere(target);
  EXPECT_TRUE(everywhere.listen_at("0.0.0.0:0").ok());
  EXPECT_TRUE(everywhere.reachable_from_elsewhere());
}

TEST(GdbSocket, ServesOneClientAtATime) {
  Served served;
  {
    Client first(served.socket.port());
    first.say("$qC#b4");
    EXPECT_EQ(first.hear("#c6"), "+$QC2#c6");
    Client second(served.socket.port());
    EXPECT_EQ(second.hear(""), "(closed)");
    first.say("$D#44");
    EXPECT_EQ(first.hear("#9a"), "+$OK#9a");
  }
  // The first one's end is seen before long, and the next one is served.
  for (;;) {
    Client third(served.socket.port());
    third.offer("$qC#b4");
    if (third.hear("#c6") == "+$QC2#c6") break;
  }
  served.end();
  EXPECT_EQ(served.target.detached, 3u);  // by D, by the first one's end, by the last one's
  EXPECT_EQ(served.target.misused, 0u);
}

TEST(GdbSocket, StopsNothingForAClientThatIsNoGdb) {
  Served served;
  for (const char* greeting : {"GET / HTTP/1.1\r\n\r\n$k#6b", "\x16\x03\x01", " $k#6b"}) {
    Client client(served.socket.port());
    client.say(greeting);
    EXPECT_EQ(client.hear(""), "(closed)");
  }
  served.end();
  EXPECT_EQ(served.target.interrupts, 0u);
  EXPECT_EQ(served.target.killed, 0u);
}

TEST(GdbSocket, WaitsForAClientThatDoesNotRead) {
  Served served;
  Client client(served.socket.port());
  client.say("$QStartNoAckMode#b0");
  EXPECT_EQ(client.hear("#9a"), "+$OK#9a");
  // Until it takes no more: there is more to be read then than it keeps.
  const std::string packet = Session::frame("mffffffff80000000,200");
  u64 asked = 0;
  std::string rest = packet;
  for (int misses = 0; misses < 3 && asked < 100'000;) {
    const size_t taken = client.offer(rest);
    rest.erase(0, taken);
    if (rest.empty()) {
      asked++;
      rest = packet;
    }
    if (taken != 0) {
      misses = 0;
      continue;
    }
    misses++;
    poll(nullptr, 0, 20);
  }
  EXPECT_LT(asked, 100'000u);
  // All of it is answered, once it reads: what is left of the last packet goes behind the others.
  std::thread writer([&] {
    if (rest.size() != packet.size()) client.say(rest);
    client.say(Session::frame("vMustReplyEmpty"));
  });
  const std::string answer = Session::frame(std::string(0x400, '0'));
  const u64 wanted = (asked + (rest.size() != packet.size())) * answer.size();
  const std::string all = client.hear("$#00");
  writer.join();
  EXPECT_EQ(all.size(), wanted + 4);
  served.end();
  EXPECT_EQ(served.target.misused, 0u);
}

TEST(GdbSocket, ClosesWhenTheMachineIsKilled) {
  Served served;
  Client client(served.socket.port());
  client.say("$vKill;1#6e");
  EXPECT_EQ(client.hear(""), "+$OK#9a(closed)");
  served.end();
  EXPECT_EQ(served.target.killed, 1u);
}

}  // namespace
}  // namespace hartwood::test
