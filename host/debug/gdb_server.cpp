// SPDX-License-Identifier: Apache-2.0
// [gdb: Remote Protocol: Packets, Stop Reply Packets, General Query Packets, Interrupts]
#include "debug/gdb_server.h"

#include <algorithm>

#include "debug/gdb_description.h"

namespace hartwood {
namespace {

// What waits for the harts while a gdb arrives. It sends one packet and waits for its answer.
constexpr size_t kMaxPending = 2 * kGdbPacketBytes;

// As gdb counts signals.
constexpr u8 kSigint = 2, kSigtrap = 5;

// Error numbers as Linux has them: gdb shows them as they are.
constexpr u8 kFailed = 1, kIoError = 5, kFault = 14, kInvalid = 22, kNoSpace = 28;

constexpr u32 kStackPointer = 2, kFramePointer = 8;

void append_register(std::string& to, u64 value) {
  gdb_append_hex(to, {reinterpret_cast<const u8*>(&value), sizeof value});  // little-endian, as the host
}
void append_unavailable(std::string& to) { to.append(2 * kGdbRegisterBytes, 'x'); }

// A register's value as packets have it; false if it is not exactly that.
bool take_register(GdbScanner& args, u64& value) { return args.hex({reinterpret_cast<u8*>(&value), sizeof value}); }

bool take_range(GdbScanner& args, u64& address, u64& bytes) {
  return args.number(address) && args.literal(",") && args.number(bytes);
}

bool wraps(u64 address, u64 bytes) { return bytes != 0 && address + (bytes - 1) < address; }

bool is_end(const GdbStop& stop) { return stop.why == GdbStop::exited || stop.why == GdbStop::terminated; }

}  // namespace

// ---- the connection

void GdbServer::connected() {
  disconnected();
  reader_.reset();
  pending_.clear();
  last_.clear();
  threads_.clear();
  features_ = gdb_target_xml(target_);
  acks_ = true;
  finished_ = extended_ = binary_offered_ = error_texts_ = stop_owed_ = interrupt_pending_ = physical_ = false;
  tells_breakpoints_[0] = tells_breakpoints_[1] = false;
  general_ = 0;
  going_ = Thread{};
  if (state_ == State::idle) attach();
}

void GdbServer::disconnected() {
  forget_points();
  if (kill_owed_) target_.kill();
  kill_owed_ = false;
  if (state_ == State::idle || state_ == State::off || state_ == State::killed) return;
  state_ = State::idle;
  target_.detach();
}

void GdbServer::receive(std::span<const u8> bytes) {
  if (state_ == State::idle) return;
  for (const u8 byte : bytes) {
    if (state_ != State::arriving) {
      take(byte);
    } else if (pending_.size() < kMaxPending) {
      pending_ += static_cast<char>(byte);
    }
  }
}

void GdbServer::take(u8 byte) {
  const GdbPacketReader::Event event = reader_.take(byte);
  if (event == GdbPacketReader::interrupt) {
    // One that comes while harts stand is for the next time they run: they may have stopped while it was on its way,
    // and gdb lets them go on without the user's seeing it.
    if (state_ == State::running) {
      target_.interrupt();
    } else if (state_ == State::halted) {
      interrupt_pending_ = true;
    }
    return;
  }
  if (state_ == State::running) return;
  switch (event) {
    case GdbPacketReader::packet:
      if (acks_) output_.send("+");
      command(reader_.body());
      break;
    case GdbPacketReader::too_long:
      if (acks_) output_.send("+");
      fail(kInvalid, "the packet is longer than PacketSize");
      break;
    case GdbPacketReader::damaged:
      if (acks_) output_.send("-");
      break;
    case GdbPacketReader::not_acknowledged:
      if (acks_ && !last_.empty()) output_.send(last_);
      break;
    default: break;
  }
}

// What came while the harts were being stopped.
void GdbServer::drain() {
  std::string waiting;
  waiting.swap(pending_);
  receive({reinterpret_cast<const u8*>(waiting.data()), waiting.size()});
  // A user who was impatient: they have stopped.
  if (state_ == State::halted) interrupt_pending_ = false;
}

void GdbServer::reply(std::string_view body) {
  last_.clear();
  gdb_append_packet(last_, body);
  output_.send(last_);
}

void GdbServer::fail(u8 code, std::string_view text) {
  if (!error_texts_) {
    reply(format("E%02x", code));
    return;
  }
  std::string body = "E.";
  for (const char c : text.substr(0, 1000)) {
    const bool plain = c >= ' ' && c <= '~' && c != '$' && c != '#' && c != '}' && c != '*';
    body += plain ? c : '?';
  }
  reply(body);
}

void GdbServer::bad_packet() { fail(kInvalid, "the packet is malformed"); }

bool GdbServer::harts_stand() {
  if (state_ == State::halted || state_ == State::off) return true;
  fail(kFailed, state_ == State::killed ? "the machine has ended" : "gdb is not attached to the machine");
  return false;
}

size_t GdbServer::held() const {
  return reader_.held() + pending_.capacity() + last_.capacity() + features_.capacity() + threads_.capacity() +
         points_.capacity() * sizeof(GdbPoint);
}

// ---- stopping and going on

void GdbServer::attach() {
  state_ = State::arriving;
  target_.interrupt();
}

void GdbServer::stopped(const GdbStop& stop) {
  const State before = state_;
  if (before == State::killed) return;
  if (is_end(stop)) {
    state_ = State::off;
  } else if (before == State::arriving || before == State::running) {
    state_ = State::halted;
  } else {
    // Nobody waits for it. It was for a gdb that has gone meanwhile, or it comes twice.
    if (before == State::idle || before == State::detached) target_.detach();
    return;
  }
  stop_ = stop;
  if (stop_.hart >= target_.hart_count()) stop_.hart = 0;
  general_ = stop_.hart;
  if (before == State::running) {
    reply(stop_reply());
  } else if (before == State::arriving) {
    if (stop_.why == GdbStop::interrupted) stop_.why = GdbStop::halted_at_attach;
    if (stop_owed_) reply(stop_reply());
    stop_owed_ = false;
    drain();
  }
}

std::string GdbServer::stop_reply() {
  if (state_ == State::detached || state_ == State::killed) return "W00";
  if (stop_.why == GdbStop::exited) return format("W%02x", stop_.code & 0xff);
  if (stop_.why == GdbStop::terminated) return format("X%02x", stop_.code & 0xff);
  std::string body = format("T%02x", stop_.why == GdbStop::interrupted ? kSigint : kSigtrap);
  const char* watch = nullptr;
  switch (stop_.why) {
    case GdbStop::breakpoint:
      if (tells_breakpoints_[0]) body += "swbreak:;";
      break;
    case GdbStop::hardware_breakpoint:
      if (tells_breakpoints_[1]) body += "hwbreak:;";
      break;
    case GdbStop::watch_write: watch = "watch:"; break;
    case GdbStop::watch_read: watch = "rwatch:"; break;
    case GdbStop::watch_access: watch = "awatch:"; break;
    default: break;
  }
  if (watch != nullptr) {
    body += watch;
    gdb_append_number(body, stop_.address);
    body += ';';
  }
  body += format("thread:%x;", stop_.hart + 1);
  // What gdb wants of each stop, so that it need not ask.
  for (const u32 number : {kGdbPc, kStackPointer, kFramePointer}) {
    u64 value;
    if (!target_.read_register(stop_.hart, gdb_register(number), value)) continue;
    body += format("%02x:", number);
    append_register(body, value);
    body += ';';
  }
  return body;
}

void GdbServer::resume(const std::vector<GdbResume>& plan) {
  if (state_ == State::off) {
    reply(stop_reply());
    return;
  }
  if (std::all_of(plan.begin(), plan.end(), [](const GdbResume& hart) { return hart.action == GdbResume::stay; })) {
    fail(kInvalid, "no hart would run");
    return;
  }
  state_ = State::running;
  target_.resume(plan);
  if (interrupt_pending_ && state_ == State::running) {
    interrupt_pending_ = false;
    target_.interrupt();
  }
}

// c, C, s and S: `[signal][;address]` or `[address]`. There are no signals in a machine: they are left out.
void GdbServer::go(GdbScanner args, GdbResume::Action action, bool has_signal) {
  if (!harts_stand()) return;
  u64 signal, address = 0;
  if (has_signal && !args.number(signal)) return bad_packet();
  const bool moves = has_signal ? args.literal(";") : !args.at_end();
  if (moves && !args.number(address)) return bad_packet();
  if (!args.at_end()) return bad_packet();
  const u32 hart = going_.which == Thread::one ? going_.hart : general_;
  if (moves && !target_.write_register(hart, {GdbRegister::pc, 0}, address))
    return fail(kInvalid, "pc cannot be set to that address");
  // A step is one hart's; the others run unless gdb has chosen this one alone.
  std::vector<GdbResume> plan(target_.hart_count());
  if (going_.which != Thread::one) std::fill(plan.begin(), plan.end(), GdbResume{GdbResume::run});
  plan[hart].action = action;
  resume(plan);
}

// vCont: `;action[:thread]`..., of which the first that fits a hart counts.
void GdbServer::go_each(GdbScanner args) {
  if (!harts_stand()) return;
  const u32 count = target_.hart_count();
  std::vector<GdbResume> plan(count);
  std::vector<bool> decided(count);
  do {
    GdbScanner part(args.until(';'));
    GdbResume resume;
    u64 signal;
    if (part.literal("c")) {
      resume.action = GdbResume::run;
    } else if (part.literal("s")) {
      resume.action = GdbResume::step;
    } else if (part.literal("C")) {
      resume.action = GdbResume::run;
      if (!part.number(signal)) return bad_packet();
    } else if (part.literal("S")) {
      resume.action = GdbResume::step;
      if (!part.number(signal)) return bad_packet();
    } else if (part.literal("r")) {
      resume.action = GdbResume::step_range;
      if (!take_range(part, resume.start, resume.end)) return bad_packet();
    } else if (!part.literal("t")) {
      return bad_packet();
    }
    Thread thread;
    if (part.literal(":") && !parse_thread(part, thread)) return bad_packet();
    if (!part.at_end()) return bad_packet();
    for (u32 hart = 0; hart < count; hart++) {
      const bool meant = thread.which == Thread::all || hart == (thread.which == Thread::one ? thread.hart : general_);
      if (!meant || decided[hart]) continue;
      decided[hart] = true;
      plan[hart] = resume;
    }
  } while (!args.at_end());
  resume(plan);
}

void GdbServer::detach() {
  forget_points();
  if (state_ != State::off && state_ != State::killed) {
    state_ = State::detached;
    target_.detach();
  }
  reply_ok();
}

// A gdb that stays may want the machine once more: `run` kills it first. Then it ends when gdb goes.
void GdbServer::kill() {
  points_.clear();
  state_ = State::killed;
  kill_owed_ = extended_;
  if (extended_) return;
  finished_ = true;
  target_.kill();
}

bool GdbServer::restart(std::string& why_not) {
  if (state_ == State::detached || (state_ == State::killed && !kill_owed_)) {
    why_not = state_ == State::killed ? "the machine has ended" : "gdb is not attached to the machine";
    return false;
  }
  points_.clear();
  const Status restarted = target_.restart();
  if (!restarted) {
    why_not = restarted.message();
    return false;
  }
  state_ = State::halted;
  kill_owed_ = false;
  interrupt_pending_ = false;
  stop_ = GdbStop{GdbStop::halted_at_attach};
  general_ = 0;
  return true;
}

// ---- commands

void GdbServer::command(std::string_view body) {
  if (body.empty()) return reply("");
  const GdbScanner args(body.substr(1));
  switch (body[0]) {
    case '?': return reply(stop_reply());
    case '!': extended_ = true; return reply_ok();
    case 'g': return args.at_end() ? read_general() : bad_packet();
    case 'G': return write_general(args);
    case 'p': return read_register(args);
    case 'P': return write_register(args);
    case 'm': return read_memory(args, false);
    case 'x': return binary_offered_ ? read_memory(args, true) : reply("");
    case 'M': return write_memory(args, false);
    case 'X': return write_memory(args, true);
    case 'H': return choose_thread(args);
    case 'T': return thread_alive(args);
    case 'Z': return point(args, true);
    case 'z': return point(args, false);
    case 'c': return go(args, GdbResume::run, false);
    case 'C': return go(args, GdbResume::run, true);
    case 's': return go(args, GdbResume::step, false);
    case 'S': return go(args, GdbResume::step, true);
    case 'D': return detach();
    case 'k':
      if (state_ == State::halted || state_ == State::off) kill();
      return;
    case 'R': {
      std::string why_not;
      restart(why_not);  // has no answer; a `?` follows
      return;
    }
    case 'q': return query(body);
    case 'Q': return set(body);
    case 'v': return verb(body);
    default: return reply("");
  }
}

void GdbServer::query(std::string_view body) {
  GdbScanner args(body);
  if (args.literal("qSupported")) return supported(args);
  if (args.literal("qXfer:")) return transfer(args);
  if (args.literal("qThreadExtraInfo,")) return thread_info(args);
  if (args.literal("qRcmd,")) return monitor(args.rest());
  if (args.literal("qSymbol:")) return reply_ok();   // no symbols are wanted
  if (args.literal("qAttached")) return reply("1");  // the machine was there before: leaving it is no kill
  if (body == "qfThreadInfo") return thread_list();
  if (body == "qsThreadInfo") return reply("l");
  if (body == "qC") return reply(format("QC%x", general_ + 1));
  if (body == "qqemu.PhyMemMode") return reply(physical_ ? "1" : "0");
  if (body == "qqemu.Supported") return reply("PhyMemMode");
  // qOffsets among others: an answer would move a vmlinux that the user has placed for KASLR.
  reply("");
}

void GdbServer::set(std::string_view body) {
  GdbScanner args(body);
  if (body == "QStartNoAckMode") {
    reply_ok();  // gdb acknowledges this one still: it is ignored as all that come later
    acks_ = false;
  } else if (args.literal("QPassSignals:") || args.literal("QProgramSignals:")) {
    reply_ok();
  } else if (args.literal("Qqemu.PhyMemMode:")) {
    switch_space(args);
  } else {
    reply("");
  }
}

void GdbServer::verb(std::string_view body) {
  GdbScanner args(body);
  if (body == "vCont?") return reply("vCont;c;C;s;S;t;r");
  if (args.literal("vCont;")) return go_each(args);
  if (args.literal("vKill;")) {
    if (!harts_stand()) return;
    reply_ok();
    return kill();
  }
  if (args.literal("vRun;")) {
    if (!args.until(';').empty()) return fail(kInvalid, "the machine runs what it was started with: give no program");
    std::string why_not;
    return restart(why_not) ? reply(stop_reply()) : fail(kFailed, why_not);
  }
  if (args.literal("vAttach;")) {
    if (state_ != State::detached) return fail(kFailed, "there is no machine to attach to but the one that gdb has");
    stop_owed_ = true;
    return attach();
  }
  reply("");  // vMustReplyEmpty too
}

void GdbServer::supported(GdbScanner args) {
  args.literal(":");
  while (!args.at_end()) {
    const std::string_view feature = args.until(';');
    if (feature == "swbreak+") tells_breakpoints_[0] = true;
    if (feature == "hwbreak+") tells_breakpoints_[1] = true;
    if (feature == "error-message+") error_texts_ = true;
  }
  binary_offered_ = true;
  std::string body = format(
      "PacketSize=%x;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;qXfer:features:read+;qXfer:memory-map:read+;"
      "qXfer:threads:read+;binary-upload+",
      kGdbPacketBytes);
  if (error_texts_) body += ";error-message+";
  reply(body);
}

// qXfer: `object:read:annex:offset,length`, the last two in hexadecimal.
void GdbServer::transfer(GdbScanner args) {
  const std::string_view object = args.until(':');
  const bool known = object == "features" || object == "memory-map" || object == "threads";
  if (!known || !args.literal("read:")) return reply("");
  const std::string_view annex = args.until(':');
  u64 offset, length;
  if (!take_range(args, offset, length) || !args.at_end() || length == 0) return bad_packet();
  if (annex != (object == "features" ? "target.xml" : "")) return fail(0, "there is no such document");
  std::string memory_map;
  const std::string* document = &features_;
  if (object == "memory-map") {
    memory_map = gdb_memory_map_xml();
    document = &memory_map;
  } else if (object == "threads") {
    if (!harts_stand()) return;
    // The pieces are of one document, though descriptions may change.
    if (offset == 0 || threads_.empty()) threads_ = gdb_threads_xml(target_);
    document = &threads_;
  }
  if (offset > document->size()) return fail(kInvalid, "the document is shorter");
  std::string_view piece =
      std::string_view(*document).substr(static_cast<size_t>(offset), std::min<u64>(length, kGdbPacketBytes));
  piece = piece.substr(0, gdb_binary_fits(piece, kGdbPacketBytes - 1));
  std::string body = offset + piece.size() < document->size() ? "m" : "l";
  gdb_append_binary(body, {reinterpret_cast<const u8*>(piece.data()), piece.size()});
  reply(body);
}

// ---- threads

// `hart + 1`, 0 (any) or -1 (all), and in the form with processes, p1.thread or p1 (all), of which there is one.
bool GdbServer::parse_thread(GdbScanner& args, Thread& thread) const {
  GdbScanner text = args;
  u64 number;
  if (text.literal("p")) {
    if (!text.literal("-1") && !(text.number(number) && number <= 1)) return false;
    if (!text.literal(".")) {
      thread.which = Thread::all;
      args = text;
      return true;
    }
  }
  if (text.literal("-1")) {
    thread.which = Thread::all;
  } else if (!text.number(number) || number > target_.hart_count()) {
    return false;
  } else if (number == 0) {
    thread.which = Thread::any;
  } else {
    thread.which = Thread::one;
    thread.hart = static_cast<u32>(number - 1);
  }
  args = text;
  return true;
}

void GdbServer::choose_thread(GdbScanner args) {
  Thread thread;
  const bool general = args.literal("g");
  if (!general && !args.literal("c")) return bad_packet();
  if (!parse_thread(args, thread) || !args.at_end()) return fail(kInvalid, "there is no such thread");
  if (!general) {
    going_ = thread;
  } else if (thread.which == Thread::one) {
    general_ = thread.hart;
  }
  reply_ok();
}

void GdbServer::thread_alive(GdbScanner args) {
  Thread thread;
  const bool named = parse_thread(args, thread) && args.at_end() && thread.which == Thread::one;
  if (!named) return fail(kInvalid, "there is no such thread");
  if (harts_stand()) reply_ok();
}

void GdbServer::thread_list() {
  if (state_ != State::halted) return reply("l");
  std::string body = "m";
  for (u32 hart = 0; hart < target_.hart_count(); hart++) {
    if (hart != 0) body += ',';
    gdb_append_number(body, hart + 1);
  }
  reply(body);
}

void GdbServer::thread_info(GdbScanner args) {
  Thread thread;
  const bool named = parse_thread(args, thread) && args.at_end() && thread.which == Thread::one;
  if (!named) return fail(kInvalid, "there is no such thread");
  if (!harts_stand()) return;
  const std::string text = target_.hart_description(thread.hart).substr(0, 1000);
  std::string body;
  gdb_append_hex(body, {reinterpret_cast<const u8*>(text.data()), text.size()});
  reply(body);
}

// ---- registers

void GdbServer::read_general() {
  if (!harts_stand()) return;
  std::string body;
  for (u32 number = 0; number < kGdbGeneralRegisters; number++) {
    u64 value;
    if (target_.read_register(general_, gdb_register(number), value)) {
      append_register(body, value);
    } else {
      append_unavailable(body);
    }
  }
  reply(body);
}

// As many registers as it has, from the first; those whose digits are 'x' stay.
void GdbServer::write_general(GdbScanner args) {
  if (!harts_stand()) return;
  const size_t size = args.rest().size();
  if (size % (2 * kGdbRegisterBytes) != 0 || size / (2 * kGdbRegisterBytes) > kGdbGeneralRegisters) return bad_packet();
  std::string unavailable;
  append_unavailable(unavailable);
  for (u32 number = 0; !args.at_end(); number++) {
    if (args.literal(unavailable)) continue;
    u64 value;
    if (!take_register(args, value)) return bad_packet();
    if (number == 0) continue;  // x0
    if (!target_.write_register(general_, gdb_register(number), value))
      return fail(kIoError, "a register cannot be written");
  }
  reply_ok();
}

void GdbServer::read_register(GdbScanner args) {
  if (!harts_stand()) return;
  u64 number, value;
  if (!args.number(number) || !args.at_end() || number >= kGdbRegisters) return bad_packet();
  std::string body;
  if (target_.read_register(general_, gdb_register(static_cast<u32>(number)), value)) {
    append_register(body, value);
  } else {
    append_unavailable(body);
  }
  reply(body);
}

void GdbServer::write_register(GdbScanner args) {
  if (!harts_stand()) return;
  u64 number, value;
  if (!args.number(number) || number >= kGdbRegisters || !args.literal("=") || !take_register(args, value) ||
      !args.at_end())
    return bad_packet();
  if (!target_.write_register(general_, gdb_register(static_cast<u32>(number)), value))
    return fail(kIoError, "the register cannot be written");
  reply_ok();
}

// ---- memory

// gdb takes less than it asked for, and asks for the rest.
void GdbServer::read_memory(GdbScanner args, bool binary) {
  if (!harts_stand()) return;
  u64 address, bytes;
  if (!take_range(args, address, bytes) || !args.at_end()) return bad_packet();
  if (bytes == 0) return binary ? reply("b") : bad_packet();  // gdb looks whether x is known
  bytes = std::min<u64>(bytes, binary ? kGdbPacketBytes - 1 : kGdbPacketBytes / 2);
  if (wraps(address, bytes)) bytes = u64{0} - address;
  std::string data(bytes, '\0');
  const u64 got = target_.read_memory(general_, space(), address, {reinterpret_cast<u8*>(data.data()), data.size()});
  if (got == 0) return fail(kFault, "there is no memory at that address");
  data.resize(std::min(got, bytes));
  std::string body;
  if (binary) {
    body += 'b';
    data.resize(gdb_binary_fits(data, kGdbPacketBytes - 1));
    gdb_append_binary(body, {reinterpret_cast<const u8*>(data.data()), data.size()});
  } else {
    gdb_append_hex(body, {reinterpret_cast<const u8*>(data.data()), data.size()});
  }
  reply(body);
}

void GdbServer::write_memory(GdbScanner args, bool binary) {
  if (!harts_stand()) return;
  u64 address, bytes;
  if (!take_range(args, address, bytes) || !args.literal(":") || wraps(address, bytes)) return bad_packet();
  std::string decoded;
  if (!binary && !gdb_hex_text(args.rest(), decoded)) return bad_packet();
  const std::string_view data = binary ? args.rest() : decoded;
  if (data.size() != bytes) return bad_packet();
  if (bytes != 0 &&
      !target_.write_memory(general_, space(), address, {reinterpret_cast<const u8*>(data.data()), data.size()}))
    return fail(kFault, "there is no memory at that address");
  reply_ok();
}

// ---- breakpoints and watchpoints

// For a gdb that goes. The target does it when it lets harts run on; a machine that is off does not.
void GdbServer::forget_points() {
  if (state_ == State::off) {
    for (const GdbPoint& point : points_) (void)target_.remove(point);
  }
  points_.clear();
}

// Z and z: `type,address,kind`. Either may come twice.
void GdbServer::point(GdbScanner args, bool insert) {
  if (!harts_stand()) return;
  GdbPoint point;
  u64 kind;
  if (!args.number(kind) || !args.literal(",") || !take_range(args, point.address, point.bytes) || !args.at_end())
    return bad_packet();
  if (kind > GdbPoint::watch_access) return reply("");
  point.kind = static_cast<GdbPoint::Kind>(kind);
  const bool is_break = point.kind == GdbPoint::software_breakpoint || point.kind == GdbPoint::hardware_breakpoint;
  if (is_break ? point.bytes != 2 && point.bytes != 4 : point.bytes == 0 || wraps(point.address, point.bytes))
    return fail(kInvalid, "a point cannot have that length");
  const auto at = std::find(points_.begin(), points_.end(), point);
  if (insert && at == points_.end()) {
    if (points_.size() == kGdbPoints) return fail(kNoSpace, "there are too many breakpoints and watchpoints");
    const Status inserted = target_.insert(general_, point);
    if (!inserted) return fail(kFailed, inserted.message());
    points_.push_back(point);
  } else if (!insert && at != points_.end()) {
    const Status removed = target_.remove(point);
    if (!removed) return fail(kFailed, removed.message());
    points_.erase(at);
  }
  reply_ok();
}

// ---- the user's own commands

void GdbServer::switch_space(GdbScanner args) {
  u64 on;
  if (!args.number(on) || !args.at_end() || on > 1) return bad_packet();
  physical_ = on == 1;
  reply_ok();
}

void GdbServer::monitor(std::string_view digits) {
  std::string command;
  if (!gdb_hex_text(digits, command)) return bad_packet();
  if (!harts_stand()) return;
  Result<std::string> result = std::string();
  if (command == "physical" || command == "physical on" || command == "physical off") {
    if (command != "physical") physical_ = command == "physical on";
    result =
        std::string(physical_ ? "gdb reads and writes physical memory\n" : "gdb reads and writes virtual memory\n");
  } else {
    result = target_.monitor(general_, command);
    if (result && command == "help")
      *result += "physical [on|off]   addresses are physical ones, or of the thread's address space\n";
  }
  // Errors in words are for gdbs that have said that they show them; others get the words as output.
  if (!result && error_texts_) return fail(kFailed, result.message());
  const std::string text = result ? *result : result.message() + "\n";
  for (size_t at = 0; at < text.size();) {
    const std::string_view piece = std::string_view(text).substr(at, (kGdbPacketBytes - 1) / 2);
    std::string body = "O";
    gdb_append_hex(body, {reinterpret_cast<const u8*>(piece.data()), piece.size()});
    reply(body);
    at += piece.size();
  }
  if (!result) return fail(kFailed, result.message());
  reply_ok();
}

}  // namespace hartwood
