// SPDX-License-Identifier: Apache-2.0
// The guest's end of the agent channel: reads lines from the virtio console's port org.hartwood.agent.0 and does what
// they ask, for a machine that is about to be saved or has just been restored. Each line has one line as its answer:
//
//   ping                      pong
//   clock SECONDS.NANOSECONDS clock set           the wall clock, since 1970; nine digits behind the point, or no point
//   prepare                   prepared            files written, caches dropped, free memory zeroed: an image of RAM
//                                                 compresses well
//   anything else             error ...
//
// Started by init, or by whatever init another root has. Ends silently where there is no such port. Like init.c it has no
// C library; it runs on one thread, and takes no time while it waits: all its reads block.

#include <linux/if_packet.h>
#include <linux/sysinfo.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "bare.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { kLineBytes = 4096, kPageBytes = 4096, kTries = 9, kMegabyte = 1 << 20, kChunkBytes = kMegabyte / 4 };
enum { kLongestZeroing = 60 };  // seconds, after which it is given up
enum { kConsoleOff = 6, kConsoleOn = 7 };  // of the syslog call
enum { kOrders = 11, kLeastOrder = 4, kMostRounds = 64, kMostBlocks = 2048, kLooks = 32 };
enum { kSinglePages = 4 * kMegabyte };  // left for take_pages()

static const char port_name[] = "org.hartwood.agent.0";
static const char ports_folder[] = "/sys/class/virtio-ports";

static long port;
static char line[kLineBytes];
static char small_file[1024];

static void exit_now(void) {
    for (;;) call(SYS_exit_group, 0, 0, 0, 0, 0);
}

static void pause_for(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    call(SYS_nanosleep, (long)&time, 0, 0, 0, 0);
}

static int equal(const char *text, const char *other) {
    return starts_with(text, other) && length_of(text) == length_of(other);
}

// The concatenation, cut off where `to` ends.
static void join(char *to, unsigned long size, const char *first, const char *second, const char *third) {
    const char *parts[] = {first, second, third};
    unsigned long at = 0;
    for (unsigned i = 0; i < 3; i++)
        for (const char *from = parts[i]; *from && at + 1 < size;) to[at++] = *from++;
    to[at] = 0;
}

static void write_file(const char *path, const char *text) {
    long file = call(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CLOEXEC, 0, 0);
    if (file < 0) return;
    call(SYS_write, file, (long)text, (long)length_of(text), 0, 0);
    call(SYS_close, file, 0, 0, 0, 0);
}

// The unsigned number at *at, which moves behind it; -1 if there is none, or one with more digits than any here has.
static long number(const char **at) {
    unsigned long value = 0;
    const char *from = *at;
    while (**at >= '0' && **at <= '9') value = value * 10 + (unsigned long)(*(*at)++ - '0');
    return *at == from || *at - from > 12 ? -1 : (long)value;
}

// ---------------------------------------------------------------------------- the port

// One write for each answer: the machine takes it whole or not at all. Asking whether there is room for another makes
// the driver take its buffer back. Otherwise each interrupt of the console, whose other ports share it, would wake us.
static void answer(const char *first, const char *second) {
    static char text[kLineBytes + 64];
    join(text, sizeof text, first, second, "\n");
    struct pollfd room = {.fd = (int)port, .events = POLLOUT};
    struct timespec none = {0};
    call(SYS_write, port, (long)text, (long)length_of(text), 0, 0);
    call(SYS_ppoll, (long)&room, 1, (long)&none, 0, 0);
}

