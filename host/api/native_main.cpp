// SPDX-License-Identifier: Apache-2.0
// hartwood: the machine in a terminal. Harts run on threads of their own (or all on one under --deterministic), the
// terminal is the console, the exit code is the guest's.
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/native_agent.h"
#include "api/native_debugger.h"
#include "debug/trace.h"
#include "devices/virtio/block_backend.h"
#include "machine/deterministic.h"
#include "machine/machine.h"
#include "machine/snapshot_file_native.h"
#include "machine/threads_native.h"

namespace hartwood {
namespace {

constexpr const char* kUsage =
    "usage: hartwood --kernel FILE [options]\n"
    "       hartwood --restore FILE [options]\n"
    "  --kernel FILE       Linux Image, vmlinux or a bare-metal ELF\n"
    "  --initrd FILE       initial RAM disk\n"
    "  --append TEXT       kernel command line\n"
    "  --bios WHAT         builtin (default), none (the kernel starts in M-mode), or a firmware file such as\n"
    "                      OpenSBI's fw_dynamic.bin\n"
    "  --dtb FILE          device tree instead of the machine's own\n"
    "  --harts N           1 to 8 (default 1)\n"
    "  --memory SIZE       64M to 2G, a power of two (default 512M)\n"
    "  --disk FILE[,ro]    a virtio disk; up to four\n"
    "  --console KIND      virtio (default), uart or sbi\n"
    "  --paging MODE       largest satp mode: sv39, sv48 or sv57 (default)\n"
    "  --zacas             the Zacas extension\n"
    "  --deterministic     one thread, virtual time; the same --seed gives the same execution\n"
    "  --seed N            seed of --deterministic\n"
    "  --max-instructions N  stop after N instructions in all (exit code 124)\n"
    "  --trace FILE        a line for each instruction (one hart or --deterministic); '-' is standard error\n"
    "  --trace-limit N     stop tracing after N instructions\n"
    "  --snapshot FILE     Ctrl-A s, or the signal USR1, saves the machine to FILE and goes on\n"
    "  --restore FILE      goes on with a saved machine; several times: a snapshot and increments to it\n"
    "  --increment         --snapshot saves only what has changed since the last one (FILE.1, FILE.2 ...)\n"
    "  --wall-clock HOW    what the guest's clock shows after a pause: follow (default), the host's time, or stop, the\n"
    "                      time when it was paused\n"
    "  --agent SOCKET      make a Unix socket whose lines go to the guest's agent, and that gets its answers: ping,\n"
    "                      clock SECONDS.NANOSECONDS, prepare. For the machine itself: !renew (another generation,\n"
    "                      see vmgenid) and !pages (pages of RAM that are not zero, and all)\n"
    "  --gdb WHERE         listen for gdb: :PORT on this computer, or HOST:PORT\n"
    "  --gdb-wait          the machine waits until gdb lets it run\n"
    "  --stats             print instructions, time and the RAM hash at the end\n"
    "Ctrl-A x ends the machine, Ctrl-A Ctrl-A sends Ctrl-A.\n";

// A file mapped for reading.
class File {
 public:
  static Result<File> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errorf("cannot open %s: %s", path.c_str(), std::strerror(errno));
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd);
      return errorf("%s is not a regular file", path.c_str());
    }
    File file;
    file.size_ = static_cast<size_t>(info.st_size);
    if (file.size_ != 0) {
      void* data = mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (data == MAP_FAILED) {
        ::close(fd);
        return errorf("cannot read %s: %s", path.c_str(), std::strerror(errno));
      }
      file.data_ = static_cast<const u8*>(data);
    }
    ::close(fd);
    return file;
  }
  std::span<const u8> bytes() const { return {data_, size_}; }

 private:
  const u8* data_ = nullptr;  // mapped until the program ends
  size_t size_ = 0;
};

class StandardOutput final : public ByteSink {
 public:
  u32 write(std::span<const u8> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::write(STDOUT_FILENO, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // nobody reads any more: the output is lost, the guest goes on
      done += static_cast<size_t>(n);
    }
    return static_cast<u32>(bytes.size());
  }
};

