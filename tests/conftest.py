"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mini():
    """The bundled model, opened once, on the CPU."""
    from newbie import Pipeline, Settings

    return Pipeline.open(settings=Settings(device="cpu"))
