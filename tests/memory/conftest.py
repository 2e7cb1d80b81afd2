"""Small models on disk with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def parts():
    """Where the parts of newbie-mini lie."""
    from newbie.checkpoints import locate

    return locate(ROOT / "weights" / "newbie-mini")
