"""What glibc does with freed memory, seen from the kernel's counter of pages mapped."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from mirclr.memory import keep_freed

if sys.argv[1] == "keep":
    assert keep_freed()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):  # the heap finds its size
    torch.ones(1 << 24)  # 64 MiB
before = faults()
for _ in range(4):
    torch.ones(1 << 24)
print(faults() - before)
"""


def pages_mapped(how: str) -> int:
    env = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone hands memory back like this")
def test_kept_memory_is_not_mapped_anew() -> None:
    assert pages_mapped("keep") < pages_mapped("leave") / 2
