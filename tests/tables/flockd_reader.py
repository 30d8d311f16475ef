"""Get a key as flockd does: flockd_reader.py FILE.

Open the value; when a line comes, open it by its name again, making it if it is missing, and lock that; read
what was opened first."""

import fcntl
import os
import sys

value = sys.argv[1]
first = os.open(value, os.O_RDONLY)
print("opened", flush=True)
sys.stdin.readline()
held = os.open(value, os.O_CREAT | os.O_RDONLY, 0o600)
fcntl.flock(held, fcntl.LOCK_SH)
print(os.read(first, 65536).decode(), flush=True)
