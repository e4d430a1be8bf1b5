"""The replay ladder: what plain text in a domain mixture costs the domain, and what it saves elsewhere.

    python -m benchmarks.replay_ladder                     # five rungs, three seeds: about sixteen minutes on two quiet cores
    python -m benchmarks.replay_ladder --seeds 1 --steps 2 # a look

Each rung of the ready ladder (`curation mix --plan --ladder replay`: 0, 1, 5, 10, 20% of the tokens) is a mixture of domain
rows and plain text that `curation mix` makes of data/mixed (train and unused), trained on for 20 steps of 512 tokens each. A rung
of 1% is a hundred tokens, less than most texts: plain text is cut at ends of sentences into pieces of some 96 tokens first. Room in
a sequence is chosen so that each run reads as near to 20 × 512 tokens as whole rows allow.

Losses are nats a token on the held-out side of data/mixed: domain rows; and as `general` plain text and general chat rows, token
for token. Nothing held out was in training or near it: the leak check of `curation doctor` must find nothing, and training rows alike
to a held-out one by a Jaccard of 0.5 are left out beforehand. A seed draws rows, initial adapter and noise; the last adapter is
scored, not the best. `base` is the model before training.

The table goes to stdout, the plot to benchmarks/replay_ladder.png. Each run is stored when it is done (benchmarks/stored.py).
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.stored import Runs, about, table
from curation import records
from curation.mix import MixParams, decide
from curation.mix.presets import ladder
from curation.progress import Progress
from curation.render import Renderer, RenderParams
from pipelines.stage import Bar, errors_in_one_line
from train.params import TrainParams
from train.plan import plan

MIXED = Path("data/mixed")
PLOT = Path("benchmarks/replay_ladder.png")
PARTS = {"domain": "domain", "text": "replay", "chat": "general"}  # of the exam, by bucket
COLOURS = ["#b5483a", "#d08a2e", "#5a8f3c", "#1f6f78", "#7a5ba6"]
SENTENCES = re.compile(r"(?<=[。！？；\n])|(?<=[.!?]\s)")


def pieces(text: str, size: int, count: Any) -> list[str]:
    """`text` cut at ends of sentences into pieces of at most `size` tokens by `count`, or one sentence where that is longer."""
    found: list[str] = []
    for sentence in SENTENCES.split(text):
        if found and count(found[-1] + sentence) <= size:
            found[-1] += sentence
        else:
            found.append(sentence)
    return [piece.strip() for piece in found if piece.strip()]


def pool(renderer: Renderer, settings: dict[str, Any]) -> pl.DataFrame:
    """Domain rows that fit and plain text in pieces, with tokens and loss_tokens; none is alike to a held-out row."""
    from train.doctor.leaks import near

    names = list(records.LABELLED)
    train, unused, heldout = (records.read(MIXED / f"{n}.parquet") for n in ("train", "unused", "heldout"))
    # Others are unused for a reason: kin of held-out rows, not reviewed, too long.
    free = pl.concat(
        [train.unique("id").select(names), unused.filter(pl.col("reason") == "beyond_target").select(names)]
    )
    free = free.filter(pl.col("bucket").is_in(["domain", "replay"])).sort("id")

    def apart(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(~pl.col("id").is_in(near(rows, heldout.select(names))["one"].implode()))

    free = apart(free)
    short = []
    for row in free.filter(pl.col("kind") == "text").iter_rows(named=True):
        for i, piece in enumerate(pieces(row["text"], settings["piece"], lambda t: len(renderer._ids(t)))):
            short.append(
                row | {"id": f"{row['id']}/{i}", "text": piece, "content_hash": records.content_hash(None, piece, None)}
            )
    rows = pl.concat([free.filter(pl.col("kind") == "chat"), apart(records.frame(short, records.LABELLED))])
    encoded = [renderer.encode(row) for row in rows.iter_rows(named=True)]
    sized = rows.with_columns(
        pl.Series("tokens", [len(e.ids) for e in encoded]), pl.Series("loss_tokens", [e.loss_tokens for e in encoded])
    )
    return sized.filter(
        pl.col("tokens") <= pl.when(pl.col("kind") == "text").then(2 * settings["piece"]).otherwise(settings["tokens"])
    )


def exam(settings: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """Held-out rows by part, task types in turn, about `exam_tokens` of each."""
    from train.pack import progress_rows

    heldout = records.read(MIXED / "heldout.parquet")
    return {
        part: progress_rows(heldout.filter(pl.col("bucket") == bucket), settings["exam_tokens"])
        for part, bucket in PARTS.items()
    }


def mixture(rows: pl.DataFrame, rung: float, seed: int, settings: dict[str, Any], template: str) -> pl.DataFrame:
    """The rung's training rows, in order, a little more than is read."""
    params = MixParams.model_validate({
        "ratios": {"domain": 1}, "replay": rung, "unit": "tokens", "size": round(1.1 * settings["steps"] * settings["tokens"]),
        "seed": seed, "heldout": {"share": 0},
    })  # fmt: skip
    texts, sizes = rows.drop("tokens", "loss_tokens"), rows.select("id", "tokens", "loss_tokens")
    decided = decide(texts, texts.clear(), {}, sizes, params, RenderParams(max_length=settings["tokens"]), template)
    own = decided.train.select("id", "weight", "position", "repeat", "tokens", "loss_tokens", "phase", "part")
    return texts.drop("weight").join(own, on="id", how="inner").sort("position")


