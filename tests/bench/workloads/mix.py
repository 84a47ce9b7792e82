# SPDX-License-Identifier: Apache-2.0
# What Python programs do, a little of each: mix.py [DIVISOR]
import hashlib
import json
import re
import sys
from collections import Counter, deque
from dataclasses import dataclass

DIVISOR = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def amount(full):
    return max(1, full // DIVISOR)


def queens(size, rounds):
    def place(row, columns, up, down):
        if row == size:
            return 1
        return sum(
            place(row + 1, columns | {column}, up | {row + column}, down | {row - column})
            for column in range(size)
            if column not in columns and row + column not in up and row - column not in down
        )

    return sum(place(0, frozenset(), frozenset(), frozenset()) for _ in range(rounds))


@dataclass
class Account:
    name: str
    balance: int = 0
    history: list = None

    def move(self, other, value):
        if self.balance < value:
            raise ValueError(self.name)
        self.balance -= value
        other.balance += value
        (self.history or other.history).append((other.name, value))


def accounts(rounds):
    people = [Account(f"p{i}", 1000 + i, []) for i in range(50)]
    refused = 0
    for i in range(rounds):
        try:
            people[i % 50].move(people[i * 7 % 50], i * i % 1511)
        except ValueError:
            refused += 1
    return refused, sum(len(person.history) for person in people), people[7].balance


def documents(rounds):
    document = {"items": [{"id": i, "name": f"item {i}", "tags": ["a", "b", str(i)], "share": i / 7} for i in range(60)]}
    size = 0
    for _ in range(rounds):
        text = json.dumps(document, sort_keys=True)
        size += len(text)
        document = json.loads(text)
        document["items"].append(document["items"].pop(0))
    return size, document["items"][0]["id"]


def patterns(rounds):
    text = " ".join(f"user{i}@host{i % 17}.example 10.0.{i % 256}.{i * 7 % 256} [{i:05d}]" for i in range(300))
    mail, address = re.compile(r"(\w+)@(\w+)\.example"), re.compile(r"\b(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\b")
    found = 0
    for i in range(rounds):
        found += len(mail.findall(text)) + sum(int(m.group(4)) for m in address.finditer(text))
        text = re.sub(r"\[(\d)(\d+)\]", r"[\2\1]", text)
    return found, text[:40]


def words(rounds):
    state, counts = 1, Counter()
    for _ in range(rounds):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        counts["".join(chr(97 + (state >> shift) % 6) for shift in (33, 40, 47))] += 1
    return counts.most_common(3)


def grid(size, steps):
    cells = [[(x * 7 + y * 13) % 5 == 0 for x in range(size)] for y in range(size)]
    for _ in range(steps):
        cells = [
            [
                (n := sum(cells[(y + dy) % size][(x + dx) % size] for dy in (-1, 0, 1) for dx in (-1, 0, 1)) - cells[y][x]) == 3
                or (n == 2 and cells[y][x])
                for x in range(size)
            ]
            for y in range(size)
        ]
    return sum(map(sum, cells))


def paths(size):
    walls = {(x, y) for x in range(size) for y in range(size) if (x * 5 + y * 3) % 7 == 0 and (x, y) != (0, 0)}
    distance, queue = {(0, 0): 0}, deque([(0, 0)])
    while queue:
        x, y = queue.popleft()
        for step in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if step not in distance and step not in walls and 0 <= step[0] < size and 0 <= step[1] < size:
                distance[step] = distance[x, y] + 1
                queue.append(step)
    return len(distance), max(distance.values())


def waves(count):
    values = [0.1 * i for i in range(64)]
    for _ in range(count):
        values = [(a * 0.99 + b * 0.02 - c * 0.01) % 10.0 for a, b, c in zip(values, values[1:] + values[:1], values[2:] + values[:2])]
    return f"{sum(values):.9f}"


print(queens(7, amount(30)))
print(accounts(amount(120000)))
print(documents(amount(270)))
print(patterns(amount(60)))
print(words(amount(54000)))
print(grid(24, amount(75)))
print(paths(int(245 / DIVISOR**0.5)))
print(waves(amount(7500)))
print(hashlib.sha256(str(pow(3, 10 ** amount(1800), 10**400 + 69)).encode()).hexdigest())
