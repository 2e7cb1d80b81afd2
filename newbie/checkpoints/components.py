"""Find the four parts of a model: in a folder of any common layout, a single file, or files named one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from newbie.checkpoints import hub, licences, tokenizer_files
from newbie.checkpoints.layouts import COMPONENTS, SPOKEN, Component
from newbie.checkpoints.shards import read_json
from newbie.checkpoints.source import OtherPart, SeveralFound, Source, find, flag, search
from newbie.errors import WeightsError
from newbie.prompt.learnt import FILE as VOCABULARY_FILE
from newbie.prompt.learnt import Vocabulary
from newbie.request import Recommended

CARD = "newbie.json"  # beside model_index.json: how the model is best used, its name, its licence

# Folder names by part, the official one first; compared without case, dashes, dots and underscores.
FOLDERS: dict[Component, tuple[str, ...]] = {
    "transformer": ("transformer", "diffusion_models", "diffusion_model", "dit", "unet"),
    "text_encoder": (
        "text_encoder", "text_encoder_1", "gemma3-4b-it", "gemma-3-4b-it", "gemma3", "gemma", "text_encoders", "clip",
    ),
    "clip": (
        "clip_model", "text_encoder_2", "jina-clip-v2", "jina_clip", "jina", "clip", "clip_vision", "text_encoders",
    ),
    "vae": ("vae", "ae", "flux_vae", "autoencoder"),
}  # fmt: skip
# Folders that hold such folders: a ComfyUI installation, a repacked repository.
OUTER = ("models", "split_files", "ComfyUI/models")


class MissingPart(WeightsError):
    """A model without one of its parts."""


@dataclass(frozen=True)
class Components:
    """Where each part of one model lies. `clip` is None for models without a CLIP branch (Lumina-Image 2.0)."""

    transformer: Source
    text_encoder: Source
    clip: Source | None
    vae: Source
    name: str  # of the model, without a path
    recommended: Recommended = field(default_factory=Recommended)
    card: Mapping[str, Any] = field(default_factory=dict, hash=False)  # the rest of newbie.json
    vocabulary: Vocabulary | None = field(default=None, hash=False)  # of a model that learnt few words
    folder: Path | None = None  # what else was stored with the transformer lies here

    def sources(self) -> dict[Component, Source]:
        """The parts that there are, in a fixed order."""
        found = {component: getattr(self, component) for component in COMPONENTS}
        return {component: source for component, source in found.items() if source is not None}

    @property
    def parameters(self) -> int:
        """Numbers in all parts, as their headers say."""
        opened = [source.open() for source in self.sources().values()]
        return sum(one.index[name].parameters for one in opened for name in one.part.names)

    @property
    def licences(self) -> tuple[str, ...]:
        """The terms that come with these weights, a line each: the model's own statement, else what is recognised."""
        own = licences.of_card(self.card, self.name)
        known = [own] if own else [licences.of_part(source.open()) for source in self.sources().values()]
        return tuple(licence.line() for licence in known if licence is not None)


def locate(
    model: str | Path | None = None,
    *,
    transformer: str | Path | None = None,
    text_encoder: str | Path | None = None,
    clip: str | Path | None = None,
    vae: str | Path | None = None,
    allow_pickle: bool = False,
    axes_dims: Sequence[int] | None = None,
    spare: Path | None = None,
    on_note: Callable[[str], None] | None = None,
    on_download: Callable[[hub.Download], None] | None = None,
) -> Components:
    """Find the parts of `model` (a folder, a file, or a hub id "user/repo"); a part named by itself goes first.

    `axes_dims` are the transformer's RoPE axes where neither a config nor the shapes tell. An encoder that has no
    tokenizer gets that of `model`, or of the folder `spare`, where its tokens fit. `on_note` is told what
    was chosen without being asked. `on_download` is called with the size before anything is fetched from a hub, and
    may raise to stop; without it the size goes to `on_note`.

    Raises:
        WeightsError: a part is missing (says where it was looked for, and which flag names it), ambiguous,
            damaged, or not what it is said to be.
    """
    say = on_note or (lambda note: None)
    named = {"transformer": transformer, "text_encoder": text_encoder, "clip": clip, "vae": vae}
    found: dict[Component, Source] = {
        part: find(part, existing(named[part], flag(part)), allow_pickle=allow_pickle)
        for part in COMPONENTS
        if named[part] is not None
    }
    root: Path | None = None
    name = ""
    if model is not None:
        root, name = _root(model, allow_pickle, on_download or _teller(say))
        absent = [part for part in COMPONENTS if part not in found]
        found |= _in_file(root, absent, allow_pickle) if root.is_file() else {}
    elif "transformer" not in found:
        raise WeightsError("no model is named", "pass --model FOLDER, FILE or a hub id, or the parts one by one")
    for part in COMPONENTS:
        if part not in found and not (part == "clip" and not found["transformer"].open().part.has_clip):
            found[part] = find_in_tree(part, root, allow_pickle=allow_pickle)
            if root is not None and root.is_file():
                say(f"{SPOKEN[part]}: found {found[part].folder.name}/{found[part].files[0].name} beside {root.name}")
    for part in tokenizer_files.BESIDE:
        lenders = (place for place in (root, spare) if place is not None and place.exists())
        places = (place for lender in lenders for place in _tokenizer_places(part, lender))
        if part in found:
            found[part] = tokenizer_files.with_tokenizer(found[part], places, say)
    if axes_dims is not None:
        found["transformer"] = replace(found["transformer"], config={"axes_dims": list(axes_dims)})
    card = read_card(root)
    return Components(
        transformer=found["transformer"],
        text_encoder=found["text_encoder"],
        clip=found.get("clip"),
        vae=found["vae"],
        name=str(card.get("name") or name or found["transformer"].name.split(".")[0]),
        recommended=_recommended(card),
        card={key: value for key, value in card.items() if key not in _RECOMMENDED},
        vocabulary=_vocabulary(root) if not {"transformer", "text_encoder"} & {k for k in named if named[k]} else None,
        folder=root if root is not None and root.is_dir() and named["transformer"] is None else None,
    )


