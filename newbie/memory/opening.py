"""From what was asked for (`--memory`, `--offload`, `--quant`) to a model in memory: counted, planned, told, loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import cast

import torch

from newbie import devices
from newbie.checkpoints import Components, require_fit
from newbie.checkpoints.plan import plan_load
from newbie.errors import UsageError, require_known
from newbie.memory import amount, device_map
from newbie.memory.lodging import Lodging
from newbie.memory.meter import Resident
from newbie.memory.planner import Machine, MemoryPlan, forced, make_plan
from newbie.memory.ways import EXACT, Model, Part, Picture, working_bytes
from newbie.quant.choice import Choice
from newbie.quant.guests import GUESTS
from newbie.request import Recommended, Request, Settings
from newbie.vae.tiling import Tiling

OFFLOAD = dict(zip(("none", "text", "parts", "blocks", "layers"), EXACT, strict=True))
ROOMY = 8 * 10**9  # bytes beside twice the weights: where there is so much, nothing needs to be counted
RESERVE = 0.95  # of what is free may be planned for
CONTEXT = 500_000_000  # bytes that a card's driver takes for itself
LIBRARIES = 40_000_000  # bytes of code and tables that libraries bring in when they first compute


def wanted(settings: Settings) -> bool:
    """Whether a plan was asked for.

    Raises:
        UsageError: an amount or a way that there is not.
    """
    if settings.memory and settings.memory != amount.AUTO:
        amount.parse(settings.memory)
    if settings.offload:
        require_known(settings.offload, OFFLOAD, "way to be in memory")
    return bool(settings.memory or settings.offload)


def careful(
    parts: Components,
    settings: Settings,
    chosen: Mapping[str, devices.Choice],
    say: Callable[[str], None],
    drawing: Request | None = None,
) -> Settings:
    """The settings where everything fits, or was planned already; else with a plan for what is free, which is told.

    Where the system does not say what is free, or layers are those of other packages, nothing can be foreseen.
    """
    free = devices.free_memory(chosen["device"].value)
    weights = parts.parameters * devices.DTYPES[chosen["dtype"].value].itemsize
    if wanted(settings) or settings.device_map or _guests(settings) or not free or 2 * weights + ROOMY < free:
        return settings
    plan = planned(parts, replace(settings, offload="none"), chosen, drawing)
    if plan.needed <= plan.machine.limit:
        return settings
    say(f"all of the model would need {amount.told(plan.needed)}, and there are {amount.told(plan.machine.limit)}")
    return replace(settings, memory=amount.AUTO)


def lodged(
    parts: Components,
    settings: Settings,
    chosen: Mapping[str, devices.Choice],
    say: Callable[[str], None],
    drawing: Request | None = None,
) -> Lodging:
    """The model as it fits to draw such a request; `say` is told the plan before anything is loaded.

    Raises:
        NothingFits: in no way.
        WeightsError, UsageError: as loading does.
    """
    plan = planned(parts, settings, chosen, drawing)
    for line in plan.lines():
        say(line)
    return Lodging(plan)


def placed(parts: Components, settings: Settings, drawing: Request | None = None) -> dict[str, str]:
    """The device of each part, as `--device-map` asks. Reads headers only.

    Raises:
        UsageError: a map that makes no sense, or cannot be had here.
    """
    if wanted(settings):
        raise UsageError(
            "with --device-map every part stays where it is", "leave out --memory and --offload, or the map"
        )
    there = set(parts.sources())
    if settings.device_map != device_map.AUTO:
        places = device_map.parse(settings.device_map, devices.device(settings.device).value)
        return {part: place for part, place in places.items() if part in there}
    if settings.device != "auto":
        raise UsageError(f"--device {settings.device} leaves --device-map auto nothing to choose", "leave one out")
    return device_map.automatic(needs(parts, settings, drawing), device_map.rooms())


def needs(parts: Components, settings: Settings, drawing: Request | None = None) -> dict[str, int]:
    """Bytes of each part while it works on such a request, on a card."""
    card = torch.device("cuda")
    usual = devices.device("auto").value
    dtype = devices.DTYPES[devices.dtype(settings.dtype, usual, parts.parameters).value]
    choice = Choice.parse(settings.quant, settings.quant_skip)
    found = {
        name: Part(plan_load(source, quant=choice.rule(name)), card, dtype) for name, source in parts.sources().items()
    }
    working = working_bytes(Model(cast("dict[str, Part]", found)), picture_of(drawing, parts.recommended))
    return {name: part.weights.bytes + part.need("stays").working + working[name] for name, part in found.items()}


def planned(
    parts: Components, settings: Settings, chosen: Mapping[str, devices.Choice], drawing: Request | None = None
) -> MemoryPlan:
    """What would be done. Reads headers only."""
    device = torch.device(chosen["device"].value)
    dtype, vae_dtype = (devices.DTYPES[chosen[name].value] for name in ("dtype", "vae_dtype"))

    if guests := _guests(settings):
        raise UsageError(f"{guests[0]} makes its layers of whole ones, which no plan can spare", "leave out --memory")

    @cache
    def weighed(scheme: str) -> Model:
        choice = Choice.parse(settings.quant or scheme, settings.quant_skip)
        found = {
            name: Part(plan_load(source, quant=choice.rule(name)), device, vae_dtype if name == "vae" else dtype)
            for name, source in parts.sources().items()
        }
        require_fit({name: part.plan.config for name, part in found.items()})
        return Model(cast("dict[str, Part]", found), _leaves(settings, device, dtype))

    plain = weighed("")  # first: what is imported for it counts as in use
    machine = _machine(settings, device)
    picture = picture_of(drawing, parts.recommended)
    tiling = Tiling(settings.vae_tile) if settings.vae_tile else None
    if settings.offload:
        plan = forced(lambda scheme: plain, replace(OFFLOAD[settings.offload], tiling=tiling), machine, picture)
    else:
        schemes = ("",) if settings.quant else ("", "w8a8" if device.type == "cpu" else "int8", "nf4")
        plan = make_plan(weighed, machine, picture, schemes=schemes)
    return replace(plan, way=replace(plan.way, tiling=tiling)) if tiling else plan


def leaner(settings: Settings, plan: MemoryPlan | None = None) -> Settings | None:
    """The same model in the next way, which needs less; None: there is none. `plan` is what came of `settings`.

    Bits of weights and tiles stay as they were planned: running out of memory changes no picture.
    """
    if settings.device_map or (settings.memory and plan is None):
        return None  # parts stay where they are; or no way fits, and that was said
    if _guests(settings):
        return None
    names = list(OFFLOAD)
    now = settings.offload or "none"
    if plan is not None:
        now = next(name for name, way in OFFLOAD.items() if way.name == plan.way.name)
        tile = plan.way.tiling.side if plan.way.tiling else 0
        settings = replace(settings, quant=settings.quant or plan.way.quant, vae_tile=settings.vae_tile or tile)
    following = names[names.index(now) + 1 :]
    return replace(settings, offload=following[0]) if following else None


def told_leaner(settings: Settings) -> str:
    """What a person is told of such settings when they are used."""
    return f"from here on {OFFLOAD[settings.offload].name} (--offload {settings.offload})"


def _guests(settings: Settings) -> list[str]:
    """The schemes of other packages among those asked for."""
    rules = Choice.parse(settings.quant, settings.quant_skip).rules.values()
    return [rule.scheme for rule in rules if rule.scheme in GUESTS]


def _machine(settings: Settings, device: torch.device) -> Machine:
    asked = settings.memory or amount.AUTO
    if device.type == "cuda":
        before, free = CONTEXT, torch.cuda.mem_get_info(device)[0]
    else:
        now = Resident.now()
        before = now.whole + LIBRARIES
        free = now.own + devices.free_memory()  # pages of files count as free already
    limit = int(free * RESERVE) if asked == amount.AUTO else amount.parse(asked)
    return Machine.of(device.type, limit, before, asked, devices.threads())


def picture_of(drawing: Request | None, recommended: Recommended) -> Picture:
    """What a plan is made for: the request that is known when the model is opened, else what the model recommends.

    Raises:
        UsageError: a number of the request is out of range.
    """
    request = (drawing or Request()).resolved(recommended)
    assert request.width and request.height and request.steps  # resolved
    return Picture(request.width, request.height, min(request.count, request.batch_size), request.steps)


def _leaves(settings: Settings, device: torch.device, dtype: torch.dtype) -> str:
    """How the blocks will probably be computed; `accel.choose` decides when they are there."""
    cpu = device.type == "cpu" and (dtype == torch.float32 or devices.native_bf16("cpu"))
    return "cpu" if cpu and settings.leaves in ("auto", "cpu") else "plain"