def room(train: pl.DataFrame, params: TrainParams, settings: dict[str, Any]) -> int:
    """The length of sequences at which the run reads most nearly steps × tokens."""
    wanted, least = settings["steps"] * settings["tokens"], int(train["tokens"].max())

    def off(length: int) -> tuple[int, int]:
        return abs(int(plan(train, params, length)["tokens"].sum()) - wanted), length

    return min(range(max(least, settings["tokens"]), 2 * settings["tokens"] + 1, 8), key=off)


def losses(model: Any, renderer: Renderer, settings: dict[str, Any]) -> dict[str, float]:
    """Nats a token of each part, and of `general`: plain text and general chat together."""
    from train.losses import row_nll

    found = {}
    for part, rows in exam(settings).items():
        scored = row_nll(model, [renderer.encode(r) for r in rows.iter_rows(named=True)])
        found[part] = (math.fsum(total for total, _ in scored), sum(n for _, n in scored))
    found["general"] = tuple(a + b for a, b in zip(found["text"], found["chat"], strict=True))
    return {part: total / n for part, (total, n) in found.items()}


def _renderer(settings: dict[str, Any]) -> Renderer:
    from curation.models import load_tokenizer

    return Renderer(load_tokenizer(settings["model"]))


def base(settings: dict[str, Any]) -> dict[str, Any]:
    """The model before training."""
    from curation.models import load_language_model

    counts = {
        part: {"rows": len(rows), "tokens": int(rows["loss_tokens"].sum())} for part, rows in exam(settings).items()
    }
    return {"losses": losses(load_language_model(settings["model"]), _renderer(settings), settings), "exam": counts}


