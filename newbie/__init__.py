"""NewBie: XML prompts become anime pictures, through a Next-DiT written to be read.

    from newbie import Pipeline

    pipeline = Pipeline.open()
    pipeline("<character_1>…</character_1>", height=256, width=256).images[0].save("picture.png")

The public names are imported when they are first used, so that reading a prompt never loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from newbie.errors import NewbieError
    from newbie.pipeline import Pipeline
    from newbie.request import Recommended, Request, Result, Settings

__version__ = "0.1.0"
__all__ = ["NewbieError", "Pipeline", "Recommended", "Request", "Result", "Settings", "__version__"]

_HOMES = {
    "NewbieError": "newbie.errors",
    "Pipeline": "newbie.pipeline",
    "Recommended": "newbie.request",
    "Request": "newbie.request",
    "Result": "newbie.request",
    "Settings": "newbie.request",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'newbie' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
