"""The allocator under which everything is timed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from experiments.benchmark import allocator
from rnnlab.errors import UsageError


def test_the_allocator_needs_a_recent_glibc(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    with pytest.raises(UsageError, match=r"allocator='hugepages': needs glibc 2\.35"):
        allocator.require("hugepages")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    with pytest.raises(UsageError, match=r"GLIBC_TUNABLES=glibc\.malloc\.arena_max=2"):
        allocator.require("hugepages")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_process_starts_itself_again_under_the_allocator():
    code = (
        "from experiments.benchmark import allocator as a; a.require('hugepages'); "
        "print(a.describe('hugepages')['GLIBC_TUNABLES'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [allocator.TUNABLES["hugepages"]]
