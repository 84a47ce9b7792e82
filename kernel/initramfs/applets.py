#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the names of the commands in a busybox binary of any architecture, one a line, without running it.

    applets.py BUSYBOX

Busybox keeps its commands as one sorted table of zero-terminated names that begins with "[" and "[[".
"""

import re
import sys

TABLE_START = b"[\0[[\0"
MUST_HAVE = {"sh", "ls", "mount", "poweroff", "reboot", "stty", "vi"}


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    start = data.find(TABLE_START)
    names = []
    if start >= 0:
        for name in data[start:].split(b"\0"):
            text = name.decode("ascii", "replace")
            if not re.fullmatch(r"[a-z0-9_.+\[-]+", text) or (names and text <= names[-1]):
                break
            names.append(text)
    missing = MUST_HAVE - set(names)
    if missing or len(names) < 100:
        sys.exit("applets.py: no commands found in %s: %s" % (sys.argv[1], " ".join(sorted(missing))))
    print("\n".join(names))


if __name__ == "__main__":
    main()