struct entry {
    unsigned long inode;
    long offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

// Opens the port that has our name; negative if there is none.
static long find_port(void) {
    static char entries[2048] __attribute__((aligned(8)));
    long found = -1;
    long folder = call(SYS_openat, AT_FDCWD, (long)ports_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
    if (folder < 0) return -1;
    long got;
    while (found < 0 && (got = call(SYS_getdents64, folder, (long)entries, sizeof entries, 0, 0)) > 0) {
        for (long at = 0; at < got && found < 0; at += ((struct entry *)(entries + at))->length) {
            char path[128], name[64];
            const char *device = ((struct entry *)(entries + at))->name;
            if (device[0] == '.') continue;
            join(path, sizeof path, "/sys/class/virtio-ports/", device, "/name");
            read_file(path, name, sizeof name);
            if (!starts_with(name, port_name) || name[sizeof port_name - 1] > '\n') continue;
            join(path, sizeof path, "/dev/", device, "");
            found = call(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0);
        }
    }
    call(SYS_close, folder, 0, 0, 0, 0);
    return found;
}

// The kernel names the ports a little after it has found the console, so we look a few times: for 2.6 seconds in all.
static void open_port(void) {
    for (int tries = 0; tries < kTries; tries++) {
        port = find_port();
        if (port >= 0) return;
        pause_for(5l << tries);
    }
    exit_now();
}

// ---------------------------------------------------------------------------- free memory

static unsigned long free_bytes(void) {
    struct sysinfo info;
    if (call(SYS_sysinfo, (long)&info, 0, 0, 0, 0) < 0) return 0;
    return info.freeram * info.mem_unit;
}
static unsigned long all_bytes(void) {
    struct sysinfo info;
    if (call(SYS_sysinfo, (long)&info, 0, 0, 0, 0) < 0) return 0;
    return info.totalram * info.mem_unit;
}

// Free blocks of 2^order pages, for each order, of all zones: the columns of /proc/buddyinfo.
static void count_blocks(unsigned long *blocks) {
    read_file("/proc/buddyinfo", small_file, sizeof small_file);
    for (unsigned order = 0; order < kOrders; order++) blocks[order] = 0;
    for (const char *at = small_file; *at;) {
        if (!starts_with(at, "zone ")) {
            at++;
            continue;
        }
        at += sizeof "zone " - 1;
        while (*at == ' ') at++;
        while (*at && *at != ' ') at++;  // its name
        for (unsigned order = 0; order < kOrders; order++) {
            while (*at == ' ') at++;
            long count = number(&at);
            if (count < 0) break;
            blocks[order] += (unsigned long)count;
        }
    }
}

// Free pages that the kernel keeps at hand for each hart, an eighth of memory or more at times, go back to where
// everybody finds them: some with each look that it takes at them.
static void return_pages(void) {
    long file = call(SYS_openat, AT_FDCWD, (long)"/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC, 0, 0);
    if (file < 0) return;
    for (int looks = 0; looks < kLooks; looks++) call(SYS_write, file, (long)"1", 1, 0, 0);
    call(SYS_close, file, 0, 0, 0, 0);
}

// Takes the large free blocks as the buffers of packet sockets that receive nothing. A buffer is the only memory that
// any process may have in such pieces: clearing one takes a hundredth of the instructions that its pages take one by
// one. Never more than what /proc/buddyinfo has just shown, so that the kernel does not look for any.
static void take_blocks(unsigned long least) {
    for (int rounds = 0; rounds < kMostRounds; rounds++) {
        unsigned long blocks[kOrders];
        count_blocks(blocks);
        unsigned long room = free_bytes();
        if (room <= least) return;
        unsigned order = kOrders - 1;
        while (order >= kLeastOrder && (!blocks[order] || room - least < (unsigned long)kPageBytes << order)) order--;
        if (order < kLeastOrder) return;
        unsigned long bytes = (unsigned long)kPageBytes << order, count = (room - least) / bytes;
        if (count > blocks[order]) count = blocks[order];
        if (count > kMostBlocks) count = kMostBlocks;
        struct tpacket_req request = {.tp_block_size = (unsigned)bytes, .tp_block_nr = (unsigned)count,
                                      .tp_frame_size = (unsigned)bytes, .tp_frame_nr = (unsigned)count};
        long handle = call(SYS_socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0, 0, 0);
        // Without such sockets, the pages are taken one by one. Open ones are closed when we end.
        if (handle < 0) return;
        if (call(SYS_setsockopt, handle, SOL_PACKET, PACKET_RX_RING, (long)&request, sizeof request) < 0) return;
    }
}

// Somewhere for so many bytes that nobody has promised us; negative if even that is refused.
static long reserve(unsigned long bytes) {
    register long a0 __asm__("a0") = 0;
    register long a1 __asm__("a1") = (long)bytes;
    register long a2 __asm__("a2") = PROT_READ | PROT_WRITE;
    register long a3 __asm__("a3") = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    register long a4 __asm__("a4") = -1;
    register long a5 __asm__("a5") = 0;
    register long a7 __asm__("a7") = SYS_mmap;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return a0;
}

// Takes pages one by one: those in small blocks, and those that are still kept at hand.
static void take_pages(unsigned long least) {
    unsigned long size = all_bytes() / kChunkBytes * kChunkBytes;
    long start = reserve(size);
    if (start < 0) return;
    for (unsigned long at = 0; at < size && free_bytes() > least + kChunkBytes; at += kChunkBytes) {
        if (call(SYS_madvise, start + (long)at, kChunkBytes, MADV_POPULATE_WRITE, 0, 0) == 0) continue;
        // A kernel before 5.14, or no memory: then the first of these ends us.
        for (unsigned long page = 0; page < kChunkBytes; page += kPageBytes)
            *(volatile char *)(start + (long)at + (long)page) = 0;
    }
}

// Takes nearly all free memory, which the kernel clears for it, and ends. It stops above the mark where the kernel would
// begin to look for memory elsewhere, so nobody else loses any; should others take much meanwhile, this is whom the
// kernel kills first. Bounded by the memory that there is, and by an alarm.
static void zero_free_memory(void) {
    struct itimerval alarm = {.it_value = {.tv_sec = kLongestZeroing}};
    write_file("/proc/self/oom_score_adj", "1000");
    call(SYS_setitimer, ITIMER_REAL, (long)&alarm, 0, 0, 0);
    read_file("/proc/sys/vm/min_free_kbytes", small_file, sizeof small_file);
    const char *text = small_file;
    long kept = number(&text);
    // The highest mark is at most this much for the sizes of RAM that a machine has, as long as nobody changes it.
    unsigned long least = (kept < 0 ? 16ul * kMegabyte : 2048ul * (unsigned long)kept) + kMegabyte;
    return_pages();
    take_blocks(least + kSinglePages);
    take_pages(least);
    exit_now();
}

// ---------------------------------------------------------------------------- commands

static void prepare(void) {
    int status;
    call(SYS_sync, 0, 0, 0, 0, 0);
    // The kernel would say on the console that somebody has done this.
    call(SYS_syslog, kConsoleOff, 0, 0, 0, 0);
    write_file("/proc/sys/vm/drop_caches", "3");
    call(SYS_syslog, kConsoleOn, 0, 0, 0, 0);
    long child = call(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) zero_free_memory();
    // Free memory that is not zero is no reason not to save the machine.
    if (child > 0) call(SYS_wait4, child, (long)&status, 0, 0, 0);
    answer("prepared", "");
}

static void set_clock(const char *text) {
    struct timespec time = {0};
    time.tv_sec = number(&text);
    if (*text == '.' && time.tv_sec >= 0) {
        const char *digits = ++text;
        time.tv_nsec = number(&text);
        if (text - digits != 9) time.tv_nsec = -1;
    }
    if (*text || time.tv_sec < 0 || time.tv_nsec < 0) answer("error clock: not a time", "");
    else if (call(SYS_clock_settime, CLOCK_REALTIME, (long)&time, 0, 0, 0) < 0) answer("error clock: refused", "");
    else answer("clock set", "");
}

static void obey(const char *command) {
    if (!*command) return;
    if (equal(command, "ping")) answer("pong", "");
    else if (equal(command, "prepare")) prepare();
    else if (starts_with(command, "clock ")) set_clock(command + sizeof "clock " - 1);
    else answer("error unknown command ", command);
}

__attribute__((used, noreturn)) void run(char **stack) {
    (void)stack;
    unsigned long used = 0;
    int skipping = 0, idle = 0;
    open_port();
    call(SYS_setpriority, PRIO_PROCESS, 0, 0, 0, 0);
    for (;;) {
        long got = call(SYS_read, port, (long)(line + used), (long)(sizeof line - used), 0, 0);
        if (got <= 0) {
            // Nobody has the other end, for the moment or for good.
            if (got < 0 || ++idle > kTries) exit_now();
            pause_for(5l << idle);
            continue;
        }
        idle = 0;
        unsigned long start = 0, end = used + (unsigned long)got;
        for (unsigned long at = used; at < end; at++) {
            if (line[at] != '\n') continue;
            line[at] = 0;
            if (skipping) answer("error line too long", "");
            else obey(line + start);
            skipping = 0;
            start = at + 1;
        }
        used = end - start;
        for (unsigned long i = 0; i < used; i++) line[i] = line[start + i];
        if (used == sizeof line) {
            skipping = 1;
            used = 0;
        }
    }
}
