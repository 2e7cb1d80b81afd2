"""Words a small model never learnt: they are named, once, in the order written, and nothing else is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from newbie.prompt import read
from newbie.prompt.learnt import FILE, Vocabulary, unlearnt

KNOWN = Vocabulary(
    frozenset({"blue", "red", "hair", "girl", "1girl", "night", "solo"}), frozenset({"蓝发", "女孩", "樱花"})
)


def missing(text: str) -> list[str]:
    return unlearnt(read(text).scene, KNOWN)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("1girl, solo, Blue_Hair, castle, night", ["castle"]),
        ("1girl, dragon_wings, castle, dragon_wings", ["dragon wings", "castle"]),
        ("A girl with red hair riding a dragon at night.", ["riding", "dragon"]),
        ("蓝发的女孩，城堡，樱花", ["城堡"]),
        ("1girl, >_<, ^_^, red hair", []),
        ("", []),
    ],
)
def test_unknown_words_are_listed_in_every_dialect(prompt: str, words: list[str]):
    assert missing(prompt) == words


def test_element_names_are_not_words_of_the_prompt():
    text = "<character_1><appearance>blue_hair, elf_ears</appearance></character_1><caption>A girl, a castle</caption>"
    assert missing(text) == ["elf ears", "castle"]


def test_a_vocabulary_survives_json():
    assert Vocabulary.from_json(json.loads(json.dumps(KNOWN.to_json()))) == KNOWN


def test_a_model_with_a_vocabulary_says_what_had_no_effect(tmp_path: Path):
    from newbie import Pipeline
    from newbie.pipeline import bundled

    folder = tmp_path / "small"
    shutil.copytree(bundled(), folder)
    (folder / FILE).write_text(json.dumps(KNOWN.to_json()), encoding="utf-8")
    pipeline = Pipeline.open(folder)
    result = pipeline("1girl, blue_hair, castle, dragon", height=64, width=64, num_inference_steps=1, seed=1)
    assert result.notes == [f"{pipeline.name} never learnt: castle, dragon"]
    assert pipeline("1girl, blue_hair", height=64, width=64, num_inference_steps=1, seed=1).notes == []
    (folder / FILE).unlink()
    assert Pipeline.open(folder).vocabulary is None


def test_the_drawings_words_are_learnt_and_others_are_not():
    pytest.importorskip("skia", reason="the extra `train` is not installed", exc_type=ImportError)
    import random

    from newbie.train.figures import caption, sample
    from newbie.train.learnt import learnt

    vocabulary = learnt()
    rng = random.Random("other captions")
    for _ in range(200):
        assert unlearnt(read(caption(sample(rng), rng)).scene, vocabulary) == []
    assert unlearnt(read("1girl, castle, hatsune_miku").scene, vocabulary) == ["castle", "hatsune miku"]
