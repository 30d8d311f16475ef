"""Set a key as flockd does, again and again: flockd_peer.py DIRECTORY KEY COUNT.

Write a temporary file beside the value and lock it; open the value's name, making it if it is missing, and
lock that exclusively, trying again for a while; rename; release both."""

import fcntl
import os
import sys
import time

directory, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
value = os.path.join(directory, key + ".kv")


def lock(descriptor):
    end = time.monotonic() + 60
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                sys.exit("deadline exceeded")
            time.sleep(0.001)


for number in range(count):
    name = f"{value}{os.getpid()}{number}"
    temporary = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    lock(temporary)
    text = f"go{number}"
    os.write(temporary, f"{text}:{text[-1] * 4096}:{text}".encode())
    held = os.open(value, os.O_CREAT | os.O_RDONLY, 0o600)
    lock(held)
    os.rename(name, value)
    os.close(held)
    os.close(temporary)
    print(number, flush=True)
