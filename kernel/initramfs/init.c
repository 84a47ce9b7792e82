// SPDX-License-Identifier: Apache-2.0
// Process 1 of the initramfs: mounts, names, brings up loopback, runs a shell on the console, shuts down.
//
// Written without a C library and without helper processes, because each fork and exec costs an emulated
// machine about a million instructions: this program is at its shell after a few thousand. It runs alone,
// on one thread. Invariants: every signal stays blocked and is fetched with rt_sigtimedwait; children start
// with none blocked.
//
// Kernel command line: hartwood.run="COMMAND" runs COMMAND with /bin/sh before the first prompt and prints
// "hartwood.run: exit status N" (128 + n for a command that signal n killed).
// Signals, as busybox's commands send them: SIGUSR2 power off, SIGTERM reboot, SIGUSR1 halt.
// An executable /etc/rc runs before all that; its status is ignored.

#include <linux/reboot.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "bare.h"

enum { kGraceSeconds = 1, kRespawnPauseSeconds = 1, kCommandLineBytes = 4096, kMountTableBytes = 8192 };
enum { kSecond = 1000000000, kConsoleTries = 2000, kConsolePause = 1000000 };  // nanoseconds

static char command_line[kCommandLineBytes];
static char mount_table[kMountTableBytes];
static char console_path[64];
static char *environment[64];

static void print(const char *text) { call(SYS_write, 1, (long)text, (long)length_of(text), 0, 0); }

static void print_number(unsigned value) {
    char digits[12];
    unsigned at = sizeof digits - 1;
    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    print(digits + at);
}

// ---------------------------------------------------------------------------- set-up

static void mount_at(const char *type, const char *target, unsigned long flags, const char *options) {
    call(SYS_mount, (long)type, (long)target, (long)type, (long)flags, (long)options);
}

static void make_folder(const char *path, long mode) { call(SYS_mkdirat, AT_FDCWD, (long)path, mode, 0, 0); }

