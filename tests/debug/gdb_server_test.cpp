// SPDX-License-Identifier: Apache-2.0
// Each packet that the gdb stub knows, right and wrong, and the states of a session.
#include "debug/gdb_server.h"

#include <gtest/gtest.h>

#include "debug/gdb_description.h"
#include "debug/gdb_fake.h"

namespace hartwood::test {
namespace {

const std::string kAtAttach = "T05thread:1;20:" + hex64(0x8000'0000) + ";02:" + hex64(0) + ";08:" + hex64(0) + ";";
// A stop's answer without the registers.
std::string head(const std::string& reply) { return reply.substr(0, reply.find("20:")); }

TEST(GdbSession, StopsTheMachineForAGdbThatArrives) {
  Session gdb;
  gdb.server.connected();
  EXPECT_EQ(gdb.target.interrupts, 1u);
  gdb.bytes("+" + Session::frame("?"));
  EXPECT_EQ(gdb.sent, "");  // waits
  gdb.stop({GdbStop::interrupted, 1});
  EXPECT_EQ(gdb.sent.substr(0, 2), "+$");
  gdb.sent.erase(0, 1);
  EXPECT_EQ(head(gdb.answer()), "T05thread:2;");
  EXPECT_EQ(gdb.target.misused, 0u);
}

TEST(GdbSession, ForgetsWhatItCannotKeepWhileAGdbArrives) {
  Session gdb;
  gdb.server.connected();
  for (int i = 0; i < 100; i++) gdb.bytes("\3" + std::string(10'000, '+'));
  EXPECT_LE(gdb.server.held(), 8 * kGdbPacketBytes);
  gdb.stop({GdbStop::interrupted, 0});
  gdb.sent.clear();
  gdb.bytes(Session::frame("c"));
  EXPECT_EQ(gdb.sent, "+");
  EXPECT_EQ(gdb.target.interrupts, 1u);  // those of ^C before the machine stood are done with
}

TEST(GdbSession, AcknowledgesAndRepeats) {
  Session gdb;
  gdb.server.connected();
  gdb.stop({GdbStop::interrupted, 0});
  gdb.bytes("$qC#b4");
  EXPECT_EQ(gdb.sent, "+$QC1#c5");
  gdb.sent.clear();
  gdb.bytes("-");
  EXPECT_EQ(gdb.sent, "$QC1#c5");
  gdb.sent.clear();
  gdb.bytes("$qC#b5");
  EXPECT_EQ(gdb.sent, "-");
  gdb.sent.clear();
  gdb.bytes(Session::frame("QStartNoAckMode"));
  EXPECT_EQ(gdb.sent, "+$OK#9a");
  gdb.sent.clear();
  gdb.bytes("+-$qC#b5");
  EXPECT_EQ(gdb.sent, "");
  gdb.bytes("$qC#b4");
  EXPECT_EQ(gdb.sent, "$QC1#c5");
  // The next gdb begins as this one did.
  gdb.server.disconnected();
  gdb.server.connected();
  gdb.stop({GdbStop::interrupted, 0});
  gdb.sent.clear();
  gdb.bytes("$qC#b4");
  EXPECT_EQ(gdb.sent, "+$QC1#c5");
}

TEST(GdbSession, TellsWhatItCan) {
  Session gdb;
  gdb.arrive();
  EXPECT_EQ(gdb.ask("x" + std::string("ffffffff80000000,1")), "");
  EXPECT_EQ(gdb.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386"),
            "PacketSize=10000;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;qXfer:features:read+;"
            "qXfer:memory-map:read+;qXfer:threads:read+;binary-upload+");
  EXPECT_TRUE(gdb.ask("qSupported:error-message+").ends_with(";binary-upload+;error-message+"));
  EXPECT_EQ(gdb.ask("vMustReplyEmpty"), "");
  EXPECT_EQ(gdb.ask("vCont?"), "vCont;c;C;s;S;t;r");
  EXPECT_EQ(gdb.ask("qAttached"), "1");
  EXPECT_EQ(gdb.ask("qAttached:1"), "1");
  EXPECT_EQ(gdb.ask("qSymbol::"), "OK");
  EXPECT_EQ(gdb.ask("QPassSignals:e;10"), "OK");
  EXPECT_EQ(gdb.ask("qOffsets"), "");
  EXPECT_EQ(gdb.ask("qTStatus"), "");
  EXPECT_EQ(gdb.ask("QNonStop:1"), "");
  EXPECT_EQ(gdb.ask("vFile:setfs:0"), "");
  EXPECT_EQ(gdb.ask("b"), "");
  EXPECT_EQ(gdb.ask(""), "");
  EXPECT_EQ(gdb.ask("\xff"), "");
  EXPECT_EQ(gdb.ask("?"), kAtAttach);
}

TEST(GdbSession, AnswersErrorsInNumbersOrWords) {
  Session gdb;
  gdb.arrive();
  EXPECT_EQ(gdb.ask("m0,4"), "E0e");
  EXPECT_EQ(gdb.ask("Z3,1000,4"), "E01");
  EXPECT_EQ(gdb.ask(std::string(kGdbPacketBytes + 1, 'm')), "E16");
  gdb.ask("qSupported:error-message+");
  EXPECT_EQ(gdb.ask("m0,4"), "E.there is no memory at that address");
  EXPECT_EQ(gdb.ask("Z3,1000,4"), "E.no ?watch? for reads??");  // what would end a packet is not in it
  EXPECT_EQ(gdb.ask("mx"), "E.the packet is malformed");
}

TEST(GdbSession, LetsHartsRunWhenGdbGoes) {
  Session gdb;
  gdb.arrive();
  gdb.ask("Z0,80000000,4");
  gdb.server.disconnected();
  EXPECT_EQ(gdb.target.detached, 1u);
  EXPECT_TRUE(gdb.target.points.empty());
  gdb.bytes(Session::frame("g"));
  EXPECT_EQ(gdb.sent, "");
  gdb.server.disconnected();
  EXPECT_EQ(gdb.target.detached, 1u);
  // It goes while its machine is being stopped: the stop comes when nobody waits for it.
  gdb.server.connected();
  gdb.server.disconnected();
  gdb.stop({GdbStop::interrupted, 0});
  EXPECT_TRUE(gdb.target.running);
  EXPECT_EQ(gdb.sent, "");
}

TEST(GdbSession, Detaches) {
  Session gdb;
  gdb.arrive();
  gdb.ask("Z0,80000000,4");
  EXPECT_EQ(gdb.ask("D;1"), "OK");
  EXPECT_EQ(gdb.target.detached, 1u);
  EXPECT_TRUE(gdb.target.points.empty());
  EXPECT_FALSE(gdb.server.finished());
  // The machine runs: nothing of it is touched.
  for (const char* packet : {"g", "p0", "m0,1", "M0,1:00", "c", "vCont;c", "Z0,0,4", "T1", "qRcmd,41", "vKill;1"})
    EXPECT_EQ(gdb.ask(packet), "E01") << packet;
  EXPECT_EQ(gdb.ask("?"), "W00");
  EXPECT_EQ(gdb.ask("qfThreadInfo"), "l");
  gdb.bytes("\3");
  EXPECT_EQ(gdb.ask("R00"), "(none)");
  EXPECT_EQ(gdb.target.restarted, 0u);
  EXPECT_EQ(gdb.ask("vRun;"), "E01");
  EXPECT_EQ(gdb.target.misused, 0u);
  // And comes back.
  EXPECT_EQ(gdb.ask("vAttach;1"), "(none)");
  EXPECT_EQ(gdb.target.interrupts, 2u);
  gdb.stop({GdbStop::interrupted, 0});
  EXPECT_EQ(gdb.answer(), kAtAttach);
  EXPECT_EQ(gdb.ask("vAttach;1"), "E01");
}

TEST(GdbSession, Kills) {
  for (const char* packet : {"k", "vKill;a410"}) {
    Session gdb;
    gdb.arrive();
    EXPECT_EQ(gdb.ask(packet), packet[0] == 'k' ? "(none)" : "OK");
    EXPECT_EQ(gdb.target.killed, 1u);
    EXPECT_TRUE(gdb.server.finished());
    EXPECT_EQ(gdb.ask("k"), "(none)");
    EXPECT_EQ(gdb.ask("vKill;1"), "E01");
    EXPECT_EQ(gdb.ask("vRun;"), "E01");
    EXPECT_EQ(gdb.target.killed, 1u);
    gdb.server.disconnected();
    EXPECT_EQ(gdb.target.detached, 0u);  // it does not run on
    gdb.server.connected();
    EXPECT_EQ(gdb.target.interrupts, 1u);  // and cannot stop
    gdb.ask("QStartNoAckMode");
    EXPECT_EQ(gdb.ask("?"), "W00");
    EXPECT_EQ(gdb.ask("g"), "E01");
    EXPECT_EQ(gdb.target.restarted, 0u);
  }
}

TEST(GdbSession, KillsWhenAGdbGoesThatCouldHaveRestarted) {
  Session gdb;
  gdb.arrive();
  EXPECT_EQ(gdb.ask("!"), "OK");
  gdb.ask("Z0,80000000,4");
  EXPECT_EQ(gdb.ask("vKill;a410"), "OK");
  EXPECT_FALSE(gdb.server.finished());
  EXPECT_EQ(gdb.ask("g"), "E01");
  EXPECT_EQ(gdb.ask("?"), "W00");
  EXPECT_EQ(gdb.ask("vRun;2f62696e;41"), "E16");
  gdb.target.restart_fails = true;
  EXPECT_EQ(gdb.ask("vRun;"), "E01");
  EXPECT_EQ(gdb.ask("?"), "W00");
  gdb.target.restart_fails = false;
  EXPECT_EQ(gdb.ask("vRun;"), kAtAttach);
  EXPECT_EQ(gdb.ask("Z0,80000000,4"), "OK");
  EXPECT_EQ(gdb.target.points.size(), 1u);  // the restart has taken the one of before
  EXPECT_EQ(gdb.ask("k"), "(none)");
  EXPECT_FALSE(gdb.server.finished());
  EXPECT_EQ(gdb.ask("R00"), "(none)");
  EXPECT_EQ(gdb.ask("?"), kAtAttach);
  EXPECT_EQ(gdb.target.restarted, 3u);
  EXPECT_EQ(gdb.target.killed, 0u);
  gdb.ask("k");
  gdb.server.disconnected();
  gdb.server.disconnected();
  EXPECT_EQ(gdb.target.killed, 1u);
  EXPECT_EQ(gdb.target.detached, 0u);
  EXPECT_EQ(gdb.target.misused, 0u);
}

TEST(GdbSession, TellsThatTheMachineIsOff) {
  Session gdb;
  gdb.arrive();
  gdb.ask("c");
  gdb.stop({GdbStop::exited, 0, 0, 3});
  EXPECT_EQ(gdb.answer(), "W03");
  EXPECT_EQ(gdb.ask("?"), "W03");
  EXPECT_EQ(gdb.ask("c"), "W03");
  EXPECT_EQ(gdb.ask("qfThreadInfo"), "l");
  EXPECT_EQ(gdb.ask("p20"), hex64(0x8000'0000));  // can be looked at
  EXPECT_EQ(gdb.ask("Z0,80000000,4"), "OK");
  gdb.server.disconnected();
  gdb.server.connected();
  EXPECT_EQ(gdb.target.interrupts, 1u);
  EXPECT_TRUE(gdb.target.points.empty());
  EXPECT_EQ(gdb.target.detached, 0u);
  gdb.ask("QStartNoAckMode");
  EXPECT_EQ(gdb.ask("?"), "W03");
  EXPECT_EQ(gdb.ask("R"), "(none)");
  EXPECT_EQ(gdb.ask("vCont;c"), "(none)");
  gdb.stop({GdbStop::terminated, 0, 0, 6});
  EXPECT_EQ(gdb.answer(), "X06");
}

TEST(GdbSession, TellsThatTheMachineWentOffWithoutGdb) {
  Session gdb;
  gdb.stop({GdbStop::exited, 0, 0, 0});
  gdb.server.connected();
  gdb.ask("QStartNoAckMode");
  EXPECT_EQ(gdb.ask("?"), "W00");
  EXPECT_EQ(gdb.target.interrupts, 0u);
  // While it arrives, and while it looks.
  Session arriving;
  arriving.server.connected();
  arriving.bytes("$?#3f");
  arriving.stop({GdbStop::exited, 0, 0, 1});
  EXPECT_EQ(arriving.sent, "+$W01#b8");
  Session looking;
  looking.arrive();
  looking.stop({GdbStop::exited, 0, 0, 1});
  EXPECT_EQ(looking.answer(), "(none)");
  EXPECT_EQ(looking.ask("c"), "W01");
}

TEST(GdbStops, SaysWhy) {
  Session gdb;
  gdb.arrive();
  const auto run_until = [&gdb](const GdbStop& stop) {
    EXPECT_EQ(gdb.ask("vCont;c"), "(none)");
    gdb.stop(stop);
    return head(gdb.answer());
  };
  // Before gdb has said that it understands more.
  EXPECT_EQ(run_until({GdbStop::breakpoint, 1}), "T05thread:2;");
  EXPECT_EQ(run_until({GdbStop::hardware_breakpoint, 1}), "T05thread:2;");
  gdb.ask("qSupported:swbreak+;hwbreak+");
  EXPECT_EQ(run_until({GdbStop::breakpoint, 1}), "T05swbreak:;thread:2;");
  EXPECT_EQ(run_until({GdbStop::hardware_breakpoint, 0}), "T05hwbreak:;thread:1;");
  EXPECT_EQ(run_until({GdbStop::watch_write, 0, 0xffffffff80001234}), "T05watch:ffffffff80001234;thread:1;");
  EXPECT_EQ(run_until({GdbStop::watch_read, 0, 8}), "T05rwatch:8;thread:1;");
  EXPECT_EQ(run_until({GdbStop::watch_access, 1, 8}), "T05awatch:8;thread:2;");
  EXPECT_EQ(run_until({GdbStop::step, 1}), "T05thread:2;");
  EXPECT_EQ(run_until({GdbStop::interrupted, 0}), "T02thread:1;");
  EXPECT_EQ(run_until({GdbStop::interrupted, 99}), "T02thread:1;");  // there is no such hart
  EXPECT_EQ(gdb.ask("qC"), "QC1");
}

TEST(GdbStops, GivesTheStoppedHartsRegisters) {
  Session gdb;
  gdb.arrive();
  gdb.ask("c");
  gdb.target.harts_[1].pc = 0x1234;
  gdb.target.harts_[1].x[2] = 0x5678;
  gdb.target.harts_[1].x[8] = 0x9abc;
  gdb.stop({GdbStop::step, 1});
  EXPECT_EQ(gdb.answer(), "T05thread:2;20:" + hex64(0x1234) + ";02:" + hex64(0x5678) + ";08:" + hex64(0x9abc) + ";");
  // It is the one that is looked at.
  EXPECT_EQ(gdb.ask("p20"), hex64(0x1234));
  EXPECT_EQ(gdb.ask("qC"), "QC2");
}

TEST(GdbRunning, TakesOnlyInterrupts) {
  Session gdb;
  gdb.arrive();
  EXPECT_EQ(gdb.ask("c"), "(none)");
  for (const char* packet : {"g", "?", "qSupported", "D", "k", "c", "vCont;s:1"}) EXPECT_EQ(gdb.ask(packet), "(none)");
  EXPECT_EQ(gdb.target.resumed, 1u);
  EXPECT_EQ(gdb.target.killed, 0u);
  EXPECT_EQ(gdb.target.interrupts, 1u);
  gdb.bytes("\3");
  EXPECT_EQ(gdb.target.interrupts, 2u);
  gdb.stop({GdbStop::interrupted, 0});
  EXPECT_EQ(head(gdb.answer()), "T02thread:1;");
  gdb.stop({GdbStop::interrupted, 0});  // once is enough
  EXPECT_EQ(gdb.answer(), "(none)");
  EXPECT_EQ(gdb.target.misused, 0u);
}

TEST(GdbRunning, KeepsAnInterruptThatComesTooLate) {
  Session gdb;
  gdb.arrive();
  gdb.bytes("\3\3");
  EXPECT_EQ(gdb.target.interrupts, 1u);
  gdb.ask("c");
  EXPECT_EQ(gdb.target.interrupts, 2u);
  gdb.stop({GdbStop::interrupted, 0});
  gdb.ask("c");
  EXPECT_EQ(gdb.target.interrupts, 2u);
}

TEST(GdbRunning, LetsEachHartDoItsOwn) {
  constexpr GdbResume stay{}, run{GdbResume::run}, step{GdbResume::step};
  const struct {
    const char* packet;
    std::vector<GdbResume> plan;
  } cases[] = {
      {"vCont;c", {run, run, run}},
      {"vCont;s:2;c", {run, step, run}},
      {"vCont;c;s:2", {run, run, run}},  // the first that fits counts
      {"vCont;s:1", {step, stay, stay}},
      {"vCont;S05:3;C0a:1", {run, stay, step}},
      {"vCont;t:2;c:-1", {run, stay, run}},
      {"vCont;s:0", {step, stay, stay}},
      {"vCont;s:p1.2;c:p1.-1", {run, step, run}},
      {"vCont;c:p1", {run, run, run}},
      {"vCont;r1000,1010:3;c", {run, run, {GdbResume::step_range, 0x1000, 0x1010}}},
      {"c", {run, run, run}},
      {"C05", {run, run, run}},
      {"s", {step, run, run}},
      {"S05", {step, run, run}},
  };
  for (const auto& each : cases) {
    Session gdb(3);
    gdb.arrive();
    EXPECT_EQ(gdb.ask(each.packet), "(none)") << each.packet;
    EXPECT_EQ(gdb.target.plan, each.plan) << each.packet;
  }
}

TEST(GdbRunning, FollowsHAndAnAddressInOldPackets) {
  constexpr GdbResume stay{}, run{GdbResume::run}, step{GdbResume::step};
  Session gdb(3);
  gdb.arrive();
  EXPECT_EQ(gdb.ask("Hc2"), "OK");
  EXPECT_EQ(gdb.ask("s80000100"), "(none)");
  EXPECT_EQ(gdb.target.plan, (std::vector<GdbResume>{stay, step, stay}));
  EXPECT_EQ(gdb.target.harts_[1].pc, 0x8000'0100u);
  gdb.stop({GdbStop::step, 1});
  gdb.ask("C05;80000200");
  EXPECT_EQ(gdb.target.plan, (std::vector<GdbResume>{stay, run, stay}));
  EXPECT_EQ(gdb.target.harts_[1].pc, 0x8000'0200u);
  gdb.stop({GdbStop::step, 1});
  EXPECT_EQ(gdb.ask("Hc-1"), "OK");
  EXPECT_EQ(gdb.ask("Hg3"), "OK");
  gdb.ask("s");
  EXPECT_EQ(gdb.target.plan, (std::vector<GdbResume>{run, run, step}));
}

TEST(GdbRunning, RefusesWhatItDoesNotUnderstand) {
  Session gdb;
  gdb.arrive();
  for (const char* packet :
       {"vCont;",  "vCont;x",  "vCont;c:3", "vCont;c:",  "vCont;c:1x",   "vCont;c;;s", "vCont;C",    "vCont;Cx",
        "vCont;r", "vCont;r1", "vCont;r1,", "vCont;t",   "vCont;t:1",    "vCont;cc",   "cx",         "C",
        "C;",      "C05;",     "S05;10x",   "c80000001", "vCont;c:p2.1", "vCont;c:-2", "vCont;c:p1."})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
  EXPECT_EQ(gdb.ask("vCont"), "");
  EXPECT_EQ(gdb.target.resumed, 0u);
}

// A target that has stopped before resume() returns.
TEST(GdbRunning, TakesAStopAtOnce) {
  struct Instant final : FakeTarget {
    Instant() : FakeTarget(1) {}
    void resume(const std::vector<GdbResume>& plan) override {
      FakeTarget::resume(plan);
      running = false;
      server->stopped({GdbStop::step, 0});
    }
    void interrupt() override {
      running = false;
      server->stopped({GdbStop::interrupted, 0});
    }
    GdbServer* server = nullptr;
  } target;
  struct Output final : GdbOutput {
    void send(std::string_view bytes) override { sent += bytes; }
    std::string sent;
  } output;
  GdbServer server(target, output);
  target.server = &server;
  server.connected();
  const std::string_view packets = "$vCont;s:1#23\3$qC#b4";
  server.receive({reinterpret_cast<const u8*>(packets.data()), packets.size()});
  EXPECT_EQ(output.sent.substr(0, 16), "+$T05thread:1;20");
  EXPECT_TRUE(output.sent.ends_with("+$QC1#c5"));
}

TEST(GdbThreads, AreHarts) {
  Session gdb(3);
  gdb.arrive();
  EXPECT_EQ(gdb.ask("qfThreadInfo"), "m1,2,3");
  EXPECT_EQ(gdb.ask("qsThreadInfo"), "l");
  EXPECT_EQ(gdb.ask("qC"), "QC1");
  EXPECT_EQ(gdb.ask("Hg2"), "OK");
  EXPECT_EQ(gdb.ask("qC"), "QC2");
  EXPECT_EQ(gdb.ask("Hg0"), "OK");  // any: it stays
  EXPECT_EQ(gdb.ask("Hg-1"), "OK");
  EXPECT_EQ(gdb.ask("qC"), "QC2");
  EXPECT_EQ(gdb.ask("Hgp1.3"), "OK");
  EXPECT_EQ(gdb.ask("qC"), "QC3");
  for (const char* packet : {"Hg4", "Hg", "Hx1", "H", "Hg1x", "Hgp2.1", "T0", "T4", "T", "T-1", "T1x",
                             "qThreadExtraInfo,4", "qThreadExtraInfo,", "Hg10000000000000001"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
  EXPECT_EQ(gdb.ask("T3"), "OK");
  EXPECT_EQ(gdb.ask("qThreadExtraInfo,1"), hex("M-mode"));
  gdb.target.harts_[1].priv = 1;
  EXPECT_EQ(gdb.ask("qXfer:threads:read::0,1000"),
            "l<?xml version=\"1.0\"?>\n<threads>\n<thread id=\"1\" core=\"0\" name=\"hart 0\">M-mode</thread>\n"
            "<thread id=\"2\" core=\"1\" name=\"hart 1\">&lt;S &amp; &quot;U&quot;&gt;</thread>\n"
            "<thread id=\"3\" core=\"2\" name=\"hart 2\">M-mode</thread>\n</threads>\n");
}

TEST(GdbRegisters, AreReadAndWritten) {
  Session gdb;
  gdb.arrive();
  auto& hart = gdb.target.harts_[1];
  gdb.ask("Hg2");
  std::string all;
  for (u32 i = 0; i < 32; i++) all += hex64(hart.x[i] = i == 0 ? 0 : 0x0102'0304'0506'0700 + i);
  all += hex64(hart.pc = 0x8000'1000);
  EXPECT_EQ(gdb.ask("g"), all);
  EXPECT_EQ(gdb.ask("p1"), hex64(0x0102'0304'0506'0701));
  EXPECT_EQ(gdb.ask("p20"), hex64(0x8000'1000));
  EXPECT_EQ(gdb.ask("P20=0010008000000000"), "OK");
  EXPECT_EQ(gdb.ask("P21=88776655443322f1"), "OK");
  EXPECT_EQ(hart.f[0], 0xf122'3344'5566'7788u);
  EXPECT_EQ(gdb.ask("p21"), "88776655443322f1");
  EXPECT_EQ(gdb.ask("p40"), hex64(0));
  EXPECT_EQ(gdb.ask("P1c1=efcdab0000000000"), "OK");  // satp
  EXPECT_EQ(hart.csrs[0x180], 0xab'cdefu);
  EXPECT_EQ(gdb.target.harts_[0].csrs[0x180], 0x22u);
  EXPECT_EQ(gdb.ask("p1041"), hex64(3));  // priv
  EXPECT_EQ(gdb.ask("P1041=0100000000000000"), "OK");
  EXPECT_EQ(hart.priv, 1u);
  EXPECT_EQ(gdb.ask("p4b"), "xxxxxxxxxxxxxxxx");  // a CSR that is not there
  EXPECT_EQ(gdb.ask("P4b=0100000000000000"), "E05");
  EXPECT_EQ(gdb.ask("P0=0100000000000000"), "E05");
  for (const char* packet : {"p1042", "p", "px", "p1x", "p10000000000000000", "P1042=0000000000000000", "P1", "P1=",
                             "P1=01", "P1=01000000000000000", "P1=0100000000000000aa", "P1=010000000000000g", "g1"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
}

TEST(GdbRegisters, AreWrittenTogetherAndInPart) {
  Session gdb;
  gdb.arrive();
  auto& hart = gdb.target.harts_[0];
  hart.x[2] = 7;
  EXPECT_EQ(gdb.ask("G" + hex64(99) + hex64(11) + "xxxxxxxxxxxxxxxx" + hex64(33)), "OK");
  EXPECT_EQ(hart.x[0], 0u);
  EXPECT_EQ(hart.x[1], 11u);
  EXPECT_EQ(hart.x[2], 7u);
  EXPECT_EQ(hart.x[3], 33u);
  std::string all;
  for (u64 i = 0; i < 33; i++) all += hex64(0x100 + 2 * i);
  EXPECT_EQ(gdb.ask("G" + all), "OK");
  EXPECT_EQ(hart.x[31], 0x13eu);
  EXPECT_EQ(hart.pc, 0x140u);
  EXPECT_EQ(gdb.ask("G" + all + hex64(0)), "E16");
  EXPECT_EQ(gdb.ask("G0"), "E16");
  EXPECT_EQ(gdb.ask("Gxxxxxxxx00000000"), "E16");
  all.replace(all.size() - 16, 16, hex64(1));
  EXPECT_EQ(gdb.ask("G" + all), "E05");  // an odd pc
}

TEST(GdbMemory, IsRead) {
  Session gdb;
  gdb.arrive();
  gdb.ask("qSupported");
  auto& memory = gdb.target.memory;
  for (size_t i = 0; i < memory.size(); i++) memory[i] = static_cast<u8>(i * 7);
  EXPECT_EQ(gdb.ask("mffffffff80000001,4"), "070e151c");
  EXPECT_EQ(gdb.ask("mffffffff8000fffe,4"), "f2f9");  // as much as there is
  EXPECT_EQ(gdb.ask("mffffffff80010000,4"), "E0e");
  EXPECT_EQ(gdb.ask("mfffffffffffffffe,10"), "E0e");
  EXPECT_EQ(gdb.target.largest_read, 4u);
  EXPECT_EQ(gdb.ask("mffffffff80000000,ffffffffffffffff").size(), kGdbPacketBytes);  // hexadecimal, half as many bytes
  EXPECT_EQ(gdb.ask("xffffffff80000005,2"), "b}\3}\n");                              // 0x23, 0x2a
  EXPECT_EQ(gdb.ask("xffffffff80000000,0"), "b");
  EXPECT_EQ(gdb.ask("x0,1"), "E0e");
  EXPECT_LE(gdb.ask("xffffffff80000000,ffffffffffffffff").size(), kGdbPacketBytes);
  std::fill(memory.begin(), memory.end(), u8{'*'});
  EXPECT_EQ(gdb.ask("xffffffff80000000,10000").size(), kGdbPacketBytes - 1);  // 'b' and an even number
  for (const char* packet :
       {"m", "m1", "m1,", "m1,x", "m1,1x", "mffffffff80000000,0", "m,1", "m11111111111111111,1", "x1"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
}

TEST(GdbMemory, IsWritten) {
  Session gdb;
  gdb.arrive();
  auto& memory = gdb.target.memory;
  EXPECT_EQ(gdb.ask("Mffffffff80000010,3:0102fE"), "OK");
  EXPECT_EQ(memory[0x12], 0xfe);
  EXPECT_EQ(gdb.ask("Xffffffff80000010,0:"), "OK");  // gdb looks whether X is known
  EXPECT_EQ(gdb.ask(std::string("Xffffffff80000010,4:\0}\3:\3", 25)), "OK");
  EXPECT_EQ(std::vector<u8>(memory.begin() + 0x10, memory.begin() + 0x15), (std::vector<u8>{0, '#', ':', 3, 0}));
  EXPECT_EQ(gdb.ask("Mffffffff8000ffff,2:0000"), "E0e");
  for (const char* packet : {"M", "M1", "M1,1", "M1,1:", "M1,1:0", "M1,1:0g", "M1,1:0000", "M1,2:00", "X1,2:a",
                             "X1,2:abc", "Mffffffffffffffff,2:0000", "M1,ffffffffffffffff:00"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
}

TEST(GdbMemory, IsPhysicalIfWanted) {
  Session gdb;
  gdb.arrive();
  gdb.target.memory[0] = 0x5a;
  EXPECT_EQ(gdb.ask("qqemu.Supported"), "PhyMemMode");
  EXPECT_EQ(gdb.ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(gdb.ask("m80000000,1"), "E0e");
  EXPECT_EQ(gdb.ask("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(gdb.ask("qqemu.PhyMemMode"), "1");
  EXPECT_EQ(gdb.ask("m80000000,1"), "5a");
  EXPECT_EQ(gdb.ask("M80000000,1:a5"), "OK");
  EXPECT_EQ(gdb.ask("Qqemu.PhyMemMode:2"), "E16");
  EXPECT_EQ(gdb.ask("Qqemu.PhyMemMode:0"), "OK");
  EXPECT_EQ(gdb.ask("mffffffff80000000,1"), "a5");
  gdb.ask("qRcmd," + hex("physical on"));
  EXPECT_EQ(gdb.ask("m80000000,1"), "a5");
  EXPECT_EQ(gdb.ask("qRcmd," + hex("physical")),
            "raw: " + Session::frame("O" + hex("gdb reads and writes physical memory\n")) + "$OK#9a");
  gdb.ask("qRcmd," + hex("physical off"));
  EXPECT_EQ(gdb.ask("m80000000,1"), "E0e");
}

TEST(GdbPoints, AreInsertedAndRemovedOnce) {
  Session gdb;
  gdb.arrive();
  EXPECT_EQ(gdb.ask("Z0,80000000,4"), "OK");
  EXPECT_EQ(gdb.ask("Z0,80000000,4"), "OK");
  EXPECT_EQ(gdb.ask("Z1,80000000,2"), "OK");
  EXPECT_EQ(gdb.ask("Z2,80000101,1000"), "OK");
  EXPECT_EQ(gdb.ask("Z4,80000101,1"), "OK");
  EXPECT_EQ(gdb.ask("Z3,80000101,1"), "E01");  // the target's answer
  EXPECT_EQ(gdb.target.points, (std::vector<GdbPoint>{{GdbPoint::software_breakpoint, 0x8000'0000, 4},
                                                      {GdbPoint::hardware_breakpoint, 0x8000'0000, 2},
                                                      {GdbPoint::watch_write, 0x8000'0101, 0x1000},
                                                      {GdbPoint::watch_access, 0x8000'0101, 1}}));
  EXPECT_EQ(gdb.ask("z2,80000101,1000"), "OK");
  EXPECT_EQ(gdb.ask("z2,80000101,1000"), "OK");
  EXPECT_EQ(gdb.ask("z0,80000000,4"), "OK");
  EXPECT_EQ(gdb.target.points.size(), 2u);
  EXPECT_EQ(gdb.ask("Z5,0,4"), "");
  for (const char* packet : {"Z", "Z0", "Z0,", "Z0,0", "Z0,0,", "Z0,0,3", "Z0,0,0", "Z2,0,0", "Z2,ffffffffffffffff,2",
                             "Z0,0,4;X1,0", "z0,0", "Zx,0,4"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
  EXPECT_EQ(gdb.target.misused, 0u);
}

TEST(GdbPoints, AreNotEndless) {
  Session gdb;
  gdb.arrive();
  for (u64 i = 0; i < kGdbPoints; i++)
    ASSERT_EQ(gdb.ask(format("Z0,%llx,4", static_cast<unsigned long long>(4 * i))), "OK");
  EXPECT_EQ(gdb.ask("Z0,800000000,4"), "E1c");
  EXPECT_EQ(gdb.ask("z0,0,4"), "OK");
  EXPECT_EQ(gdb.ask("Z0,800000000,4"), "OK");
}

TEST(GdbMonitor, RunsCommandsOfTheTarget) {
  Session gdb;
  gdb.arrive();
  gdb.ask("Hg2");
  const std::string ok = "$OK#9a";
  EXPECT_EQ(gdb.ask("qRcmd," + hex("walk 10")), "raw: " + Session::frame("O" + hex("hart 1: walk 10\n")) + ok);
  EXPECT_EQ(gdb.ask("qRcmd," + hex("quiet")), "OK");
  EXPECT_EQ(gdb.ask("qRcmd," + hex("fail")), "raw: " + Session::frame("O" + hex("it has failed\n")) + "$E01#a6");
  EXPECT_NE(gdb.ask("qRcmd," + hex("help")).find(hex("physical [on|off]")), std::string::npos);
  EXPECT_EQ(gdb.ask("qRcmd,4"), "E16");
  EXPECT_EQ(gdb.ask("qRcmd,4x"), "E16");
  gdb.largest_send = 0;
  const size_t all = gdb.ask("qRcmd," + hex("long")).size();
  EXPECT_GT(all, 200'000u);
  EXPECT_LE(gdb.largest_send, kGdbPacketBytes + 4);
  gdb.ask("qSupported:error-message+");
  EXPECT_EQ(gdb.ask("qRcmd," + hex("fail")), "E.it has failed");
}

TEST(GdbDocuments, AreReadInPieces) {
  Session gdb;
  gdb.arrive();
  const std::string all = gdb_target_xml(gdb.target);
  for (const u32 length : {u32{1}, u32{100}, u32{0xfff}}) {
    std::string read;
    for (;;) {
      const std::string piece =
          gdb.ask(format("qXfer:features:read:target.xml:%x,%x", static_cast<unsigned>(read.size()), length));
      ASSERT_TRUE(piece[0] == 'm' || piece[0] == 'l') << piece;
      read += piece.substr(1);
      if (piece[0] == 'l') break;
    }
    EXPECT_EQ(read, all);
  }
  EXPECT_EQ(gdb.ask(format("qXfer:features:read:target.xml:%x,1", static_cast<unsigned>(all.size()))), "l");
  EXPECT_EQ(gdb.ask(format("qXfer:features:read:target.xml:%x,1", static_cast<unsigned>(all.size() + 1))), "E16");
  EXPECT_EQ(gdb.ask("qXfer:features:read:target.xml:0,ffffffffffffffff"), "l" + all);
  EXPECT_EQ(gdb.ask("qXfer:features:read:target.xml:ffffffffffffffff,100"), "E16");
  EXPECT_EQ(gdb.ask("qXfer:features:read:target.xml:100000000,100000000"), "E16");  // more than 32 bits
  EXPECT_EQ(gdb.ask("qXfer:features:read:other.xml:0,1"), "E00");
  EXPECT_EQ(gdb.ask("qXfer:features:write:target.xml:0:41"), "");
  EXPECT_EQ(gdb.ask("qXfer:auxv:read::0,1"), "");
  for (const char* packet :
       {"qXfer:features:read:target.xml:0", "qXfer:features:read:target.xml:0,", "qXfer:threads:read::0,0",
        "qXfer:features:read:target.xml", "qXfer:features:read:", "qXfer:memory-map:read::x,1"})
    EXPECT_EQ(gdb.ask(packet), "E16") << packet;
  EXPECT_EQ(gdb.ask("qXfer:memory-map:read::0,1000"), "l" + gdb_memory_map_xml());
}

TEST(GdbDocuments, DescribeTheRegistersThatThereAre) {
  FakeTarget target(1);
  const std::string xml = gdb_target_xml(target);
  for (const char* part :
       {"<architecture>riscv:rv64</architecture>", "<feature name=\"org.gnu.gdb.riscv.cpu\">\n<reg name=\"zero\" ",
        "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\" regnum=\"2\"/>",
        "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\" regnum=\"32\"/>\n</feature>",
        "<reg name=\"ft0\" bitsize=\"64\" type=\"riscv_double\" regnum=\"33\"/>",
        "<reg name=\"fcsr\" bitsize=\"64\" type=\"int\" regnum=\"68\"/>\n</feature>",
        "<feature name=\"org.gnu.gdb.riscv.csr\">\n<reg name=\"sstatus\" bitsize=\"64\" type=\"int\" regnum=\"321\"/>",
        "<reg name=\"satp\" bitsize=\"64\" type=\"int\" regnum=\"449\"/>",
        "<reg name=\"mstatus\" bitsize=\"64\" type=\"int\" regnum=\"833\"/>\n</feature>",
        "<reg name=\"priv\" bitsize=\"64\" type=\"int\" regnum=\"4161\"/>"})
    EXPECT_NE(xml.find(part), std::string::npos) << part;
  EXPECT_EQ(xml.find("mie"), std::string::npos);
  // Each number names the register that the packets take it for.
  EXPECT_EQ(gdb_register(31), (GdbRegister{GdbRegister::x, 31}));
  EXPECT_EQ(gdb_register(32), (GdbRegister{GdbRegister::pc, 0}));
  EXPECT_EQ(gdb_register(64), (GdbRegister{GdbRegister::f, 31}));
  EXPECT_EQ(gdb_register(449), (GdbRegister{GdbRegister::csr, 0x180}));
  EXPECT_EQ(gdb_register(4160), (GdbRegister{GdbRegister::csr, 0xfff}));
  EXPECT_EQ(gdb_register(4161), (GdbRegister{GdbRegister::privilege, 0}));
}

TEST(GdbDocuments, KeepTextFromEndingAnElement) {
  EXPECT_EQ(xml_text("<a b=\"&\">\n\xff"), "&lt;a b=&quot;&amp;&quot;&gt;??");
}

}  // namespace
}  // namespace hartwood::test
