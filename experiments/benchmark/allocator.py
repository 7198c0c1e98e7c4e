"""The allocator of the process, by which every candidate's fresh buffers are made.

glibc gives large buffers back to the kernel when they are freed, and each new one is then paid for
page by page. `hugepages` keeps them, in pages of 2 MiB where the kernel allows that on request. The
setting must be made before a process starts, so the benchmark starts itself again with it.
"""

from __future__ import annotations

import os
import platform
import sys

from rnnlab.errors import UsageError

#: glibc's tunables by the name of the setting.
TUNABLES = {
    "default": "",
    "hugepages": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:"
    "glibc.malloc.trim_threshold=17179869184",
}
_VARIABLE = "GLIBC_TUNABLES"


def require(setting: str) -> None:
    """Returns if the process has that allocator, else starts the same command again with it.

    Raises:
      UsageError: there is no glibc of at least 2.35, or it did not take the setting.
    """
    tunables = TUNABLES[setting]
    if not tunables or _current() == tunables:
        return
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 35):
        found = f"{library} {version}".strip() or f"the C library of {platform.system()}"
        raise UsageError(f"allocator={setting!r}: needs glibc 2.35 or later, this is {found}")
    if _current():
        raise UsageError(
            f"allocator={setting!r}: {_VARIABLE}={_current()} is set to something else; unset it"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, sys.orig_argv, os.environ | {_VARIABLE: tunables})


def describe(setting: str) -> dict[str, str]:
    """The setting, the tunables in force, and what the kernel says about large pages."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
            pages = file.read().strip()
    except OSError:
        pages = "unknown"
    return {"setting": setting, _VARIABLE: _current(), "transparent huge pages": pages}


def _current() -> str:
    return os.environ.get(_VARIABLE, "")
