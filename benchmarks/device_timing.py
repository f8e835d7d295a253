"""Times on a GPU (or, for rehearsals, on the CPU): of a step, of memory and of products, and where a step's time goes.

A GPU runs behind the host, so a stretch of runs is bracketed by events in its own stream and divided by their number.
Left out: what is measured (roofline.py).
"""

import statistics
import time
from collections.abc import Callable

import torch

NUM_WARMING, NUM_RUNS, NUM_STRETCHES = 10, 20, 9
REHEARSED = 2  # of each, on the CPU
COPY_BYTES = 1 << 30
PRODUCT_SIZE = 8192


def median_ms(run: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one run: the median over stretches of runs without a pause between them."""
    is_cuda = device.type == "cuda"
    for _ in range(NUM_WARMING if is_cuda else 1):
        run()
    num_runs, num_stretches = (NUM_RUNS, NUM_STRETCHES) if is_cuda else (REHEARSED, REHEARSED)
    return statistics.median(_stretch_ms(run, device, num_runs) / num_runs for _ in range(num_stretches))


def _stretch_ms(run: Callable[[], object], device: torch.device, num_runs: int) -> float:
    if device.type != "cuda":
        begun_s = time.perf_counter()
        for _ in range(num_runs):
            run()
        return (time.perf_counter() - begun_s) * 1000
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(num_runs):
        run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def bandwidth_per_s(device: torch.device, size_bytes: int = COPY_BYTES) -> float:
    """Bytes a second that a copy reads and writes: what the memory really gives, some way below the data sheet."""
    source = torch.ones(size_bytes // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size_bytes / (median_ms(lambda: target.copy_(source), device) / 1000)


def peak_per_s(device: torch.device, dtype: torch.dtype, size: int = PRODUCT_SIZE) -> float:
    """Operations a second of a large product."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / (median_ms(lambda: a @ b, device) / 1000)


def profile(run: Callable[[], object], device: torch.device, *, num_rows: int = 12) -> list[tuple[str, float, int]]:
    """(kernel, milliseconds, launches) of one run, the longest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as watch

    is_cuda = device.type == "cuda"
    run()
    with watch(activities=[ProfilerActivity.CUDA if is_cuda else ProfilerActivity.CPU]) as watched:
        run()
        if is_cuda:
            torch.cuda.synchronize(device)
    rows = [
        (event.key, (event.self_device_time_total if is_cuda else event.self_cpu_time_total) / 1000, event.count)
        for event in watched.key_averages()
    ]
    return sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])[:num_rows]
