"""daemon/trim.py: memory that nothing uses any more goes back to the kernel."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from pathlib import Path
from xsagent.daemon.trim import give_back_memory

def resident_kib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

blocks = [bytes([1]) * 100_000 for _ in range(300)]
last = bytes([2]) * 100_000  # keeps what lies before it
del blocks
before = resident_kib()
give_back_memory()
print(before - resident_kib())
"""

THREADS = """
import sys, threading
from pathlib import Path
from xsagent.daemon.trim import share_one_arena

if sys.argv[1] == "shared":
    share_one_arena()
met = threading.Barrier(5)

def work():
    kept = [bytes(2000) for _ in range(100)]
    met.wait()
    met.wait()

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
met.wait()
maps = [line.split()[:2] for line in Path("/proc/self/maps").read_text().splitlines()]
ends = [[int(end, 16) for end in place.split("-")] for place, access in maps if access == "---p"]
print(sum(60 << 20 < end - begin < 70 << 20 for begin, end in ends))
met.wait()
"""
"""Each arena of a thread reserves 64 MiB, of which what is not used yet cannot be read or written."""


def test_threads_have_no_arenas_of_their_own() -> None:
    """The control run, which does not ask for that, has one for each thread."""

    def arenas(how: str) -> int:
        words = [sys.executable, "-c", THREADS, how]
        return int(subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout)

    assert arenas("each") == 4
    assert arenas("shared") == 0


def test_blocks_that_were_freed_below_one_that_stays_are_given_back() -> None:
    """The C library alone gives back only what lies at the end: 30 MB stay here without it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)

    assert int(done.stdout) > 20_000
