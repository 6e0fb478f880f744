"""Freed memory is kept for the next step instead of going back to the system.

A training step frees what it allocated, and the next one allocates the same again. glibc hands blocks above 32 MiB
back at once, and the kernel then clears and maps every page of them anew: 90,000 pages a step with the defaults. Kept,
and in pages of 2 MiB, a step takes 15 % less time with two threads and 10 % less with one, for 300 MB more of memory
(two cores of an AMD EPYC with AVX2; four interleaved repeats, none of which overlap).
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's malloc.h
_TOP_PAD_BYTES = 64 << 20


def ask_for_huge_pages() -> None:
    """Have torch ask the kernel for pages of 2 MiB, unless the environment says otherwise.

    torch looks once, at its first tensor: a program that already made one has its answer.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def keep_freed() -> bool:
    """From here on the process keeps what it frees; whether its C library can. Another than glibc is left as it is."""
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _TOP_PAD_BYTES))
        return all(mallopt(name, value) == 1 for name, value in wanted)
    return False