def existing(path: str | Path | None, what: str) -> Path:
    """A path that exists, with ~ expanded.

    Raises:
        WeightsError: there is nothing.
    """
    place = Path(path or "").expanduser()
    if not place.exists():
        raise WeightsError(f"{what} {path}: no such file or folder", "check the path")
    return place


def _root(model: str | Path, allow_pickle: bool, on_download: Callable[[hub.Download], None]) -> tuple[Path, str]:
    """The folder or file of a model, fetched first if it is a hub id, and its name."""
    place = Path(model).expanduser()
    # "weights/typo" is a slip in a path where there is a folder "weights", not a reason to ask the hub.
    if not place.exists() and not place.parent.is_dir() and isinstance(model, str) and hub.is_id(model):
        return hub.download(model, allow_pickle=allow_pickle, on_download=on_download), model
    root = existing(model, "model")
    name = root.resolve().stem if root.is_file() else root.resolve().name
    return root, name


def _teller(say: Callable[[str], None]) -> Callable[[hub.Download], None]:
    def tell(download: hub.Download) -> None:
        for line in download.lines():
            say(line)

    return tell


def _in_file(path: Path, wanted: list[Component], allow_pickle: bool) -> dict[Component, Source]:
    """The wanted parts that one file holds; all of them for an all-in-one checkpoint."""
    found: dict[Component, Source] = {}
    refusal: WeightsError | None = None
    for part in wanted:
        try:
            found[part] = find(part, path, allow_pickle=allow_pickle)
        except WeightsError as error:
            refusal = refusal or error
    if not found and refusal is not None:
        raise refusal
    return found


def find_in_tree(part: Component, root: Path | None, *, allow_pickle: bool = False) -> Source:
    """A part in the folders below the model's root, or, for a file, in those around it.

    Raises:
        MissingPart: it is nowhere; says where it was looked for.
        WeightsError: it is damaged, or there are several.
    """
    if root is None:
        raise MissingPart(f"the {SPOKEN[part]} is missing", f"name it with {flag(part)} FILE_OR_FOLDER")
    looked: list[str] = []
    damaged: WeightsError | None = None
    for folder in _places(part, root):
        looked.append(f"{folder.name}/")
        try:
            return search(part, folder, allow_pickle=allow_pickle)
        except SeveralFound:
            raise
        except OtherPart:
            continue
        except WeightsError as error:
            if _same(folder.name, FOLDERS[part][0]):  # the official place holds nothing else
                raise
            damaged = damaged or error
    where = ", ".join(dict.fromkeys(looked))
    raise MissingPart(
        f"{root.name}: the {SPOKEN[part]} is missing; looked in {where}"
        + (f". Not usable: {damaged.message}" if damaged else ""),
        f"name it with {flag(part)} FILE_OR_FOLDER (usual folder: {FOLDERS[part][0]}/)",
    )


def _places(part: Component, root: Path) -> list[Path]:
    """Existing folders that may hold the part, the likeliest first."""
    tops = _tops(root)
    places = []
    for top in tops:
        inside = sorted(path for path in top.iterdir() if path.is_dir())
        places += [path for name in FOLDERS[part] for path in inside if _same(path.name, name)]
    return list(dict.fromkeys([*places, tops[0]]))


def _tops(root: Path) -> list[Path]:
    """The folders in which those of the parts may lie."""
    if root.is_file():
        return [root.parent, root.parent.parent]
    return [root, *(root / outer for outer in OUTER if (root / outer).is_dir())]


def _tokenizer_places(part: Component, root: Path) -> list[Path]:
    """Where a model keeps the tokenizer of one of its encoders."""
    apart = [top / name for top in _tops(root) for name in tokenizer_files.BESIDE[part]]
    return [*_places(part, root), *apart]


def _same(name: str, other: str) -> bool:
    def plain(text: str) -> str:
        return "".join(character for character in text.lower() if character not in "-_. ")

    return plain(name) == plain(other)


def read_card(root: Path | None) -> dict[str, Any]:
    """A model folder's newbie.json; empty where there is none. Raises WeightsError when it is not JSON."""
    folder = root if root is not None and root.is_dir() else None
    return read_json(folder / CARD) if folder is not None and (folder / CARD).is_file() else {}


def _vocabulary(root: Path | None) -> Vocabulary | None:
    """The words a model folder's vocabulary.json lists; None where there is none, as for every large model."""
    path = root / VOCABULARY_FILE if root is not None and root.is_dir() else None
    return Vocabulary.from_json(read_json(path)) if path is not None and path.is_file() else None


_RECOMMENDED = Recommended().to_json()


def _recommended(card: Mapping[str, Any]) -> Recommended:
    """The card's settings; each must have the type of the default it replaces."""
    for key, default in _RECOMMENDED.items():
        value = card.get(key, default)
        kinds = (str, type(None)) if key == "system_prompt" else (type(default),)
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) not in kinds and not number:
            raise WeightsError(f"{CARD}: {key} is {value!r}", f"expected something like {default!r}")
    return Recommended.from_json(card)
