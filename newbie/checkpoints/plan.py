"""What a load will do, from headers alone: open, recognise, translate, infer, build without memory, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from newbie.checkpoints import fp8, infer
from newbie.checkpoints.gguf import require_gemma3
from newbie.checkpoints.index import Index, Packed
from newbie.checkpoints.layouts import SPOKEN, Component, Part
from newbie.checkpoints.report import LoadReport, listed
from newbie.checkpoints.rules import Table
from newbie.checkpoints.source import CONFIG, Source
from newbie.checkpoints.tables import gemma as gemma_table
from newbie.checkpoints.tables import jina as jina_table
from newbie.checkpoints.tables import nextdit as nextdit_table
from newbie.checkpoints.tables import vae as vae_table
from newbie.checkpoints.translate import Recipe, Translation, translate
from newbie.errors import WeightsError
from newbie.model.nextdit import NextDiT
from newbie.quant.choice import Rule, linears
from newbie.quant.codec import Codec
from newbie.quant.guests import GUESTS
from newbie.text.gemma import build_gemma
from newbie.text.jina import JinaConfig, JinaTextTower
from newbie.vae import Autoencoder

INFER: dict[Component, Callable[..., infer.Inferred]] = {
    "transformer": infer.transformer,
    "text_encoder": infer.gemma,
    "clip": infer.jina,
    "vae": infer.vae,
}
BUILD: dict[Component, Callable[[Any], nn.Module]] = {
    "transformer": NextDiT,
    "text_encoder": build_gemma,
    "clip": JinaTextTower,
    "vae": Autoencoder,
}
OPTIONAL: dict[Component, tuple[str, ...]] = {"transformer": nextdit_table.OPTIONAL}
IGNORED: dict[Component, tuple[str, ...]] = {
    "transformer": nextdit_table.IGNORED,
    "text_encoder": gemma_table.IGNORED,
    "clip": jina_table.IGNORED,
}


@dataclass(frozen=True)
class Plan:
    """Everything about a load that headers tell; no weights have been read."""

    source: Source
    index: Index
    part: Part
    config: Any
    module: nn.Module  # on the meta device
    recipes: dict[str, Recipe]  # in the order of the module
    compressed: dict[str, Packed]  # of these, the matrices that stay as they are stored
    quantised: dict[str, Codec]  # … and those that are rounded while they are read
    report: LoadReport
    extras: dict[str, Recipe] = field(default_factory=dict)  # of the same network, and never used: the last layer


def plan_load(source: Source, *, decode: bool = False, quant: Rule | None = None) -> Plan:
    """Plan the load of one part. The report may say that it is incomplete: `load.fill` refuses it then.

    With `decode` matrices in fewer bits become plain ones; otherwise linear layers and embeddings keep them so. `quant`
    says which plain ones to put into fewer bits.

    Raises:
        WeightsError: the headers already show that nothing can be loaded.
    """
    opened = source.open()
    index, part = opened.index, opened.part
    if part.layout == "llama.cpp":
        require_gemma3(index)
    raw = source.raw_config(index)
    entries = fp8.rescaled({part.strip(name): index[name] for name in part.names})
    try:
        translation = translate(entries, table(part, entries, raw))
        shapes = {name: recipe.shape for name, recipe in translation.recipes.items()}
        config, notes = INFER[part.component](shapes, raw)
        with torch.device("meta"):
            module = BUILD[part.component](config)
    except WeightsError as error:
        raise WeightsError(f"{source.name}: {error.message}", error.hint) from error
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        # A config.json from elsewhere can be wrong in any way.
        raise WeightsError(
            f"{source.name}: its configuration cannot be used ({error})", f"correct or remove {source.folder / CONFIG}"
        ) from error
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    recipes = {name: translation.recipes[name] for name in expected if name in translation.recipes}
    compressed = {} if decode else _compressed(module, recipes)
    quantised = {} if quant is None else _quantised(module, quant, recipes, compressed)
    notes = (*index.notes, *notes, *_left(module, quant, compressed, quantised))
    known = _known_extras(part.component, config)
    report = _compare(source, part, translation, shapes, expected, compressed, quantised, known, notes)
    never = gemma_table.unused(config.num_hidden_layers) if part.component == "text_encoder" else ()
    extras = {name: recipe for name, recipe in translation.recipes.items() if never and name.startswith(never)}
    return Plan(source, index, part, config, module, recipes, compressed, quantised, report, extras)


def _quantised(
    module: nn.Module, quant: Rule, recipes: Mapping[str, Recipe], compressed: Mapping[str, Packed]
) -> dict[str, Codec]:
    """The weights that a rule puts into fewer bits."""
    wanted = {f"{path}.weight": codec for path, codec in quant.layers(module).items()}
    return {name: codec for name, codec in wanted.items() if name in recipes and name not in compressed}


def _left(
    module: nn.Module, quant: Rule | None, compressed: Mapping[str, Packed], quantised: Mapping[str, Codec]
) -> Iterator[str]:
    """What of a rule could not be done."""
    if quant is None:
        return
    wanted = [f"{path}.weight" for path in linears(module, quant.skip)]
    there = [compressed[name].codec.name for name in wanted if name in compressed]
    if there:
        yield f"{len(there)} layers are {'/'.join(dict.fromkeys(there))} in the file and stay so, not {quant.scheme}"
    odd = [name for name in wanted if name not in compressed and name not in quantised]
    if odd and quant.scheme not in GUESTS:
        yield f"{len(odd)} layers cannot be stored as {quant.scheme} and stay as they are: {listed(odd, 3)}"


def _compressed(module: nn.Module, recipes: Mapping[str, Recipe]) -> dict[str, Packed]:
    """The matrices of linear layers and embeddings that a file holds in fewer bits."""
    found: dict[str, Packed] = {}
    for name, recipe in recipes.items():
        owner, _, leaf = name.rpartition(".")
        if leaf == "weight" and isinstance(module.get_submodule(owner), nn.Linear | nn.Embedding):
            packed = recipe.packed
            if packed is not None:
                found[name] = packed
    return found


def require_fit(configs: Mapping[Component, Any]) -> None:
    """Raise WeightsError unless the parts of a model have the widths that the transformer was trained with."""
    transformer = configs["transformer"]
    pairs: list[tuple[Component, str, int | None, str]] = [
        ("text_encoder", "hidden_size", transformer.cap_feat_dim, "caption features"),
        ("clip", "hidden_size", transformer.clip_text_dim, "pooled vectors"),
        ("vae", "latent_channels", transformer.in_channels, "latent channels"),
    ]
    for component, name, wanted, what in pairs:
        given = getattr(configs.get(component), name, None)
        if given is not None and wanted is not None and given != wanted:
            raise WeightsError(
                f"the {SPOKEN[component]} makes {what} of {given}, the transformer was trained with {wanted}",
                "the parts are from different models; name the right one with its flag",
            )


def table(part: Part, entries: Iterable[str], raw: Mapping[str, Any]) -> Table:
    """The rules for a layout. The few numbers that rules depend on come from the names or the configuration."""
    if part.component == "transformer":
        return nextdit_table.diffusers() if part.layout == "diffusers" else ()
    if part.component == "vae" and part.layout.startswith("original"):
        names = list(entries)
        half = "decoder.up." if "decoder.conv_in.weight" in names else "encoder.down."
        return vae_table.original(len({name.split(".")[2] for name in names if name.startswith(half)}))
    if part.component == "vae":
        return vae_table.old_attention() if any(".attentions.0.query." in name for name in entries) else ()
    if part.component == "text_encoder":
        return gemma_table.llama() if part.layout == "llama.cpp" else ()
    if part.component == "clip" and part.layout == "original":
        said = JinaConfig.from_dict(raw)
        return jina_table.original(said.lora_alpha / said.lora_rank)
    return jina_table.transformers() if part.layout == "transformers" else ()


def _compare(
    source: Source,
    part: Part,
    translation: Translation,
    shapes: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    compressed: Mapping[str, Packed],
    quantised: Mapping[str, Codec],
    known: Callable[[str], bool],
    notes: tuple[str, ...],
) -> LoadReport:
    """Sort every tensor of the file and of the model into the lists of a report."""
    recipes = translation.recipes
    whole = {name: each for name in expected if name in recipes and (each := _whole_numbers(recipes[name]))}
    right = [name for name in expected if shapes.get(name) == expected[name] and name not in whole]
    absent = [name for name in expected if name not in recipes]
    extra = [name for name in recipes if name not in expected]
    optional = OPTIONAL.get(part.component, ())
    how = {name: recipes[name].how for name in right if recipes[name].how and name not in compressed}
    how |= {name: f"quantise to {codec.name}" for name, codec in quantised.items()}
    return LoadReport(
        component=part.component,
        source=source.name,
        layout=part.layout,
        prefix=part.prefix,
        matched=tuple(name for name in right if name not in how and name not in compressed),
        compressed=tuple((name, compressed[name].codec.name) for name in right if name in compressed),
        converted=tuple((name, how[name]) for name in right if name in how),
        missing=tuple(name for name in absent if name not in optional),
        filled=tuple(name for name in absent if name in optional),
        unexpected=(*(name for name in extra if not known(name)), *translation.half),
        ignored=tuple(name for name in extra if known(name)),
        wrong=(
            *(
                f"{name} has the shape {list(shapes[name])}, expected {list(expected[name])}"
                for name in expected
                if name in recipes and name not in whole and shapes[name] != expected[name]
            ),
            *(f"{name} is stored as {form} and nothing says by which scale" for name, form in whole.items()),
        ),
        notes=notes,
    )


def _whole_numbers(recipe: Recipe) -> str:
    """The number format of a tensor that is made of whole numbers, as of a file whose scales are lost; else ""."""
    odd = [entry.format for entry in recipe.entries if entry.packed is None and not entry.dtype.is_floating_point]
    return odd[0] if odd else ""


def _known_extras(component: Component, config: Any) -> Callable[[str], bool]:
    """Whether a tensor that the model does not have is one that files are known to carry."""
    inside = IGNORED.get(component, ())
    first = gemma_table.unused(config.num_hidden_layers) if component == "text_encoder" else ()

    def known(name: str) -> bool:
        return (
            name.endswith("spiece_model")
            or name.startswith((*first, *inside))
            or any(f".{start}" in name for start in inside)
        )

    return known
