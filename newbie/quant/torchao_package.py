"""The torchao package: its own configurations, each by its name."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from newbie.errors import UsageError


def quantised(weight: Tensor, config: str) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A layer for weights (rows, columns), and how to decode them.

    Raises:
        UsageError: the package has no such configuration, or refuses to compute it here.
    """
    rows, columns = weight.shape
    layer = nn.Linear(columns, rows, bias=False, device="meta")
    layer.weight = nn.Parameter(weight.clone(), requires_grad=False)
    whole = nn.Sequential(layer)  # the package replaces children
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            from torchao import quantization

            quantization.quantize_(whole, getattr(quantization, config)())
            whole(weight.new_zeros(17, columns))  # some refuse only when they compute
        except (ImportError, AttributeError, AssertionError, NotImplementedError, RuntimeError, ValueError) as error:
            why = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UsageError(f"torchao's {config} cannot be used here: {why}", "use a scheme of our own") from error
    inner: Any = whole[0]
    if type(inner.weight.data) is Tensor:  # it says nothing when it does nothing
        raise UsageError(f"torchao's {config} leaves weights of {rows} x {columns} as they are", "use another scheme")
    return whole.eval(), lambda: inner.weight.dequantize()