static void mount_all(void) {
    mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
    mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
    mount_at("devtmpfs", "/dev", MS_NOSUID, 0);
    make_folder("/dev/pts", 0755);
    make_folder("/dev/shm", 01777);
    mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666");
    mount_at("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
}

static void pause_for(unsigned long nanoseconds) {
    struct timespec time = {.tv_sec = (long)(nanoseconds / kSecond), .tv_nsec = (long)(nanoseconds % kSecond)};
    call(SYS_nanosleep, (long)&time, 0, 0, 0, 0);
}

// The kernel finds a virtio console's ports in work of its own, so on several harts we can be here before it has a
// console. Then it has started us with no file open, and whom we would start had none either. /dev/console can be
// opened as soon as there is a console; a machine that has none goes on without.
static void wait_for_console(void) {
    for (int tries = 0; tries < kConsoleTries; tries++) {
        long console = call(SYS_openat, AT_FDCWD, (long)"/dev/console", O_RDWR | O_NOCTTY, 0, 0);
        if (console > 2) call(SYS_close, console, 0, 0, 0, 0);
        if (console == 0)
            for (long standard = 1; standard <= 2; standard++) call(SYS_dup3, console, standard, 0, 0, 0);
        if (console >= 0) return;
        pause_for(kConsolePause);
    }
}

static void loopback_up(void) {
    struct ifreq request;
    long handle = call(SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, 0);
    if (handle < 0) return;
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_name[2] = 0;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    call(SYS_ioctl, handle, SIOCSIFFLAGS, (long)&request, 0, 0);
    call(SYS_close, handle, 0, 0, 0, 0);
}

// /dev/console stands for the last terminal in this list. Programs that ask for their terminal's name find
// none for /dev/console, so each child opens the terminal itself. Process 1 stays with /dev/console: the
// end of a session hangs its terminal up for everyone who has it open by its own name.
static void find_console(void) {
    enum { kFolder = sizeof "/dev/" - 1 };
    static char consoles[sizeof console_path - kFolder];
    read_file("/sys/class/tty/console/active", consoles, sizeof consoles);
    char *name = consoles;
    for (char *at = consoles; *at; at++) {
        if (*at == ' ') name = at + 1;
        if (*at == '\n') *at = 0;
    }
    char *to = console_path;
    for (const char *from = *name ? "/dev/" : "/dev/console"; *from;) *to++ = *from++;
    while (*name) *to++ = *name++;
}

// The kernel hands over HOME=/, TERM=linux and the command line's unknown NAME=VALUE words. Of these, ours
// win over its two defaults, and the words over ours.
static void build_environment(char **given) {
    static char *const defaults[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                                     "TERM=xterm-256color", "USER=root", "LOGNAME=root", "SHELL=/bin/sh"};
    enum { kDefaults = sizeof defaults / sizeof *defaults };
    unsigned count = 0;
    for (unsigned i = 0; i < kDefaults; i++) environment[count++] = defaults[i];
    for (; *given && count + 1 < sizeof environment / sizeof *environment; given++) {
        if (starts_with(*given, "HOME=/") && !(*given)[6]) continue;
        if (starts_with(*given, "TERM=linux") && !(*given)[10]) continue;
        unsigned at = kDefaults;
        for (unsigned i = 0; i < kDefaults; i++) {
            unsigned name = 0;
            while (defaults[i][name] == (*given)[name] && defaults[i][name] && defaults[i][name] != '=')
                name++;
            if (defaults[i][name] == '=' && (*given)[name] == '=') at = i;
        }
        if (at < kDefaults) environment[at] = *given;
        else environment[count++] = *given;
    }
    environment[count] = 0;
}

// The command of hartwood.run=WORD or hartwood.run="SEVERAL WORDS", cut out of command_line in place; 0 if
// none.
static char *command_to_run(void) {
    read_file("/proc/cmdline", command_line, sizeof command_line);
    int quoted = 0;
    for (char *at = command_line; *at; at++) {
        if (*at == '"') quoted = !quoted;
        if (quoted || (at != command_line && at[-1] != ' ') || !starts_with(at, "hartwood.run=")) continue;
        char *command = at + sizeof "hartwood.run=" - 1;
        char end = ' ';
        if (*command == '"') {
            end = '"';
            command++;
        }
        char *stop = command;
        while (*stop && *stop != end && *stop != '\n') stop++;
        *stop = 0;
        return command;
    }
    return 0;
}

// ---------------------------------------------------------------------------- children

// Starts a program in a session of its own with the console as its controlling terminal. Returns its id.
static long start(const char *path, char *const *arguments) {
    long child = call(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child != 0) return child;
    unsigned long none = 0;
    call(SYS_setsid, 0, 0, 0, 0, 0);
    long terminal = call(SYS_openat, AT_FDCWD, (long)console_path, O_RDWR, 0, 0);
    if (terminal >= 0) {
        for (long standard = 0; standard <= 2; standard++) call(SYS_dup3, terminal, standard, 0, 0, 0);
        if (terminal > 2) call(SYS_close, terminal, 0, 0, 0, 0);
    }
    struct winsize size = {0};
    if (call(SYS_ioctl, 0, TIOCGWINSZ, (long)&size, 0, 0) == 0 && size.ws_row == 0) {
        size.ws_row = 24;  // a serial line does not know; virtio consoles do
        size.ws_col = 80;
        call(SYS_ioctl, 0, TIOCSWINSZ, (long)&size, 0, 0);
    }
    call(SYS_ioctl, 0, TIOCSCTTY, 1, 0, 0);
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
    call(SYS_execve, (long)path, (long)arguments, (long)environment, 0, 0);
    print("init: cannot start ");
    print(path);
    print("\n");
    call(SYS_exit, 127, 0, 0, 0, 0);
    __builtin_unreachable();
}

// Starts what serves the machine's owner (agent.c), with nothing of the console. It gets what time is left over until
// it waits for its first command, so that the prompt does not come later for it. A machine without it goes on.
static void start_agent(void) {
    static char *const arguments[] = {"/usr/bin/hartwood-agent", 0};
    if (call(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0) return;
    unsigned long none = 0;
    for (long standard = 0; standard <= 2; standard++) call(SYS_close, standard, 0, 0, 0, 0);
    call(SYS_setsid, 0, 0, 0, 0, 0);
    call(SYS_setpriority, PRIO_PROCESS, 0, 19, 0, 0);
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
    call(SYS_execve, (long)arguments[0], (long)arguments, (long)environment, 0, 0);
    call(SYS_exit, 127, 0, 0, 0, 0);
    __builtin_unreachable();
}

// The console is somebody's prompt from here on: of the kernel's messages only warnings and worse belong between the lines.
// A level that the command line chose stays.
static void quiet_kernel(void) {
    enum { kSetConsoleLevel = 8, kWarningsAndWorse = 5 };
    static char levels[32];
    read_file("/proc/sys/kernel/printk", levels, sizeof levels);
    if (levels[0] == '7') call(SYS_syslog, kSetConsoleLevel, 0, kWarningsAndWorse, 0, 0);
}

// Ends every process, takes every file system down and does what `command` says. Returns only if the kernel
// refuses.
static void shut_down(long command) {
    unsigned long child_signal = 1ul << (SIGCHLD - 1);
    call(SYS_kill, -1, SIGTERM, 0, 0, 0);
    call(SYS_kill, -1, SIGCONT, 0, 0, 0);
    // An interactive shell ignores SIGTERM but not SIGHUP.
    call(SYS_kill, -1, SIGHUP, 0, 0, 0);
    for (;;) {
        long gone;
        while ((gone = call(SYS_wait4, -1, 0, WNOHANG, 0, 0)) > 0) {}
        if (gone < 0) break;  // no child is left
        struct timespec grace = {.tv_sec = kGraceSeconds, .tv_nsec = 0};
        long signal = call(SYS_rt_sigtimedwait, (long)&child_signal, 0, (long)&grace, sizeof child_signal, 0);
        if (signal < 0) break;
    }
    call(SYS_kill, -1, SIGKILL, 0, 0, 0);
    while (call(SYS_wait4, -1, 0, 0, 0, 0) > 0) {}
    call(SYS_sync, 0, 0, 0, 0, 0);

    read_file("/proc/mounts", mount_table, sizeof mount_table);
    for (unsigned long at = length_of(mount_table); at-- > 0;) {  // the last mounted first
        if (mount_table[at] == '\n') mount_table[at] = 0;
        if (at != 0 && mount_table[at - 1] != '\n') continue;
        char *target = mount_table + at;
        while (*target && *target != ' ') target++;
        if (!*target) continue;
        char *end = ++target;
        while (*end && *end != ' ') end++;
        *end = 0;
        if (target[1]) call(SYS_umount2, (long)target, MNT_DETACH, 0, 0, 0);  // all but "/"
    }
    call(SYS_sync, 0, 0, 0, 0, 0);
    call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, 0, 0);
}

// Collects children and serves signals until `child` has ended; returns its exit status, shell style.
static int wait_for(long child) {
    unsigned long all = ~0ul;
    for (;;) {
        long gone;
        int status;
        while ((gone = call(SYS_wait4, -1, (long)&status, WNOHANG, 0, 0)) > 0)
            if (gone == child) return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
        switch (call(SYS_rt_sigtimedwait, (long)&all, 0, 0, sizeof all, 0)) {
            case SIGUSR2: shut_down(LINUX_REBOOT_CMD_POWER_OFF); break;
            case SIGTERM: shut_down(LINUX_REBOOT_CMD_RESTART); break;
            case SIGUSR1: shut_down(LINUX_REBOOT_CMD_HALT); break;
            default: break;
        }
    }
}

static long uptime_seconds(void) {
    struct timespec now;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0);
    return now.tv_sec;
}

