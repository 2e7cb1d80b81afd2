"""`create.py`: prompts in, pictures out; the prompt loop when given no prompt."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from newbie.cli.args import Asked, parse
from newbie.cli.console import Console, report, run
from newbie.cli.findings import look_at, refuse
from newbie.cli.names import Output, parse_output
from newbie.cli.reuse import Words
from newbie.cli.sources import DEFAULT_STEM, Source, negative_text, resolve_all
from newbie.errors import BlankPicture, Cancelled, NewbieError, PromptError
from newbie.request import Request, Settings

if TYPE_CHECKING:
    from newbie.cli.draw import Drawer, Made, OpenEngine
    from newbie.cli.progress import Progress
    from newbie.prompt.rules.subject import Audience


@dataclass(frozen=True)
class Job:
    """A prompt that has been read, and what to draw of it. `any_seed`: the user left the seed to us."""

    source: Source
    request: Request
    name: str
    words: Words
    any_seed: bool

    @property
    def file_name(self) -> str:
        return self.source.path.name if self.source.path else ""


def main(argv: Sequence[str] | None = None, *, opener: OpenEngine | None = None) -> int:
    """Exit code. `opener` takes the place of `Pipeline.open` in tests."""
    return run(lambda arguments: _main(arguments, opener), argv)


def _main(arguments: list[str], opener: OpenEngine | None) -> int:
    asked = parse(arguments)
    console = Console(quiet=asked.quiet, json=asked.json, debug=asked.debug)
    output = parse_output(asked.output)
    if "negative" in asked.request:
        asked.request["negative"] = negative_text(asked.request["negative"])
    if asked.like:
        from newbie.cli.like import repeat

        return repeat(asked, output, console, opener)
    if not asked.prompts:
        from newbie.cli.repl import start

        return start(asked, output, console, opener)
    sources = resolve_all(asked.prompts)
    return _Batch(asked, output, console).run(sources, opener)


@dataclass
class _Batch:
    """One or many prompts with one model. One that fails does not stop the others; the first failure's code stays."""

    asked: Asked
    output: Output
    console: Console
    code: int = 0

    def run(self, sources: Sequence[Source], opener: OpenEngine | None) -> int:
        jobs = [job for i, source in enumerate(sources) if (job := self._job(source, i, len(sources)))]
        if not jobs:
            return self.code
        if self.asked.explain:
            from newbie.cli.explain import explain

            filled = [(job, job.words.fill(part)[0]) for job in jobs for part in job.words.split(job.request)]
            explain([(job.source.label, part) for job, part in filled], self.asked, self.console, opener)
            return self.code
        # Imported here: reading prompts and refusing them is quick only without these.
        from newbie.cli.draw import Drawer, open_engine
        from newbie.cli.progress import Progress
        from newbie.images import make_folder

        make_folder(self.output.folder)
        settings, drawing = Settings(**self.asked.settings), Request(**self.asked.request)
        engine = open_engine(self.asked.model, settings, self.console, opener, drawing)
        drawer = Drawer.of(self.asked, engine, self.console, self.output)
        batch = len(sources) > 1 or any(source.listed for source in sources)
        planned = sum(job.request.count for job in jobs)
        with Progress(self.console, pictures=planned, preview=self.asked.preview) as progress:
            for job in jobs:
                self._draw(job, drawer, progress, skip=batch and not self.asked.overwrite)
        return self.code

    def _job(self, source: Source, index: int, count: int) -> Job | None:
        """Read a prompt and show its diagnostics; None where it cannot be read or has errors (told)."""
        name = source.stem
        if source.stem == DEFAULT_STEM and source.path is None and count > 1:
            name = f"{DEFAULT_STEM}-{index + 1}"
        request = Request(**self.asked.request)
        any_seed = request.seed == -1
        try:
            words = Words.of(source, self.asked.reuse)
            seed = secrets.randbelow(2**32) if any_seed else request.seed
            expanded = words.at(seed)
            readers = self._audience(request)
            look_at(expanded.reading, self.console, force=self.asked.force, audience=readers)
        except PromptError as error:
            if count == 1:
                raise
            self._failed(error)
            return None
        for unused in expanded.unused:
            self.console.warn(f"{source.label} has no variable ${{{unused}}}")
        if words.vary(seed):  # then the seed is settled with the words
            request = replace(request, seed=seed)
        return Job(source, replace(request, prompt=expanded.text), name, words, any_seed)

    def _audience(self, request: Request) -> Audience | None:
        """Who will read the prompt, as far as its folder says without being opened."""
        from newbie.cli.encoders import BUNDLED, audience

        model = self.asked.model
        if model.text_encoder or model.clip or (model.model and not Path(model.model).is_dir()):
            return None
        found = audience(Path(model.model) if model.model else BUNDLED)
        if found and request.canonical is not None:
            found = found._replace(canonical=request.canonical)
        if found and request.system_prompt is not None:
            found = found._replace(system_prompt=request.system_prompt)
        return found

    def _draw(self, job: Job, drawer: Drawer, progress: Progress, *, skip: bool) -> None:
        """Draw what is not finished yet."""
        from newbie.cli.draw import missing_parts

        request = job.request.resolved(drawer.engine.recommended)
        for part in [request] if job.any_seed else job.words.split(request):
            done = self._finished(job, part, drawer) if skip else []
            for made in done:
                drawer.tell_skipped(made)
            progress.pictures -= len(done)
            for missing in missing_parts(part, done, any_seed=job.any_seed):
                for each in job.words.split(missing):
                    self._draw_part(job, each, drawer, progress)

    def _finished(self, job: Job, part: Request, drawer: Drawer) -> list[Made]:
        try:
            request, recipe = job.words.fill(part)
        except PromptError:  # told when it is drawn
            return []
        return drawer.finished(request, name=job.name, any_seed=job.any_seed, template=recipe)

    def _draw_part(self, job: Job, part: Request, drawer: Drawer, progress: Progress) -> None:
        """Draw pictures that share their words. One that fails does not stop the others."""
        try:
            refuse(job.words.at(part.seed).reading, force=self.asked.force)
            request, recipe = job.words.fill(part)
            drawer.draw(request, name=job.name, file_name=job.file_name, recipe=recipe, progress=progress)
        except PromptError as error:
            self._failed(error)
        except BlankPicture as error:
            self._failed(BlankPicture(f"{job.source.label}: {error.message}", error.hint))
        except (Cancelled, KeyboardInterrupt):
            progress.clear()
            self.console.say(f"{drawer.made} finished pictures are kept")
            raise

    def _failed(self, error: NewbieError) -> None:
        code = report(error, self.console)
        self.code = self.code or code
