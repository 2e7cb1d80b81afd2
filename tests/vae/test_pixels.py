"""Float pixels to bytes, against the golden bytes and back again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from newbie.vae import from_uint8, to_uint8

FOLDERS = (Path(__file__).parents[1] / "golden", Path(__file__).parents[3] / "shared" / "golden")


@pytest.mark.parametrize("layout", ["diffusers", "original"])
def test_bytes_equal_the_golden_ones_rounded_and_truncated(layout: str) -> None:
    name = f"vae_{layout}_io.safetensors"
    found = [folder / name for folder in FOLDERS if (folder / name).exists()]
    if not found:
        pytest.skip(f"{name} is not among the golden files of this copy")
    tensors = load_file(found[0])
    for case in {k.split("/")[0] for k in tensors}:
        decoded = tensors[f"{case}/decoded"]
        rounded, truncated = to_uint8(decoded), to_uint8(decoded, truncate=True)
        assert torch.equal(rounded, tensors[f"{case}/uint8_rounded"].permute(0, 2, 3, 1))
        assert torch.equal(truncated, tensors[f"{case}/uint8_truncated"].permute(0, 2, 3, 1))


def test_every_byte_survives_the_way_to_floats_and_back() -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    pixels = from_uint8(image)
    assert pixels.min() == -1 and pixels.max() == 1
    assert torch.equal(to_uint8(pixels), image)


def test_values_outside_the_range_are_clamped_and_the_input_is_left_alone() -> None:
    pixels = torch.tensor([-9.0, 0.0, 9.0]).reshape(1, 3, 1, 1)
    assert to_uint8(pixels).flatten().tolist() == [0, 128, 255]  # 127.5 goes to the even neighbour
    assert to_uint8(pixels, truncate=True).flatten().tolist() == [0, 127, 255]
    assert pixels.flatten().tolist() == [-9.0, 0.0, 9.0]
