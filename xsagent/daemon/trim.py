"""The C library's allocator: memory that much work took goes back to the kernel, and threads share theirs. Effects.

Before threads start, and after many devices: glibc keeps what the texts of big reads left (malloc_trim(3)), a
megabyte with 1,000 VIFs. ctypes is there already, below pyudev.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8


def give_back_memory() -> None:
    """Have free memory given back; nothing where the C library has no such function."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share_one_arena() -> None:
    """Have all threads to come allocate in one place: each other one keeps what its thread's largest work took.

    (mallopt(3), M_ARENA_MAX.) They hold Python's lock while they allocate, so none waits for another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
