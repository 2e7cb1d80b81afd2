"""What every door does with a Request: let the pipeline draw it, save each picture, say what happened."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from newbie import images
from newbie.cli.console import Console
from newbie.cli.names import Output
from newbie.cli.progress import Progress
from newbie.errors import MemoryShortage, UsageError
from newbie.prompt.reuse.recipe import KEY, Recipe
from newbie.request import Recommended, Request, Result, Settings

if TYPE_CHECKING:
    from newbie.cli.args import Asked, ModelChoice

_ANY_SEED = -1


class Engine(Protocol):
    """The part of `newbie.Pipeline` that doors use."""

    @property
    def recommended(self) -> Recommended: ...

    @property
    def name(self) -> str: ...

    @property
    def load_seconds(self) -> float: ...

    @property
    def licences(self) -> Sequence[str]: ...

    def describe(self) -> dict[str, Any]: ...

    def reasons(self) -> dict[str, str]: ...

    def expected(self, request: Request) -> list[str]: ...

    def with_attention(self, name: str) -> Engine: ...

    def with_adapters(self, *adapters: Any, on_note: Any = None) -> Engine: ...

    def leaner(self, *, on_note: Any = None) -> Engine: ...

    def generate(
        self, request: Request, *, on_step: Any = None, on_picture: Any = None, heatmaps: bool = False
    ) -> Result: ...


OpenEngine = Callable[..., Engine]  # with the arguments of `Pipeline.open`


@dataclass(frozen=True)
class Made:
    """One picture on disk. `skipped`: it was there before."""

    path: Path
    seed: int
    record: Mapping[str, Any]
    skipped: bool = False


@dataclass
class Drawer:
    """Draws requests one after another with one engine; never gives two pictures of a run the same name."""

    engine: Engine
    console: Console
    output: Output
    overwrite: bool = False
    metadata: bool = True
    preview: bool = False
    heatmaps: bool = False
    expected: str | None = None  # the pixel hash that `--like` hopes for
    on_leaner: Callable[[Engine], None] = lambda engine: None  # told when memory ran out and `engine` has changed
    made: int = 0
    _told: set[str] = field(default_factory=set)
    _there: list[Path] | None = None  # the output folder as it was before this run
    _taken: set[str] = field(default_factory=set)  # what this run has written

    @classmethod
    def of(cls, asked: Asked, engine: Engine, console: Console, output: Output, **more: Any) -> Drawer:
        """As the command line says."""
        told = {name: getattr(asked, name) for name in ("overwrite", "metadata", "preview", "heatmaps")}
        return cls(engine, console, output, **(told | more))

    def draw(
        self,
        request: Request,
        *,
        name: str,
        file_name: str = "",
        recipe: Recipe | None = None,
        progress: Progress | None = None,
    ) -> list[Made]:
        """Draw a resolved request; each picture is saved and told as soon as it is finished.

        `recipe`: how its words came together, which goes into the record.

        Raises:
            OutputError, BlankPicture, MemoryShortage, Cancelled, …: what was saved before stays.
        """
        if progress is None:
            with Progress(self.console, pictures=request.count, preview=self.preview) as progress:
                return self.draw(request, name=name, file_name=file_name, recipe=recipe, progress=progress)
        progress.begin(name, request.count, request.steps or 1)
        for line in recipe.told() if recipe else ():
            self.console.say("  " + line)
        for line in self.engine.expected(request):
            self._once(self.console.say, line)
        made: list[Made] = []
        further: dict[str, Any] = {"prompt_name": file_name} if file_name else {}
        further |= {KEY: recipe.to_json()} if recipe else {}

        def keep(_: int, image: Image.Image, record: dict[str, Any]) -> None:
            progress.clear()
            made.append(self._keep(image, record | further, name))

        more = {"heatmaps": True} if self.heatmaps else {}  # an engine need not know of what nobody asks for
        left = [request]
        while left:
            told, result, shortage = len(made), None, None
            try:
                result = self.engine.generate(left[0], on_step=progress.step, on_picture=keep, **more)
            except MemoryShortage as error:
                shortage = error
            finally:
                progress.clear()
                self._tell_objects(made[told:], result)
                if self.heatmaps and result is None:
                    self._tell_lost_heatmaps(made[told:])
            if shortage is not None:
                self._make_room(shortage)
                left = missing_parts(request, made, any_seed=False)
                continue
            assert result is not None
            self._tell_work(result)
            self._keep_heatmaps(made[told:], result)
            left = left[1:]
        return made

    def _make_room(self, shortage: MemoryShortage) -> None:
        """Go on with the model in a way that needs less memory. Raises `shortage` where there is none."""
        try:
            engine = self.engine.leaner(on_note=self.console.warn)
        except MemoryShortage:
            raise shortage from None
        self.engine = engine
        self.on_leaner(engine)

    def _keep(self, image: Image.Image, record: Mapping[str, Any], name: str) -> Made:
        seed = int(record["request"]["seed"])
        self.made += 1
        width, height = image.size
        planned = self.output.path(name=name, seed=seed, index=self.made, width=width, height=height)
        planned = next(p for p in images.names(planned) if str(p).casefold() not in self._taken)
        path = images.save(image, planned, record, overwrite=self.overwrite, metadata=self.metadata)
        self._taken.add(str(path).casefold())
        made = Made(path, seed, images.complete_record(record, image))
        self._tell_picture(made, width, height)
        return made

    def _keep_heatmaps(self, made: Sequence[Made], result: Result) -> None:
        """Beside each picture a sheet that shows where in it each word was heard."""
        for picture, image, heats in zip(made, result.images, result.heatmaps, strict=False):
            from newbie.regions.heat_sheet import heat_sheet

            path = picture.path.with_name(f"{picture.path.stem}-heatmaps.png")
            path = images.save(heat_sheet(image, heats), path, overwrite=self.overwrite)
            self.console.say(f"  {path}: where in the picture each word was heard")

    # ---- what is printed

    def _tell_picture(self, made: Made, width: int, height: int) -> None:
        if self.console.quiet and not self.console.json:
            self.console.result(str(made.path))
        else:
            self.console.fact(f"{made.path}  seed {made.seed}  {width}x{height}")

    def _tell_objects(self, made: Sequence[Made], result: Result | None) -> None:
        """For `--json`, when the request is done: only then its times are known. After a failure, without them."""
        if not self.console.json:
            return
        for each in made:
            same = {} if self.expected is None else {"identical": each.record["pixels_sha256"] == self.expected}
            work: dict[str, Any] = {}
            if result is not None:
                work = {"seconds": {"load": self.engine.load_seconds, **result.seconds}, "notes": result.notes}
            self.console.object(as_object(each) | same | work)

    def _tell_lost_heatmaps(self, made: Sequence[Made]) -> None:
        """They come with the result of a request, which those that were finished before it failed have not got."""
        for each in made:
            self.console.warn(
                f"{each.path} has no heat-map: drawing stopped before its request was finished; "
                f"--like {each.path} --heatmaps makes it"
            )

    def _tell_work(self, result: Result) -> None:
        for note in result.notes:
            self._once(self.console.warn, note)
        peak = f"; at most {result.peak_memory / 2**30:.2f} GiB" if result.peak_memory else ""
        self.console.say("  " + times_line(result.seconds) + peak + "; " + ran_line(result.ran))

    def _once(self, tell: Callable[[str], None], line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            tell(line)

    # ---- what is there already

    def finished(self, request: Request, *, name: str, any_seed: bool, template: Recipe | None = None) -> list[Made]:
        """Pictures of this request in the output folder, made by the same weights in the same number formats.

        With `any_seed` the seed does not count, else it must be one of `request.seeds()`. Of a `template` other words
        than those of the request count too. A picture without a record is recognised by its name alone, and only where
        this run writes none either.
        """
        wanted = set(request.seeds())
        found: dict[int, Made] = {}
        seeds: Sequence[int | None] = [None] if any_seed else sorted(wanted)
        for seed in seeds:
            fits = self.output.expression(name=name, seed=seed, width=request.width or 0, height=request.height or 0)
            if self._there is None:
                self._there = _pictures(self.output.folder)
            for path in (p for p in self._there if fits.fullmatch(p.name)):
                record = self._record_of_same(path, request, template)
                if record is None:
                    continue
                its_seed = int(record.get("request", {}).get("seed", seed if seed is not None else _ANY_SEED))
                if any_seed or its_seed in wanted:
                    found.setdefault(its_seed, Made(path, its_seed, record, skipped=True))
        return list(found.values())[: request.count]

    def _record_of_same(self, path: Path, request: Request, template: Recipe | None) -> Mapping[str, Any] | None:
        try:
            stored = images.read_record(path)
        except UsageError:
            return None if self.metadata else {}
        same = dataclasses.replace(
            stored.request, seed=request.seed, count=request.count, batch_size=request.batch_size
        )
        words = Recipe.from_json(stored.record.get(KEY)) if template else None
        if template and words and words.alike(template):
            same = dataclasses.replace(same, prompt=request.prompt)
        now = self.engine.describe()
        ran = stored.record.get("ran", {})
        alike = all(ran.get(key) == now.get(key) for key in ("weights", "dtype", "vae_dtype"))
        alike = alike and ran.get("adapters", []) == now.get("adapters", [])
        return stored.record if same == request and alike else None

    def tell_skipped(self, made: Made) -> None:
        if self.console.json:
            self.console.object(as_object(made))
        else:
            self.console.fact(f"{made.path}  seed {made.seed}  finished before")


def missing_parts(request: Request, finished: Sequence[Made], *, any_seed: bool) -> list[Request]:
    """What is left of a request: runs of neighbouring seeds."""
    if any_seed:
        left = request.count - len(finished)
        return [dataclasses.replace(request, count=left)] if left > 0 else []
    there = {made.seed for made in finished}
    left_seeds = [seed for seed in request.seeds() if seed not in there]
    runs = [
        [seed for _, seed in run]
        for _, run in itertools.groupby(enumerate(left_seeds), key=lambda pair: pair[1] - pair[0])
    ]
    return [dataclasses.replace(request, seed=run[0], count=len(run)) for run in runs]


def open_engine(
    choice: ModelChoice,
    settings: Settings,
    console: Console,
    opener: OpenEngine | None,
    drawing: Request | None = None,
) -> Engine:
    """Load the model, its memory planned for `drawing`; say which. `opener` is `Pipeline.open`, but for tests."""
    if opener is None:
        console.say("loading ...")
        from newbie.pipeline import Pipeline

        opener = Pipeline.open
    options = dataclasses.asdict(choice) | {"drawing": drawing}
    model = options.pop("model")
    engine = None
    while engine is None:
        try:
            engine = opener(model, settings=settings, on_note=console.say, **options)
        except MemoryShortage as error:
            from newbie.memory.opening import leaner, told_leaner
            from newbie.memory.planner import NothingFits

            less, merging = leaner(settings), options.get("merge_lora")
            # Weights that come and go cannot be merged with; and a plan has looked at all ways.
            if less is None or merging or isinstance(error, NothingFits):
                raise
            console.warn(f"{error.message}: {told_leaner(less)}")
            settings = less
    console.say(f"{engine.name} loaded in {engine.load_seconds:.1f} s{chosen_line(settings, engine)}")
    if engine.licences:
        from newbie.checkpoints import licences

        new = licences.unseen(engine.licences)
        for line in new:
            console.say(line)
        licences.remember(new)
    return engine


def chosen_line(settings: Settings, engine: Engine) -> str:
    """What was chosen for the user, with the reason: "; device cpu (no graphics device ...), ..."."""
    ran, reasons = engine.describe(), engine.reasons()
    automatic = [name for name in ("device", "dtype", "vae_dtype") if getattr(settings, name) == "auto"]
    told = [f"{name.replace('_', ' ')} {ran[name]} ({reasons[name]})" for name in automatic if name in reasons]
    return "; " + ", ".join(told) if told else ""


def as_object(made: Made) -> dict[str, Any]:
    """A picture for `--json`."""
    record = made.record
    request = record.get("request", {})
    return {
        "path": str(made.path.absolute()),
        "seed": made.seed,
        "width": request.get("width"),
        "height": request.get("height"),
        "skipped": made.skipped,
        **{k: v for k, v in record.items() if k != "canonical_prompt"},
    }


def times_line(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())


def ran_line(ran: Mapping[str, Any]) -> str:
    """What really ran: device and number formats, kernel, caches, evaluations. The weights are told at the load."""
    told = [str(ran[key]) for key in ("device", "dtype") if key in ran]
    for key, value in ran.items():
        if key not in ("device", "dtype", "model", "weights"):
            told.append(f"{key.replace('_', ' ')} {_told(adapters_told(ran) if key == 'adapters' else value)}")
    return ", ".join(told)


def _told(value: object) -> str:
    """A value of a record in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def adapters_told(ran: Mapping[str, Any]) -> list[str]:
    """Adapters of a record, as they are typed: FILE:STRENGTH."""
    return [f"{worn['file']}:{worn['strength']:g}" for worn in ran.get("adapters", [])]


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix == ".png")
    except OSError:
        return []
