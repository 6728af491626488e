"""The C library's allocator -> the kernel: memory that much work took and nothing uses any more. Effects.

Called by `daemon/hotplug.py` after many devices: glibc keeps what the texts of big reads left (malloc_trim(3)), a
megabyte with 1,000 VIFs. ctypes is there already, below pyudev.
"""

from __future__ import annotations

import ctypes


def give_back_memory() -> None:
    """Have free memory given back; nothing where the C library has no such function."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