def run(rows: pl.DataFrame, rung: float, seed: int, settings: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Mixture, training and losses of one run."""
    from peft import PeftModel

    from curation.models import load_language_model
    from train.doctor.leaks import leaks
    from train.sft import fit

    renderer = _renderer(settings)
    train = mixture(rows, rung, seed, settings, renderer.template)
    found = list(
        leaks(
            train.select(list(records.LABELLED)),
            pl.concat(part.select(list(records.LABELLED)) for part in exam(settings).values()),
        )
    )
    if found:
        raise AssertionError(f"replay {rung}, seed {seed}: {found[0]}")
    params = TrainParams(
        seed=seed,
        accumulation=1,
        max_steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        eval_steps=10**6,
    )
    render = RenderParams(model=settings["model"], max_length=room(train, params, settings))
    with tempfile.TemporaryDirectory() as folder:
        # Without held-out rows, so that no adapter on the way is kept in place of the last one.
        fitted = fit(train, train.clear(), params, render, adapter=Path(folder) / "adapter", progress=progress)
        model = (
            PeftModel.from_pretrained(load_language_model(render.model), str(Path(folder) / "adapter"))
            .merge_and_unload()
            .eval()
        )
    read = fitted.consumed.join(train.select("id", "repeat", "bucket"), on=["id", "repeat"], how="left")
    text = read.filter(pl.col("bucket") == "replay")
    return {
        "losses": losses(model, renderer, settings), "steps": fitted.steps, "tokens": int(read["tokens"].sum()), "rows": len(read),
        "replay": text["tokens"].sum() / read["tokens"].sum(), "replay_of_loss": text["label_tokens"].sum() / read["label_tokens"].sum(),
    }  # fmt: skip


def report(before: dict[str, Any], found: dict[float, list[dict[str, Any]]], settings: dict[str, Any]) -> None:
    """Prints the section."""
    runs = [r for of in found.values() for r in of]
    held = ", ".join(f"{part} {c['rows']} rows of {c['tokens']:,} tokens" for part, c in before["exam"].items())
    print(
        f"{settings['steps']} steps of {settings['tokens']} tokens, {settings['model']}, LoRA, learning rate "
        f"{settings['learning_rate']:g}, {len(next(iter(found.values())))} seeds: mean and range. Held out: {held}. {about(runs)}\n"
    )
    names = ("domain", "general", "text", "chat")
    rows = [["base", "", "", "", *(f"{before['losses'][n]:.4f}" for n in names)]]
    for rung, of in found.items():
        read = [
            f"{statistics.fmean(r['replay'] for r in of):.1%}",
            f"{statistics.fmean(r['replay_of_loss'] for r in of):.1%}",
        ]
        said = [_range([r["losses"][n] for r in of]) for n in names]
        rows.append([f"{rung:.0%}", *read, f"{statistics.fmean(r['tokens'] for r in of):,.0f}", *said])
    head = [
        "replay",
        "of the tokens read",
        "of the loss",
        "tokens read",
        "domain",
        "general",
        "of it plain text",
        "general chat",
    ]
    print(table(head, rows))
    first, *others = found
    for rung in others:
        apart = {
            n: [b["losses"][n] - a["losses"][n] for a, b in zip(found[first], found[rung], strict=True)]
            for n in ("domain", "general")
        }
        print(
            f"\nReplay {rung:.0%} against {first:.0%}, seed by seed: general {_signed(apart['general'])}, domain {_signed(apart['domain'])} nats/token.",
        )
    print(f"\n![general loss against domain loss by share of replay]({PLOT.name})")


def _range(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f} ({min(values):.4f}–{max(values):.4f})"


def _signed(values: list[float]) -> str:
    return f"{statistics.fmean(values):+.4f} ({min(values):+.4f} to {max(values):+.4f})"


def chart(before: dict[str, Any], found: dict[float, list[dict[str, Any]]], title: str) -> Any:
    """Domain loss across, general loss up: a point a rung with the seeds' range, and a faint point a seed.

    The base stands in the subtitle: it is so far off that as a point it would press the rungs together.
    """
    import altair as alt

    seeds, means = [], []
    for rung, of in found.items():
        at = {n: [r["losses"][n] for r in of] for n in ("domain", "general")}
        name = f"{rung:.0%}"
        seeds += [{"replay": name, "domain": d, "general": g} for d, g in zip(at["domain"], at["general"], strict=True)]
        ranges = {f"{n}_{end.__name__}": end(v) for n, v in at.items() for end in (min, max)}
        means.append({"replay": name, "step": rung} | {n: statistics.fmean(v) for n, v in at.items()} | ranges)
    names = [m["replay"] for m in means]
    colour = alt.Color("replay:N", scale=alt.Scale(domain=names, range=COLOURS[: len(names)]), legend=None)
    x = alt.X("domain:Q", title="held-out domain loss, nats/token (left is better)", scale=alt.Scale(zero=False))
    y = alt.Y("general:Q", title="held-out general loss, nats/token (low is better)", scale=alt.Scale(zero=False))
    middle, single = alt.Chart(alt.Data(values=means)), alt.Chart(alt.Data(values=seeds))
    layers = [
        middle.mark_line(color="#c9c6bb").encode(x=x, y=y, order="step:Q"),
        single.mark_circle(size=22, opacity=0.45).encode(x=x, y=y, color=colour),
        middle.mark_rule(strokeWidth=1.5).encode(x=alt.X("domain_min:Q"), x2="domain_max:Q", y=y, color=colour),
        middle.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("general_min:Q"), y2="general_max:Q", color=colour),
        middle.mark_circle(size=110, opacity=1).encode(x=x, y=y, color=colour),
        middle.mark_text(align="left", dx=8, dy=-9, fontSize=11).encode(x=x, y=y, text="replay:N"),
    ]
    start = f"base model: domain {before['losses']['domain']:.4f}, general {before['losses']['general']:.4f}; bars: range of seeds"
    heading = alt.TitleParams(title, subtitle=start, anchor="start")
    return alt.layer(*layers).properties(width=560, height=380, background="white", title=heading)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rungs", nargs="+", type=float, default=ladder("replay"), metavar="SHARE", help="default: the ready ladder"
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each rung (default 3)")
    parser.add_argument("--steps", type=int, default=20, help="of a run (default 20)")
    parser.add_argument("--tokens", type=int, default=512, help="a step (default 512)")
    parser.add_argument("--piece", type=int, default=96, help="tokens of a piece of plain text (default 96)")
    parser.add_argument("--exam-tokens", type=int, default=2500, help="of each part of the exam (default 2500)")
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="the peak (default 2e-4)")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="bundled name, folder or hub name")
    parser.add_argument("--plot", type=Path, default=PLOT, help=f"where the plot goes (default {PLOT})")
    args = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # what one library has to tell another
    missing = [name for name in ("train", "unused", "heldout") if not (MIXED / f"{name}.parquet").exists()]
    if missing:
        sys.exit(f"replay_ladder: {MIXED}/{missing[0]}.parquet: no such file; run `dvc repro mix` first.")
    settings = {k: v for k, v in vars(args).items() if k not in ("rungs", "seeds", "plot")}
    runs = Runs("replay_ladder", settings, tuple(MIXED / f"{n}.parquet" for n in ("train", "unused", "heldout")))
    found: dict[float, list[dict[str, Any]]] = {rung: [] for rung in args.rungs}
    with errors_in_one_line("replay_ladder"), Bar() as bar:
        before = runs.get(lambda: base(settings), rung="base")
        todo = [(seed, rung) for seed in range(1, args.seeds + 1) for rung in args.rungs]
        rows = (
            pool(_renderer(settings), settings)
            if any(not runs.stored(rung=r, seed=s) for s, r in todo)
            else pl.DataFrame()
        )
        for number, (seed, rung) in enumerate(todo, 1):
            bar("replay_ladder: runs", number - 1, len(todo))
            tell = partial(bar, f"replay {rung:.0%}, seed {seed}: tokens")
            measure = partial(run, rows, rung, seed, settings, lambda _, done, total, tell=tell: tell(done, total))
            made = runs.get(measure, rung=rung, seed=seed)
            found[rung].append(made)
            said = ", ".join(f"{part} {made['losses'][part]:.4f}" for part in ("domain", "general"))
            print(f"  [{number} of {len(todo)}] replay {rung:.0%}, seed {seed}: {said}", file=sys.stderr, flush=True)
    report(before, found, settings)
    title = f"The replay ladder: {args.steps} steps of {args.tokens} tokens, {args.seeds} seeds"
    chart(before, found, title).save(args.plot, scale_factor=2)


if __name__ == "__main__":
    main()
