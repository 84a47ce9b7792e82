#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a folder as a "newc" cpio archive, as the kernel unpacks it at boot.

    make_cpio.py FOLDER OUTPUT EPOCH

Needs no root and gives equal bytes for equal trees: entries sorted by path, every owner root, every time
EPOCH, inodes counted from 1. Adds the two device nodes that process 1 needs before devtmpfs is mounted.

Each file's contents begin at a multiple of eight bytes, so that the kernel copies whole words into its pages;
at other places its memcpy goes byte by byte, which costs millions of instructions. Zeroes after the name make
the room.
"""

import os
import stat
import sys

HEADER_BYTES = 110
DEVICE_NODES = {"dev/console": (0o600, 5, 1), "dev/null": (0o666, 1, 3)}


class Archive:
    def __init__(self, out, epoch):
        self.out = out
        self.epoch = epoch
        self.inode = 0

    def _aligned(self, data):
        self.out.write(data)
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def add(self, name, mode, data=b"", major=0, minor=0):
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        encoded = name.encode() + b"\0"
        if data and stat.S_ISREG(mode):
            encoded += b"\0" * (-(self.out.tell() + HEADER_BYTES + len(encoded)) % 8)
        fields = (self.inode, mode, 0, 0, links, self.epoch, len(data), 0, 0, major, minor, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._aligned(header + encoded)
        self._aligned(data)

    def close(self):
        self.inode = -1  # the trailer is number 0
        self.epoch = 0
        self.add("TRAILER!!!", 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tree(folder):
    """Relative paths of all that lies in folder, each folder before what it holds."""
    found = []
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            found.append(os.path.relpath(os.path.join(parent, name), folder))
    return sorted(found)


def main():
    folder, output, epoch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(output, "wb") as out:
        archive = Archive(out, epoch)
        for name in tree(folder):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                archive.add(name, stat.S_IFLNK | 0o777, os.readlink(path).encode())
            elif stat.S_ISDIR(mode):
                archive.add(name, stat.S_IFDIR | stat.S_IMODE(mode))
            elif stat.S_ISREG(mode):
                archive.add(name, stat.S_IFREG | stat.S_IMODE(mode), read(path))
            else:
                sys.exit("make_cpio.py: neither file, folder nor link: " + path)
        for name, (mode, major, minor) in DEVICE_NODES.items():
            archive.add(name, stat.S_IFCHR | mode, major=major, minor=minor)
        archive.close()


if __name__ == "__main__":
    main()