__attribute__((used, noreturn)) void run(char **stack) {
    unsigned long all = ~0ul;
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all, 0);
    build_environment(stack + (long)stack[0] + 2);
    mount_all();
    wait_for_console();
    find_console();
    call(SYS_sethostname, (long)"hartwood", 8, 0, 0, 0);
    loopback_up();
    start_agent();
    quiet_kernel();
    call(SYS_chdir, (long)"/root", 0, 0, 0, 0);

    if (call(SYS_faccessat, AT_FDCWD, (long)"/etc/rc", X_OK, 0, 0) == 0) {
        static char *const arguments[] = {"/etc/rc", 0};
        wait_for(start(arguments[0], arguments));
    }
    char *command = command_to_run();
    if (command) {
        char *const arguments[] = {"sh", "-c", command, 0};
        int status = wait_for(start("/bin/sh", arguments));
        print("hartwood.run: exit status ");
        print_number((unsigned)status);
        print("\n");
    }
    read_file("/etc/motd", mount_table, sizeof mount_table);
    print(mount_table);
    for (;;) {
        static char *const arguments[] = {"-sh", 0};  // the dash makes it a login shell
        long started = uptime_seconds();
        wait_for(start("/bin/sh", arguments));
        if (uptime_seconds() - started < kRespawnPauseSeconds) pause_for(kRespawnPauseSeconds * kSecond);
    }
}
