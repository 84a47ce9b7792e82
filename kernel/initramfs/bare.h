// SPDX-License-Identifier: Apache-2.0
// What the programs of the initramfs that have no C library share: system calls, a few functions on texts and files, and
// the program's entry, which calls run() of the file that includes this one, once, with the stack as the kernel left
// it: argc, argv, 0, environment, 0, ...

#ifndef HARTWOOD_BARE_H
#define HARTWOOD_BARE_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((noreturn)) void run(char **stack);

static long call(long number, long a, long b, long c, long d, long e) {
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}

static unsigned long length_of(const char *text) {
    unsigned long length = 0;
    while (text[length]) length++;
    return length;
}

static int starts_with(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++) return 0;
    return 1;
}

// Fills `buffer` with the file's start, zero-terminated; empty when there is no such file.
static void read_file(const char *path, char *buffer, unsigned long size) {
    unsigned long used = 0;
    long file = call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0);
    if (file >= 0) {
        long got;
        do {
            got = call(SYS_read, file, (long)(buffer + used), (long)(size - 1 - used), 0, 0);
            if (got > 0) used += (unsigned long)got;
        } while (got > 0 && used + 1 < size);
        call(SYS_close, file, 0, 0, 0, 0);
    }
    buffer[used] = 0;
}

__asm__(
    ".globl _start\n"
    "_start:\n"
    ".option push\n"
    ".option norelax\n"
    "    lla gp, __global_pointer$\n"
    ".option pop\n"
    "    mv a0, sp\n"
    "    andi sp, sp, -16\n"
    "    mv ra, zero\n"
    "    tail run\n");

#endif
