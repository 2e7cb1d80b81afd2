"""Parts of a model on different devices: `--device-map auto`, or one that is written down.

Between parts little travels: features of a prompt are a few megabytes, latents less. So each part may be wherever there
is room for it, and none is ever cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from newbie import devices
from newbie.checkpoints.layouts import COMPONENTS
from newbie.errors import UsageError
from newbie.memory.amount import told

AUTO = "auto"
KEPT_FREE = 0.05  # of what a card has


class Room(NamedTuple):
    """A device and what is free on it, in bytes."""

    device: str
    free: int


def parse(text: str, usual: str) -> dict[str, str]:
    """`transformer=cuda:0,text-encoder=cpu`: the device of each part; `usual` for those that are not named.

    Raises:
        UsageError: no such part, a part named twice, or a device that is not here.
    """
    found: dict[str, str] = {}
    for each in filter(None, text.replace(" ", "").split(",")):
        part, equals, name = each.partition("=")
        part = part.replace("-", "_")
        if not equals or part not in COMPONENTS:
            spoken = ", ".join(known.replace("_", "-") for known in COMPONENTS)
            raise UsageError(f"--device-map does not understand {each!r}", f"auto, or PART=DEVICE,... with {spoken}")
        if part in found:
            raise UsageError(f"--device-map names {part.replace('_', '-')} twice", "name each part once")
        found[part] = devices.device(name).value
    return {part: found.get(part, usual) for part in COMPONENTS}


def automatic(needs: Mapping[str, int], rooms: Sequence[Room]) -> dict[str, str]:
    """The device of each part that needs so many bytes while it works.

    The transformer, which works at every step, goes first, to the card with the most room; the autoencoder beside it
    where it can; then the text encoders. What fits on no card goes to the last of `rooms`, the processor.

    Raises:
        UsageError: the transformer fits on no card: parts are not cut, but may come and go.
    """
    left = {room.device: room.free for room in rooms}
    *cards, last = left
    found: dict[str, str] = {}
    for part in ("transformer", "vae", "text_encoder", "clip"):
        if part not in needs:
            continue
        # Beside the transformer if there is room, for nothing has to travel then.
        order = sorted(cards, key=lambda card: (card != found.get("transformer"), -left[card]))
        place = next((card for card in order if needs[part] <= left[card]), last)
        if part == "transformer" and place == last and cards:
            raise UsageError(
                f"the transformer needs {told(needs[part])}, and no card has so much free", "use --memory auto instead"
            )
        found[part] = place
        left[place] -= needs[part]
    return found


def rooms() -> list[Room]:
    """The cards of this machine, and the processor last."""
    found = []
    for number in range(torch.cuda.device_count()):
        free = torch.cuda.mem_get_info(number)[0]
        found.append(Room(f"cuda:{number}", int(free * (1 - KEPT_FREE))))
    return [*found, Room("cpu", devices.free_memory())]


def lines(places: Mapping[str, str]) -> str:
    """ "transformer cuda:0, text encoder cpu": what is told and recorded."""
    return ", ".join(f"{part.replace('_', ' ')} {place}" for part, place in places.items())