class NativePlatform final : public Platform {
 public:
  NativePlatform(bool deterministic, u64 seed)
      : deterministic_(deterministic), seeded_(seed), log_(&print, nullptr, LogLevel::warning) {}
  u64 monotonic_ns() override { return now(CLOCK_MONOTONIC); }
  u64 unix_ns() override { return deterministic_ ? u64{1'767'225'600} * 1'000'000'000 : now(CLOCK_REALTIME); }
  EntropySource& entropy() override {
    if (deterministic_) return seeded_;
    return native_;
  }
  SeededEntropy* seeded_entropy() override { return deterministic_ ? &seeded_ : nullptr; }
  ByteSink& console_output() override { return output_; }
  const Log& log() override { return log_; }

 private:
  static u64 now(clockid_t clock) {
    timespec t;
    clock_gettime(clock, &t);
    return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  }
  static void print(void*, LogLevel, const char* text) { std::fprintf(stderr, "hartwood: %s\n", text); }
  bool deterministic_;
  NativeEntropy native_;
  SeededEntropy seeded_;
  StandardOutput output_;
  Log log_;
};

struct Options {
  MachineConfig config;
  std::string kernel, initrd, bios = "builtin", dtb, trace, agent, gdb;
  bool gdb_wait = false;
  u64 max_instructions = 0, trace_limit = 0;
  bool stats = false;
  std::string snapshot;
  std::vector<std::string> restore;
  bool increment = false;
  bool follow = true;
};

Result<u64> parse_number(const char* option, const char* text) {
  auto value = parse_seed(text);
  if (!value) return errorf("--%s: %s is not a number", option, text);
  return value;
}

Status parse_options(int argc, char** argv, Options& options) {
  enum Code {
    kernel = 256,
    initrd,
    append,
    bios,
    dtb,
    harts,
    memory,
    disk,
    console,
    paging,
    zacas,
    deterministic,
    seed,
    max_instructions,
    trace,
    trace_limit,
    agent,
    gdb,
    gdb_wait,
    stats,
    snapshot,
    restore,
    increment,
    wall_clock,
    help
  };
  static const option kOptions[] = {{"kernel", required_argument, nullptr, kernel},
                                    {"initrd", required_argument, nullptr, initrd},
                                    {"append", required_argument, nullptr, append},
                                    {"bios", required_argument, nullptr, bios},
                                    {"dtb", required_argument, nullptr, dtb},
                                    {"harts", required_argument, nullptr, harts},
                                    {"memory", required_argument, nullptr, memory},
                                    {"disk", required_argument, nullptr, disk},
                                    {"console", required_argument, nullptr, console},
                                    {"paging", required_argument, nullptr, paging},
                                    {"zacas", no_argument, nullptr, zacas},
                                    {"deterministic", no_argument, nullptr, deterministic},
                                    {"seed", required_argument, nullptr, seed},
                                    {"max-instructions", required_argument, nullptr, max_instructions},
                                    {"trace", required_argument, nullptr, trace},
                                    {"trace-limit", required_argument, nullptr, trace_limit},
                                    {"agent", required_argument, nullptr, agent},
                                    {"gdb", required_argument, nullptr, gdb},
                                    {"gdb-wait", no_argument, nullptr, gdb_wait},
                                    {"stats", no_argument, nullptr, stats},
                                    {"snapshot", required_argument, nullptr, snapshot},
                                    {"restore", required_argument, nullptr, restore},
                                    {"increment", no_argument, nullptr, increment},
                                    {"wall-clock", required_argument, nullptr, wall_clock},
                                    {"help", no_argument, nullptr, help},
                                    {nullptr, 0, nullptr, 0}};
  MachineConfig& config = options.config;
  const auto number = [](const char* name, u64& to) -> Status {
    auto value = parse_number(name, optarg);
    if (!value) return value.error();
    to = *value;
    return {};
  };
  for (int code; (code = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    Status status;
    const std::string text = optarg ? optarg : "";
    switch (code) {
      case kernel: options.kernel = text; break;
      case initrd: options.initrd = text; break;
      case append: config.append = text; break;
      case bios: options.bios = text; break;
      case dtb: options.dtb = text; break;
      case trace: options.trace = text; break;
      case agent: options.agent = text; break;
      case gdb: options.gdb = text; break;
      case gdb_wait: options.gdb_wait = true; break;
      case zacas: config.zacas = true; break;
      case deterministic: config.deterministic = true; break;
      case stats: options.stats = true; break;
      case snapshot: options.snapshot = text; break;
      case restore: options.restore.push_back(text); break;
      case increment: options.increment = true; break;
      case wall_clock:
        if (text != "follow" && text != "stop") return errorf("--wall-clock: %s is none of follow, stop", text.c_str());
        options.follow = text == "follow";
        break;
      case seed: status = number("seed", config.seed); break;
      case max_instructions: status = number("max-instructions", options.max_instructions); break;
      case trace_limit: status = number("trace-limit", options.trace_limit); break;
      case harts: {
        u64 count = 0;
        status = number("harts", count);
        if (status && (count < 1 || count > kMaxHarts)) status = errorf("--harts: choose 1 to %u", kMaxHarts);
        config.harts = static_cast<u32>(count);
        break;
      }
      case memory: {
        auto bytes = parse_memory_size(text);
        if (!bytes) return errorf("--memory: %s", bytes.message().c_str());
        config.memory_bytes = *bytes;
        break;
      }
      case disk: {
        DiskConfig entry;
        const bool read_only = text.size() > 3 && text.ends_with(",ro");
        entry.read_only = read_only;
        entry.source = read_only ? text.substr(0, text.size() - 3) : text;
        config.disks.push_back(entry);
        break;
      }
      case console:
        if (text == "virtio")
          config.console = ConsoleKind::virtio;
        else if (text == "uart")
          config.console = ConsoleKind::uart;
        else if (text == "sbi")
          config.console = ConsoleKind::sbi;
        else
          return errorf("--console: %s is none of virtio, uart, sbi", text.c_str());
        break;
      case paging:
        if (text == "sv39")
          config.va_bits = 39;
        else if (text == "sv48")
          config.va_bits = 48;
        else if (text == "sv57")
          config.va_bits = 57;
        else
          return errorf("--paging: %s is none of sv39, sv48, sv57", text.c_str());
        break;
      case help: std::fputs(kUsage, stdout); std::exit(0);
      default: return Error{"see hartwood --help"};
    }
    if (!status) return status;
  }
  if (optind < argc) return errorf("%s: not an option; see hartwood --help", argv[optind]);
  config.firmware = options.bios == "builtin" ? FirmwareKind::built_in
                    : options.bios == "none"  ? FirmwareKind::none
                                              : FirmwareKind::file;
  if (options.kernel.empty() && options.restore.empty() && config.firmware != FirmwareKind::file)
    return Error{"no --kernel given; see hartwood --help"};
  if (!options.trace.empty() && config.harts > 1 && !config.deterministic)
    return Error{"--trace needs one hart or --deterministic"};
  if (!options.gdb.empty() && config.deterministic)
    return Error{"--gdb does not go with --deterministic, where nothing comes from outside"};
  if (options.gdb_wait && options.gdb.empty()) return Error{"--gdb-wait needs --gdb"};
  if (!options.agent.empty() && config.deterministic)
    return Error{"--agent does not go with --deterministic, where nothing comes from outside"};
  return {};
}

// The terminal in raw mode while the guest owns it.
class RawTerminal {
 public:
  RawTerminal() {
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    cfmakeraw(&raw);
    raw.c_oflag = before_.c_oflag;
    active_ = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawTerminal() {
    if (active_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
  bool active_ = false;
};

// Saves the running machine, when it is asked to.
class Saver {
 public:
  Saver(Machine& machine, MachineThreads& threads, const Options& options)
      : machine_(machine), threads_(threads), options_(options) {}
  void save() {
    if (options_.snapshot.empty()) {
      std::fprintf(stderr, "hartwood: no --snapshot FILE to save to\r\n");
      return;
    }
    const bool increment = options_.increment && machine_.last_snapshot() != SnapshotId{};
    SnapshotOptions how;
    if (increment) how.parent = machine_.last_snapshot();
    const std::string path = increment ? options_.snapshot + format(".%u", ++increments_) : options_.snapshot;
    if (threads_.pause()) {
      const auto saved = save_snapshot(machine_, how, path);
      std::fprintf(stderr, "hartwood: %s\r\n", saved ? ("saved " + path).c_str() : saved.message().c_str());
    }
    machine_.thaw(options_.follow);
    threads_.resume();
    machine_.tell_agent_time(options_.follow);
  }

 private:
  Machine& machine_;
  MachineThreads& threads_;
  const Options& options_;
  u32 increments_ = 0;
};

// SIGUSR1 becomes a byte here.
int signal_pipe[2] = {-1, -1};
void on_signal(int) {
  const int kept = errno;
  if (write(signal_pipe[1], "", 1) < 0) errno = kept;
  errno = kept;
}

// Reads standard input until the machine ends. Ctrl-A is the escape character of a terminal only.
void feed_console(Machine& machine, Saver& saver, int wake_fd) {
  const bool terminal = isatty(STDIN_FILENO);
  bool escaped = false;
  const auto resize = [&] {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
      machine.console_resize(size.ws_col, size.ws_row);
    return size;
  };
  winsize last = resize();
  pollfd fds[3] = {{STDIN_FILENO, POLLIN, 0}, {wake_fd, POLLIN, 0}, {signal_pipe[0], POLLIN, 0}};
  std::vector<u8> pending;
  bool open = true;
  for (;;) {
    fds[0].fd = open && pending.empty() ? STDIN_FILENO : -1;
    // A changed window and a full input buffer are looked at again a few times a second.
    poll(fds, 3, pending.empty() ? (terminal ? 250 : -1) : 10);
    if (fds[1].revents != 0) return;
    if (u8 byte; fds[2].revents != 0 && read(signal_pipe[0], &byte, 1) == 1) saver.save();
    if (terminal) {
      winsize now{};
      if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) == 0 && (now.ws_col != last.ws_col || now.ws_row != last.ws_row))
        last = resize();
    }
    if (fds[0].fd >= 0 && (fds[0].revents & (POLLIN | POLLHUP))) {
      u8 bytes[4096];
      const ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
      if (n <= 0) {
        open = false;
        continue;
      }
      for (ssize_t i = 0; i < n; i++) {
        if (terminal && !escaped && bytes[i] == 1) {
          escaped = true;
        } else if (escaped && bytes[i] == 's') {
          escaped = false;
          saver.save();
        } else if (escaped && bytes[i] == 'x') {
          machine.power().end(kPowerOff, 0);
          return;
        } else {
          escaped = false;
          pending.push_back(bytes[i]);
        }
      }
    }
    if (!pending.empty()) {
      const u32 taken = machine.console_input(pending);
      pending.erase(pending.begin(), pending.begin() + taken);
    }
  }
}

constexpr int kExitLimit = 124;

// A machine that is ready to run, from files or from snapshots.
Result<std::unique_ptr<Machine>> make_machine(const Options& options, MachineConfig& config, NativePlatform& platform,
                                              MachineShared& shared, VirtualClock* clock, Tracer* tracer,
                                              AgentSocket& agent) {
  std::vector<std::unique_ptr<SnapshotFile>> snapshots;
  for (const std::string& path : options.restore) {
    auto file = SnapshotFile::open(path);
    if (!file) return file.error();
    snapshots.push_back(std::move(*file));
  }
  if (!snapshots.empty()) {
    auto saved = parse_config(snapshots.back()->head().config);
    if (!saved) return saved.error();
    saved->deterministic = config.deterministic;
    saved->seed = config.seed;
    config = *saved;
  }
  auto created = Machine::create(config, platform, shared, clock);
  if (!created) return created.error();
  Machine& machine = **created;
  machine.set_tracer(tracer);
  if (agent.active()) machine.set_agent_output(&agent);
  if (!snapshots.empty()) {
    auto disks = disks_of(snapshots.back()->head(), config);
    if (!disks) return disks.error();
    for (auto& disk : *disks) {
      const Status added = machine.add_disk(std::move(disk));
      if (!added) return added.error();
    }
    const Status restored = restore_machine(machine, snapshots);
    if (!restored) return restored.error();
    return std::move(*created);
  }
  BootFiles files;
  const auto read = [](const std::string& path, std::span<const u8>& to) -> Status {
    if (path.empty()) return {};
    auto file = File::open(path);
    if (!file) return file.error();
    to = file->bytes();
    return {};
  };
  for (const Status& status :
       {read(options.kernel, files.kernel), read(options.initrd, files.initrd), read(options.dtb, files.device_tree),
        read(config.firmware == FirmwareKind::file ? options.bios : "", files.firmware)}) {
    if (!status) return status.error();
  }
  for (const DiskConfig& disk : config.disks) {
    auto backend = FileBackend::open(disk.source, disk.read_only);
    if (!backend) return backend.error();
    const Status added = machine.add_disk(std::move(*backend));
    if (!added) return added.error();
  }
  const Status booted = machine.boot(files);
  if (!booted) return booted.error();
  return std::move(*created);
}

// Runs one machine from boot to its end. `reboot` is set if the guest asked for another one.
Result<int> run_machine(const Options& options, NativePlatform& platform, AgentSocket& agent, NativeDebugger& debugger,
                        bool& reboot) {
  reboot = false;
  MachineConfig config = options.config;
  auto shared = std::make_unique<MachineShared>();
  std::unique_ptr<VirtualClock> virtual_clock;
  if (config.deterministic) virtual_clock = std::make_unique<VirtualClock>(platform);
  std::unique_ptr<TraceWriter> tracer;
  std::FILE* trace_file = nullptr;
  if (!options.trace.empty()) {
    trace_file = options.trace == "-" ? stderr : std::fopen(options.trace.c_str(), "w");
    if (trace_file == nullptr) return errorf("cannot write %s: %s", options.trace.c_str(), std::strerror(errno));
    tracer = std::make_unique<TraceWriter>(trace_file, options.trace_limit);
  }
  auto made = make_machine(options, config, platform, *shared, virtual_clock.get(), tracer.get(), agent);
  if (!made) return made.error();
  Machine& machine = **made;
  if (!options.restore.empty()) {
    machine.thaw(options.follow);
    machine.tell_agent_time(options.follow);
  }

  const u64 started = platform.monotonic_ns();
  bool limited = false, asleep = false;
  if (config.deterministic) {
    DeterministicRunner runner(machine, *virtual_clock, options.config.seed);
    limited = !runner.run(options.max_instructions);
    asleep = runner.slept_for_ever();
  } else {
    RawTerminal raw;
    int wake[2];
    if (pipe2(wake, O_CLOEXEC) != 0) return errorf("cannot make a pipe: %s", std::strerror(errno));
    MachineThreads threads(machine, options.max_instructions);
    Saver saver(machine, threads, options);
    if (debugger.active())
      debugger.start(machine, threads);
    else
      threads.start();
    std::thread serving;
    if (agent.active()) serving = std::thread([&] { agent.serve(machine, wake[0]); });
    std::thread console([&] { feed_console(machine, saver, wake[0]); });
    threads.join();
    limited = threads.limited();
    if (debugger.active()) debugger.machine_ended(machine.shared().power.load() == kPowerReboot);
    if (write(wake[1], "", 1) < 0) std::perror("hartwood");
    console.join();
    if (serving.joinable()) serving.join();
    close(wake[0]);
    close(wake[1]);
  }
  tracer.reset();
  if (trace_file != nullptr && trace_file != stderr) std::fclose(trace_file);
  if (options.stats) {
    const double seconds = static_cast<double>(platform.monotonic_ns() - started) * 1e-9;
    std::fprintf(stderr, "hartwood: %" PRIu64 " instructions, %.3f s, %.1f MIPS, RAM hash %016" PRIx64 "\n",
                 machine.retired(), seconds, static_cast<double>(machine.retired()) / seconds * 1e-6,
                 machine.ram_hash());
  }
  // Nothing comes from outside in this mode.
  if (asleep) return Error{"every hart waits and no timer is set: nothing can wake the machine any more"};
  if (limited) return kExitLimit;
  reboot = machine.shared().power.load() == kPowerReboot;
  return static_cast<int>(machine.shared().exit_code.load() & 0xff);
}

int run(int argc, char** argv) {
  Options options;
  const Status parsed = parse_options(argc, argv, options);
  if (!parsed) {
    std::fprintf(stderr, "hartwood: %s\n", parsed.message().c_str());
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) == 0) signal(SIGUSR1, on_signal);
  NativePlatform platform(options.config.deterministic, options.config.seed);
  AgentSocket agent;
  if (!options.agent.empty()) {
    const Status listening = agent.listen_at(options.agent);
    if (!listening) {
      std::fprintf(stderr, "hartwood: %s\n", listening.message().c_str());
      return 2;
    }
  }
  NativeDebugger debugger;
  if (!options.gdb.empty()) {
    const Status listening = debugger.listen_at(options.gdb, options.gdb_wait, options.follow);
    if (!listening) {
      std::fprintf(stderr, "hartwood: %s\n", listening.message().c_str());
      return 2;
    }
  }
  for (;;) {
    bool reboot = false;
    auto code = run_machine(options, platform, agent, debugger, reboot);
    if (!code) {
      std::fprintf(stderr, "hartwood: %s\n", code.message().c_str());
      return 2;
    }
    if (!reboot) return *code;
    // A restart is a cold one.
    options.restore.clear();
    if (options.kernel.empty() && options.config.firmware != FirmwareKind::file) {
      std::fprintf(stderr, "hartwood: the machine restarts, and there is no --kernel to start\n");
      return 0;
    }
  }
}

}  // namespace
}  // namespace hartwood

int main(int argc, char** argv) { return hartwood::run(argc, argv); }
