"""Cleaned and synthesized rows → data/mixed and reports/mixture.json. `python -m pipelines.mix`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation import records
from curation.errors import ConfigError, DataError
from pipelines import params, paths
from pipelines.stage import Bar, off, run, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from curation.mix import MixParams
    from curation.render import RenderParams


def work() -> str:
    import polars as pl

    from curation.mix import MixParams, bare, decide
    from curation.mix.write import write
    from curation.render import RenderParams

    settings, render = params.load("mix", MixParams), params.load("render", RenderParams)
    given = inputs(settings, render)
    said = _apart(given["near"]) + _ungraded(given["quality"], settings)
    decided = bare(decide(**given))
    del given  # a decision needs no texts, and beside texts there is little room: they are read when they are written
    facts = decided.manifest
    texts = [
        pl.scan_parquet(corpus.cleaned / "records.parquet").select(records.LABELLED.keys())
        for corpus in paths.CORPORA.values()
    ]
    write(pl.concat(texts), decided, paths.MIXED)
    write_json(facts, paths.MIXED / "manifest.json")
    flat = {
        "unit": facts["unit"],
        **{unit: facts["train"][unit] for unit in ("rows", "tokens", "loss_tokens")},
        "share": {part: row["achieved_share"][facts["unit"]] for part, row in facts["mixture"].items()},
    }
    write_json(flat, paths.REPORTS / "mixture.json")
    shares = ", ".join(f"{b} {s:.1%}" for b, s in flat["share"].items())
    rows = f"{decided.train.height} train, {decided.heldout.height} held out, {decided.unused.height} unused"
    return f"{rows}; {facts['unit']}: {shares}{said}"


def _apart(near: Mapping[str, pl.DataFrame]) -> str:
    """What the split could not see, for the summary; empty when near copies were measured."""
    return (
        "; near is off (score.off): near copies may stand on both sides of the split, only content, lineage and groups part them"
        if off(near)
        else ""
    )


def inputs(settings: MixParams, render: RenderParams) -> dict[str, Any]:
    """The arguments of `decide` by name."""
    from curation.mix import THIN
    from curation.models import identity
    from curation.review import verdicts

    params.above_floor(settings)
    params.judged(settings)
    corpora = [records.read(corpus.cleaned / "records.parquet", records.LABELLED) for corpus in paths.CORPORA.values()]
    near = {corpus.name: records.read(corpus.signals / "near.parquet") for corpus in paths.CORPORA.values()}
    template = _template(render)
    # Its end is raised when the renderer changes what it gives to templates: sizes stored before are then measured again.
    identified = f"{identity(render.model)}|{template}|{render.turns}|2"
    return {
        "cleaned": corpora[0].select(THIN),
        "synthesized": corpora[1].select(THIN),
        "near": near,
        "sizes": _sizes(corpora, identified, render),
        "params": settings,
        "render": render,
        "template": template,
        "verdicts": verdicts.read(paths.VERDICTS),
        "quality": _quality(corpora, settings),
    }


def plan(by: str | None, ladder: str | None, harder: Path | None) -> None:
    """Print what `work` would do, without doing it; only CURATION_CACHE may gain sizes. See `curation mix --help`."""
    from rich.console import Console

    from curation.mix import MixParams, decide, table
    from curation.render import RenderParams

    for said, others in (
        ("--harder", {"--by": by, "--ladder": ladder} if harder else {}),
        ("--ladder", {"--by": by} if ladder else {}),
    ):
        beside = [name for name, value in others.items() if value]
        if beside:
            raise ConfigError(f"{said}: is printed alone; leave {', '.join(beside)} out.")
    settings, render = params.load("mix", MixParams), params.load("render", RenderParams)
    console = Console()
    if harder:
        print(_harder(harder))
        return
    given = inputs(settings, render)
    if ladder:
        from curation.mix.presets import ladder as rungs

        steps: dict[float, dict[str, Any] | str] = {}
        for value in rungs(ladder):
            try:
                steps[value] = decide(**given | {"params": settings.model_copy(update={ladder: value})}).manifest
            except ConfigError as error:
                steps[value] = str(error)
        console.print(table.rungs(ladder, steps))
    else:
        console.print(table.plan(decide(**given).manifest, by))
    for said in (_apart(given["near"]), _ungraded(given["quality"], settings)):
        if said:
            console.print(said.removeprefix("; "))
    console.print("Nothing was written; `dvc repro mix` makes it so.", style="dim")


def _harder(path: Path) -> str:
    """The line for params.yaml, from the scores of a run."""
    from curation.mix.difficulty import task_weights

    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        weights = task_weights(scores.get("scores_by_task", scores))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not scores by task type ({error}); accepted: reports/scores_by_task.json or reports/accepted.json."
        ) from None
    if not weights:
        raise DataError(
            f"{path}: no task type has three held-out rows; hold out more (mix.heldout.share), then train again."
        )
    return f"task_weights: {{{', '.join(f'{t}: {w:g}' for t, w in sorted(weights.items(), key=lambda i: -i[1]))}}}"


_SIZED = ("id", "content_hash", "kind", "messages", "tools", "text")


def _sizes(frames: list[pl.DataFrame], identity: str, render: RenderParams) -> pl.DataFrame:
    """Sizes of the rows of both corpora; the tokenizer, which takes seconds to import, is loaded for new rows only."""
    import polars as pl

    from curation.mix import sizes

    def renderer() -> Any:
        from curation.models import load_tokenizer
        from curation.render import Renderer

        return Renderer(load_tokenizer(render.model), render.template)

    rows = pl.concat([frame.select(_SIZED) for frame in frames])
    with Bar() as bar:
        return sizes.measure(rows, identity, render, renderer, bar)


def _template(render: RenderParams) -> str:
    from curation.models import load_tokenizer
    from curation.render import template_text

    tokenizer: Any = load_tokenizer(render.model) if render.template == "model" else None
    return template_text(render.template, tokenizer)


def _quality(frames: list[pl.DataFrame], settings: MixParams) -> pl.DataFrame | None:
    """content_hash, quality, where it is asked for: the column `quality`, else the source's own in `meta`, else the score;
    or the judge's grades alone.

    The score stands in only where no row brings a number, since numbers of two scales do not compare.
    """
    import polars as pl

    asked = settings.quality.temperature is not None or any(p.quality for p in settings.all_parts().values())
    if not asked:
        return None
    if settings.quality.by == "judge":
        return _graded(frames)
    own = pl.col("meta").str.json_path_match("$.quality").cast(pl.Float64, strict=False)
    brought = pl.concat(
        [
            frame.select(
                "content_hash", (pl.col("quality") if "quality" in frame.columns else own).alias("quality")
            ).drop_nulls()
            for frame in frames
        ]
    )
    return (_scored(frames) if brought.is_empty() else brought).sort("content_hash", "quality")


def _graded(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """content_hash and (grade - 1) / 4 of every conversation, null where the judge gave none: nothing stands in for it."""
    import polars as pl

    columns = {"content_hash": pl.String, "judge": pl.Int64}
    sidecars = [
        records.read(corpus.signals / "judge.parquet", columns, list(columns)) for corpus in paths.CORPORA.values()
    ]
    grades = pl.concat(sidecars).unique("content_hash", keep="first", maintain_order=True)
    hashes = pl.concat([frame.filter(pl.col("kind") == "chat").select("content_hash") for frame in frames]).unique()
    found = hashes.join(grades, on="content_hash", how="left")
    if found["judge"].count() == 0:
        raise ConfigError(
            f"mix.quality.by: found 'judge', and it graded none of {found.height} conversations; data/signals/*/judge.parquet says "
            "why in not_applicable; mend score.judge, or set mix.quality.by to auto."
        )
    return found.select("content_hash", quality=(pl.col("judge") - 1) / 4).sort("content_hash")


def _ungraded(quality: pl.DataFrame | None, settings: MixParams) -> str:
    """How many conversations the judge gave no grade, for the summary; empty when it is not asked or graded all."""
    if quality is None or settings.quality.by != "judge" or not (without := quality["quality"].null_count()):
        return ""
    return (
        f"; {without} of {quality.height} distinct conversations have no grade of the judge: tail where a part asks for quality, "
        "and as the mean of their part under a temperature"
    )


def _scored(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """content_hash and the quality score of every row; nll is taken from the sidecars, and no model is loaded."""
    import polars as pl

    from curation.score.quality import quality

    columns = {"content_hash": pl.String, "nll": pl.Float64, "scored_tokens": pl.Int64}
    sidecars = [
        records.read(corpus.signals / "perplexity.parquet", columns, list(columns)) for corpus in paths.CORPORA.values()
    ]
    nll = pl.concat(sidecars).unique("content_hash", keep="first", maintain_order=True)
    rows = pl.concat([frame.select(records.LABELLED.keys()) for frame in frames])
    return quality(rows, nll).select("content_hash", "quality")


if __name__ == "__main__":
    run("mix", work)
