"""A pipeline that draws stripes, and create.py called in this process."""

import importlib.util
import io
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

DOOR = Path(__file__).with_name("fake_door.py")


class Ended(NamedTuple):
    code: int
    out: str
    err: str
    pipeline: object  # None when no model was opened

    @property
    def drawn(self):
        return self.pipeline.drawn if self.pipeline else []


@pytest.fixture(scope="session")
def fake():
    spec = importlib.util.spec_from_file_location("fake_door", DOOR)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_door"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fake_door():
    return DOOR


@pytest.fixture
def create(fake, capsys, tmp_path, monkeypatch):
    """create(*flags) runs create.py's main in tmp_path with the pipeline of stripes."""
    from newbie.cli.create import main

    monkeypatch.chdir(tmp_path)

    def run(*flags, weights="f0" * 32):
        opened = []

        def opener(model=None, **options):
            opened.append(fake.FakePipeline.open(model, **options))
            opened[-1].weights = weights
            return opened[-1]

        code = main(list(map(str, flags)), opener=opener)
        assert len(opened) <= 1, "the model was loaded more than once"
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err, opened[0] if opened else None)

    return run


@pytest.fixture
def script(create, monkeypatch):
    """script(text, *flags) runs create.py with the text as standard input."""

    def run(text, *flags):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return create(*flags)

    return run
