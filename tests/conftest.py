"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory):
    """What the program remembers about its user (history, licences told) stays out of the tests, and they out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def mini():
    """The bundled model, opened once, on the CPU."""
    from newbie import Pipeline, Settings

    return Pipeline.open(settings=Settings(device="cpu"))
