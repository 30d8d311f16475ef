"""Writes a value in place, in two pieces, under its exclusive flock: in_place_peer.py FILE [once].

Value number N is N, a colon, and 512 bytes, from 1 to 7 times. Prints `locked` when the first piece is written.
With `once` it writes value 6, and waits for a line on stdin before the second piece; else it writes value after
value until it is ended: the lock is held, with half a value, about as long as it is free."""

import fcntl
import os
import sys
import time

SPIN_NS = 30_000


def spin():
    end = time.monotonic_ns() + SPIN_NS
    while time.monotonic_ns() < end:
        pass


descriptor = os.open(sys.argv[1], os.O_RDWR)
is_once = sys.argv[2:] == ["once"]
number = 6 if is_once else 0
while True:
    head = f"{number}:".encode()
    rest = b"x" * 512 * (number % 7 + 1)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, head, 0)
    if is_once or number == 0:
        print("locked", flush=True)
    if is_once:
        sys.stdin.readline()
    spin()
    os.pwrite(descriptor, rest, len(head))
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    if is_once:
        break
    spin()
    number += 1
