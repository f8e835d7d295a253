"""Reading a family of processes from /proc."""

import os
import subprocess
import sys

import pytest

from benchmarks.memory import PROC, family, own_mb, resident_mb

pytestmark = pytest.mark.skipif(not (PROC / "self" / "status").exists(), reason="no /proc")


def test_a_family_has_the_grandchildren() -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0);"
        "print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert {os.getpid(), child.pid, grandchild} <= set(family(os.getpid()))
        assert family(grandchild) == [grandchild]
        assert resident_mb(family(child.pid)) > own_mb(child.pid) > 1
        child.communicate(b"\n")
    assert own_mb(grandchild) == 0
