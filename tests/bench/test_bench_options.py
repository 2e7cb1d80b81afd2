"""Flags that make no sense are refused before anything is measured."""

from __future__ import annotations

import pytest
import torch

from newbie.bench import options as module
from newbie.errors import UsageError


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--device", "tpu"], "tpu"),
        (["--device", "cuda:99"], "cuda"),
        (["--dtype", "int4"], "int4"),
        (["--dtype", "fp16"], "fp16 is not used on a CPU"),
        (["--threads", "0"], "--threads 0"),
        (["--repeats", "0"], "--repeats 0"),
        (["--repeats", "100000"], "not between 1 and"),
        (["--steps", "1"], "--steps 1"),
        (["--minutes", "0"], "is no time"),
        (["--minutes", "nan"], "is no time"),
        (["--seed", "-1"], "--seed -1"),
        (["--sizes", "wide51"], "wide51"),
        (["--sizes", ","], "names nothing"),
        (["--sizes", "release1024"], "takes minutes on a CPU"),
        (["--lengths", "12,x"], "not whole numbers"),
        (["--lengths", "0,5"], "not all between 1"),
    ],
)
def test_nonsense_is_refused_with_a_hint(options, flags, said):
    with pytest.raises(UsageError, match=said) as caught:
        options(*flags)
    assert caught.value.hint


def test_a_close_name_is_suggested(options):
    with pytest.raises(UsageError) as caught:
        options("--sizes", "wide51")
    assert "wide512" in caught.value.hint


def test_a_file_cannot_be_the_folder(options, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        options("--out", str(tmp_path / "file"))


def test_auto_measures_in_bf16_only_where_the_hardware_has_it(options, monkeypatch):
    for native, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(module.devices, "native_bf16", lambda _, native=native: native)
        assert options("--dtype", "auto").dtype == dtype


def test_quick_means_one_repeat_and_fewer_lengths():
    argv = ["all", "--quick", "--device", "cpu"]
    quick = module.resolve(module.parser().parse_args(argv), argv)
    full = module.resolve(module.parser().parse_args(argv[:1] + argv[2:]), argv)
    assert quick.repeats < full.repeats and len(quick.lengths) < len(full.lengths)


def test_threads_are_restored_after_the_measurement():
    before = torch.get_num_threads()
    with module.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_the_name_of_a_result_tells_bench_size_dtype_and_machine(options):
    made = options()
    assert made.name("model", made.sizes[0]).startswith("model-tiny-float32-cpu")
