"""Peak memory of a call: on a card by the allocator's own counter, on a CPU by adding up torch's allocations."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch.profiler import ProfilerActivity, profile

HOW = {
    "cuda": "the most that torch's CUDA allocator held during the call, less what it held before",
    "cpu": "every allocation and release of torch during the call, added up; buffers inside libraries are not seen",
}


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """The most memory that `run` holds at a time beyond what there was before, its result included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = run()  # kept until the peak is read
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) - before
        del result
        return peak
    # The resident size of a process says little: malloc keeps what was freed and hands out pages when they are touched.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        run()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    changes = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for change in sorted(changes, key=lambda event: cast("int", event.start_ns())):
        held += change.nbytes()
        peak = max(peak, held)
    return peak
