// SPDX-License-Identifier: Apache-2.0
// The server's side of gdb's remote serial protocol, for one machine and one gdb at a time: bytes in, bytes out, and
// calls of a GdbTarget. No input and output of its own, no threads; one thread drives it. All-stop mode: either all
// harts stand and gdb asks, or at least one was sent off and gdb waits for the stop.
//
//   idle ── connected() ──> arriving ── stopped() ──> halted <── stopped() / resume ──> running
//                                                       │ D               k │
//                                                   detached              killed ── R, vRun ──> halted
//
// Harts are gdb's threads, hart + 1 their numbers (0 and -1 mean others to gdb). What comes while harts run is dropped
// but for ^C, and what comes while a gdb arrives waits for the harts. Whatever the bytes are, each whole packet gets an
// answer or is dropped, and no more memory is held than a few packets and kGdbPoints points.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "debug/gdb_packets.h"
#include "debug/gdb_target.h"

namespace hartwood {

inline constexpr size_t kGdbPoints = 4096;  // breakpoints and watchpoints at a time

class GdbOutput {
 public:
  virtual ~GdbOutput() = default;
  // To gdb. Takes all of it; never calls the server.
  virtual void send(std::string_view bytes) = 0;
};

class GdbServer {
 public:
  // Both stay the caller's and live longer.
  GdbServer(GdbTarget& target, GdbOutput& output) : target_(target), output_(output) {}

  // A gdb has come: its harts are interrupted. After disconnected(), if there was one before.
  void connected();
  // It has gone, in whatever way, or there is none.
  void disconnected();
  void receive(std::span<const u8> bytes);
  // From the target; see there. A machine that is switched off says so in any state.
  void stopped(const GdbStop& stop);

  // The machine was killed: nothing more is to come, the connection can be closed.
  bool finished() const { return finished_; }
  // Memory that it holds, in bytes, about.
  size_t held() const;

 private:
  enum class State : u8 { idle, arriving, halted, running, off, detached, killed };
  struct Thread {
    enum Which : u8 { one, any, all };
    Which which = all;
    u32 hart = 0;
  };

  void take(u8 byte);
  void drain();
  void reply(std::string_view body);
  void reply_ok() { reply("OK"); }
  void fail(u8 code, std::string_view text);
  void bad_packet();
  bool harts_stand();  // or answers that they do not
  std::string stop_reply();

  void command(std::string_view body);
  void query(std::string_view body);
  void set(std::string_view body);
  void verb(std::string_view body);

  void read_general();
  void write_general(GdbScanner args);
  void read_register(GdbScanner args);
  void write_register(GdbScanner args);
  void read_memory(GdbScanner args, bool binary);
  void write_memory(GdbScanner args, bool binary);
  void choose_thread(GdbScanner args);
  void thread_alive(GdbScanner args);
  void point(GdbScanner args, bool insert);
  void forget_points();
  void go(GdbScanner args, GdbResume::Action action, bool has_signal);
  void go_each(GdbScanner args);
  void resume(const std::vector<GdbResume>& plan);
  void detach();
  void attach();
  void kill();
  bool restart(std::string& why_not);
  void supported(GdbScanner args);
  void thread_list();
  void thread_info(GdbScanner args);
  void transfer(GdbScanner args);
  void monitor(std::string_view digits);
  void switch_space(GdbScanner args);

  bool parse_thread(GdbScanner& args, Thread& thread) const;
  GdbSpace space() const { return physical_ ? GdbSpace::physical_memory : GdbSpace::virtual_memory; }

  GdbTarget& target_;
  GdbOutput& output_;
  State state_ = State::idle;
  GdbStop stop_;
  std::vector<GdbPoint> points_;

  // Of the connection.
  GdbPacketReader reader_;
  std::string pending_;  // came while arriving
  std::string last_;     // the last packet sent, if gdb wants it again
  std::string features_, threads_;
  bool acks_ = true, finished_ = false;
  bool extended_ = false;           // gdb stays when the machine has ended
  bool binary_offered_ = false;     // gdb knows that x reads binary
  bool tells_breakpoints_[2] = {};  // gdb understands swbreak, hwbreak
  bool error_texts_ = false;        // and errors in words
  bool kill_owed_ = false;          // the target does not know yet
  bool stop_owed_ = false;          // the answer to vAttach
  bool interrupt_pending_ = false;  // ^C while harts stood
  bool physical_ = false;           // what m, M, x and X mean
  u32 general_ = 0;                 // the hart that gdb has chosen
  Thread going_;                    // Hc, for c and s
};

}  // namespace hartwood
