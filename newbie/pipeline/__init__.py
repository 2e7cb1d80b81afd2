"""A prompt becomes a picture: `Pipeline.open` loads a model, `generate` draws."""

from newbie.pipeline.events import OnPicture, OnStep, StepEvent
from newbie.pipeline.opening import BUNDLED, bundled
from newbie.pipeline.pipeline import Pipeline
from newbie.prompt.asked import Prompt

__all__ = ["BUNDLED", "OnPicture", "OnStep", "Pipeline", "Prompt", "StepEvent", "bundled"]
