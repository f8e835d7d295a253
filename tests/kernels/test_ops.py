"""Which operations a device gets, and that both kinds have the same signatures."""

import dataclasses
import inspect

import pytest
import torch

from kernels.ops import VARIABLE, Ops, ops_for


def test_a_cpu_gets_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    ops = ops_for(torch.device("cpu"))
    assert ops.kind == "torch"
    assert ops.swiglu.__module__ == "kernels.swiglu.reference"
    assert ops is ops_for(torch.device("cpu")), "decided once"


def test_the_variable_asks_for_references_and_the_argument_overrides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert ops_for(torch.device("cuda")).kind == "triton"
    monkeypatch.setenv(VARIABLE, "torch")
    assert ops_for(torch.device("cuda")).kind == "torch"
    assert ops_for(torch.device("cuda"), "triton").kind == "triton"


def test_both_kinds_are_called_alike() -> None:
    pytest.importorskip("triton")
    ours, theirs = (ops_for(torch.device("cpu"), kind) for kind in ("torch", "triton"))
    for field in dataclasses.fields(Ops):
        if field.name == "kind":
            continue
        reference, kernel = getattr(ours, field.name), getattr(theirs, field.name)
        wanted = list(inspect.signature(reference).parameters)
        assert list(inspect.signature(kernel).parameters)[: len(wanted)] == wanted, field.name
        assert kernel.__module__ == reference.__module__.replace("reference", "kernel")
