"""`/lora` in the prompt loop: which adapters are worn from now on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from newbie.errors import UsageError
from newbie.request import AdapterChoice

Worn = tuple[AdapterChoice, ...]


def changed(worn: Worn, argument: str, first: Worn) -> Worn:
    """What is worn after `/lora ARGUMENT`: FILE[:STRENGTH] adds or changes one, `off NAME` takes one off, `none` takes
    off all, `default` goes back to `first`.

    Raises:
        UsageError: nothing of that name is worn; the hint lists what is.
    """
    if argument in ("none", "off"):
        return ()
    if argument == "default":
        return first
    if argument.startswith("off "):
        name = argument.removeprefix("off ").strip()
        index = _find(worn, name)
        if index is None:
            raise UsageError(f"no adapter {name} is worn", f"worn: {told(worn)}")
        return worn[:index] + worn[index + 1 :]
    choice = AdapterChoice.parse(argument)
    index = _find(worn, choice.path)
    if index is None:
        return (*worn, choice)
    return (*worn[:index], worn[index]._replace(strength=choice.strength), *worn[index + 1 :])


def told(worn: Sequence[AdapterChoice]) -> str:
    """As they are typed."""
    return ", ".join(f"{choice.path}:{choice.strength:g}" for choice in worn) or "none"


def _find(worn: Worn, name: str) -> int | None:
    """The place of the adapter of that path, file name, or file name without its suffix; the last one of several."""
    for index, choice in reversed(list(enumerate(worn))):
        path = Path(choice.path)
        if name in (choice.path, path.name, path.stem):
            return index
    return None
