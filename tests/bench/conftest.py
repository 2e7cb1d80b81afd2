"""A benchmark that takes no time: tiny models, one thread."""

from __future__ import annotations

import pytest
import torch

from newbie.bench.options import Options, parser, resolve


@pytest.fixture
def options(tmp_path):
    """Options from flags; everything tiny unless said otherwise."""

    def make(*flags: str) -> Options:
        tiny = "all --device cpu --dtype float32 --sizes tiny --steps 3 --repeats 2 --lengths 5,16 --threads 1"
        argv = [*tiny.split(), "--no-compile", "--out", str(tmp_path / "results"), *flags]
        return resolve(parser().parse_args(argv), argv)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
