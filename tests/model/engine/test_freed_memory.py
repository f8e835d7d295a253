"""Freed memory goes back, where the allocator knows how."""

import platform

from model.engine.freed_memory import _trim, give_back


def test_glibc_knows_how():
    assert give_back() is (platform.libc_ver()[0] == "glibc")


def test_other_allocators_are_left_alone(monkeypatch):
    _trim.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert give_back() is False
    _trim.cache_clear()
