"""Short answers among long ones: a task of one token trained three ways, its share of the loss, and what it learns.

    python -m benchmarks.short_answers                     # three ways, three seeds: about nine minutes on two quiet cores
    python -m benchmarks.short_answers --seeds 1 --steps 2 # a look

The task: on which shelf, a letter of eight, a thing of eight is ("Where is the lamp?" → "F", "台灯在哪？" → "F"), in English and in
Chinese. Nobody can know the letters beforehand. The exam asks for the same things in other questions: an answer is right when the
likeliest next token of all is the letter (`accuracy`), or the likeliest of the eight letters (`among the eight`).
The long answers are general rows of data/mixed (train and unused), with the rows of their held-out side as a second exam.

`curation mix` makes the mixture, of the same tokens for all ways, and each is read once:
  token_mean   each task row once, `train.loss: token_mean`: a label token counts the same wherever it stands
  sample_mean  the same rows, `train.loss: sample_mean`: a row counts the same however long its answer is
  upsampling   token_mean with `mix.short_answers.times`: task rows in copies, in place of as many tokens of long answers
`share stated` is the task's share of the loss by the manifest and by the plan, before the run; `share measured` is from the loss
weights that the trainer was given, and must be the same to the sixth decimal, else the benchmark fails. Loss is divided by the
weights of its step, so a row in a light step pulls more: `mean of steps` is the mean over steps of the task's share in each.
Each run is stored when it is done (benchmarks/stored.py), and not repeated.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

from benchmarks.stored import Runs, about, table
from curation import records
from curation.mix import MixParams, decide
from curation.progress import Progress
from curation.render import Renderer, RenderParams
from pipelines.stage import Bar, errors_in_one_line
from train.params import TrainParams
from train.plan import plan

MIXED = Path("data/mixed")
WAYS = ("token_mean", "sample_mean", "upsampling")
TASK = "classification"  # the task type of the task's rows; long answers keep theirs, and none of them has this one
# One shelf letter a thing, the same for its Chinese name; which one nobody can know beforehand.
THINGS = {
    "en": dict(zip("FBHDAGCE", "lamp kettle rope mirror basket drum clock scarf".split(), strict=True)),
    "zh": dict(zip("FBHDAGCE", "台灯 水壶 绳子 镜子 篮子 鼓 钟 围巾".split(), strict=True)),
}
# The first questions are trained on, the last six asked in the exam.
QUESTIONS = {
    "en": (
        "Where is the {}?", "Which shelf is the {} on?", "Shelf of the {}?", "I need the {}. Which shelf?", "Find the {}.",
        "Where does the {} go?", "The {}, please.", "On what shelf do we keep the {}?",
        "Tell me the shelf of the {}.", "Where can I get the {}?", "The {} belongs on which shelf?", "Looking for the {}, where?",
        "What is the shelf letter for the {}?", "A customer asks for the {}. Shelf?",
    ),
    "zh": (
        "{}在哪？", "{}在哪个架子上？", "{}的架子？", "我要{}，哪个架子？", "找{}。", "{}放哪儿？", "请拿{}。", "{}收在哪一架？",
        "告诉我{}的架子。", "去哪儿拿{}？", "{}属于哪个架子？", "在找{}，哪里有？", "{}的架子字母是什么？", "客人要{}，哪一架？",
    ),
}  # fmt: skip


def task_rows(questions: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training rows of the first `questions` questions of each thing and language, and the exam."""
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for language, things in THINGS.items():
        for side, asked in zip(sides, (QUESTIONS[language][:questions], QUESTIONS[language][-6:]), strict=True):
            for letter, thing in things.items():
                for question in asked:
                    messages = [records.message("user", question.format(thing)), records.message("assistant", letter)]
                    content = records.content_hash(messages, None, None)
                    side.append({
                        "id": f"shelf_{language}-{content[:8]}", "content_hash": content, "kind": "chat", "messages": messages,
                        "language": language, "source": "shelf", "origin": "human", "parents": [], "tags": [], "weight": 1.0,
                        "task_type": TASK, "bucket": "domain",
                    })  # fmt: skip
    return records.frame(sides[0], records.LABELLED), records.frame(sides[1], records.LABELLED)


def long_rows() -> tuple[pl.DataFrame, pl.DataFrame]:
    """General rows with answers of 32 loss tokens and more that may be trained on, and held-out ones."""
    every = [records.read(MIXED / f"{name}.parquet") for name in ("train", "unused", "heldout")]
    # The others are unused for a reason: kin of held-out rows, not reviewed, too long.
    unasked = pl.col("reason") == "beyond_target"
    general = (pl.col("bucket") == "general") & (pl.col("kind") == "chat") & (pl.col("loss_tokens") >= 32)
    general &= pl.col("task_type") != TASK
    names = [*records.LABELLED, "tokens", "loss_tokens"]
    free = pl.concat([every[0].select(names), every[1].filter(unasked).select(names)]).filter(general)
    free = free.with_columns(weight=pl.lit(1.0), group=pl.lit(None, pl.String), parents=pl.lit([], pl.List(pl.String)))
    return free.unique("id").sort("id"), every[2].select(names).filter(general)


def mixture(
    way: str, seed: int, settings: dict[str, Any], renderer: Renderer, render: RenderParams
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Training rows in order, and the manifest."""
    task, _ = task_rows(settings["questions"])
    long, _ = long_rows()
    long = long.filter(pl.col("tokens") <= render.max_length)
    encoded = [renderer.encode(r, render.turns) for r in task.iter_rows(named=True)]
    task = task.with_columns(
        pl.Series("tokens", [len(e.ids) for e in encoded]), pl.Series("loss_tokens", [e.loss_tokens for e in encoded])
    )
    if set(task["loss_tokens"]) != {2}:
        raise AssertionError("an answer of the task is its letter and the end token")
    pool = pl.concat([task, long], how="diagonal_relaxed")
    times = settings["copies"] if way == "upsampling" else 1
    params = MixParams.model_validate({
        "ratios": {"general": 1}, "replay": 0, "unit": "tokens", "size": settings["tokens"],
        "targets": [{"bucket": "domain", "rows": len(task) * times}],
        "short_answers": {"max_loss_tokens": 2, "times": times}, "seed": seed, "heldout": {"share": 0},
    })  # fmt: skip
    decided = decide(
        pool.drop("tokens", "loss_tokens"), pool.clear().drop("tokens", "loss_tokens"), {}, pool.select("id", "tokens", "loss_tokens"),
        params, render, renderer.template,
    )  # fmt: skip
    own = decided.train.select("id", "weight", "position", "repeat", "tokens", "loss_tokens", "phase", "part")
    texts = pool.drop("weight", "tokens", "loss_tokens")
    return texts.join(own, on="id", how="inner").sort("position"), decided.manifest


def stated(train: pl.DataFrame, schedule: pl.DataFrame, loss: str) -> dict[str, float]:
    """The task's share of the loss by the plan, over all and as the mean of the steps' shares."""
    weight = pl.col("loss_tokens") if loss == "token_mean" else pl.lit(1)
    read = schedule.join(train.select("id", "repeat", "task_type", "loss_tokens"), on=["id", "repeat"], how="left")
    read = read.select("step", weight.cast(pl.Float64).alias("all"), (pl.col("task_type") == TASK).alias("ours"))
    read = read.with_columns((pl.col("all") * pl.col("ours")).alias("task"))
    steps = read.group_by("step").agg(pl.col("task").sum(), pl.col("all").sum())
    return {
        "share": read["task"].sum() / read["all"].sum(),
        "of_steps": math.fsum(steps["task"] / steps["all"]) / len(steps),
    }


def watched() -> tuple[type, list[tuple[int, str, float, float]]]:
    """The train stage's trainer, and the list in which it notes (step, task type, Σ w, Σ w·nll) of each row it was given."""
    from train.trainer import Trainer

    noted: list[tuple[int, str, float, float]] = []

    class Watched(Trainer):
        def _note(self, rows: Any, labelled: Any, nll: Any, weights: Any) -> None:
            for number in labelled.unique_consecutive().tolist():
                mine = labelled == number
                task_type = self.rows[number][2]
                noted.append((
                    self.state.global_step + 1, task_type, float(weights[mine].sum()), float((weights[mine] * nll[mine]).sum()),
                ))  # fmt: skip
            super()._note(rows, labelled, nll, weights)

    return Watched, noted


def run(way: str, seed: int, settings: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """One run: mixture, shares stated, training, shares measured, exams."""
    from peft import PeftModel

    from curation.models import load_language_model, load_tokenizer
    from train.sft import fit

    loss = "sample_mean" if way == "sample_mean" else "token_mean"
    render = RenderParams(model=settings["model"], max_length=settings["length"])
    renderer = Renderer(load_tokenizer(render.model), render.template)
    train, manifest = mixture(way, seed, settings, renderer, render)
    params = TrainParams(
        seed=seed,
        loss=loss,
        accumulation=1,
        max_steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        eval_steps=10**6,
    )
    schedule = plan(train, params, render.max_length)
    before = stated(train, schedule, loss)
    told = manifest["short_answers"]["after"]["share_of_loss" if loss == "token_mean" else "share_of_rows"]
    whole = len(schedule) == len(train)
    if whole and abs(before["share"] - told) > 1e-6:
        raise AssertionError(f"{way}: the manifest says {told}, the plan {before['share']:.6f}")
    trainer, noted = watched()
    with tempfile.TemporaryDirectory() as folder, mock.patch("train.trainer.Trainer", trainer):
        fitted = fit(train, train.clear(), params, render, adapter=Path(folder) / "adapter", progress=progress)
        model = load_language_model(render.model)
        model = PeftModel.from_pretrained(model, str(Path(folder) / "adapter")).merge_and_unload().eval()
    after = measured(noted)
    if len(noted) != len(fitted.consumed):
        raise AssertionError(
            f"{way}: {len(noted)} rows were noted, {len(fitted.consumed)} read; a stopped run was resumed: start again"
        )
    for name, value in before.items():
        if abs(after[name] - value) > 1e-6:
            raise AssertionError(
                f"{way}, seed {seed}: {name} of the loss stated {value:.8f}, measured {after[name]:.8f}"
            )
    return {
        "told": told if whole else None, "stated": before, "measured": after, "steps": fitted.steps,
        "tokens": int(fitted.consumed["tokens"].sum()), "rows": len(fitted.consumed),
        "exam": exams(model, renderer, render, settings),
    }  # fmt: skip


def measured(noted: list[tuple[int, str, float, float]]) -> dict[str, float]:
    """Shares of the loss's weight, over all and by step, and of its nats, from what the trainer was given."""
    found = pl.DataFrame(noted, schema=["step", "type", "weight", "nats"], orient="row")
    ours = pl.col("type") == TASK
    sums = (pl.col("weight").filter(ours).sum().alias("task"), pl.col("weight").sum().alias("all"))
    steps = found.group_by("step").agg(*sums)
    task, every = found.select(*sums).row(0)
    nats = found.filter(ours)["nats"].sum() / found["nats"].sum()
    return {"share": task / every, "of_steps": math.fsum(steps["task"] / steps["all"]) / len(steps), "nats": nats}


def exams(model: Any, renderer: Renderer, render: RenderParams, settings: dict[str, Any]) -> dict[str, float]:
    """Accuracy of the task by language, and held-out nats a token of long answers."""
    import torch

    from train.losses import row_nll
    from train.pack import progress_rows

    _, exam = task_rows(settings["questions"])
    letters = {letter: renderer.tokenizer.encode(letter, add_special_tokens=False) for letter in THINGS["en"]}
    if any(len(ids) != 1 for ids in letters.values()):
        raise AssertionError("a code letter is one token")
    codes = [ids[0] for ids in letters.values()]
    right: dict[str, list[bool]] = {f"{kind}_{language}": [] for kind in ("free", "closed") for language in THINGS}
    for row in exam.iter_rows(named=True):
        ids = renderer.tokenizer.encode(renderer.prompt_text(row), add_special_tokens=False)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]
        expected = letters[row["messages"][-1]["content"]][0]
        right[f"free_{row['language']}"].append(int(logits.argmax()) == expected)
        right[f"closed_{row['language']}"].append(codes[int(logits[codes].argmax())] == expected)
    _, held = long_rows()
    rows = progress_rows(held.filter(pl.col("tokens") <= render.max_length), settings["exam_tokens"])
    losses = row_nll(model, [renderer.encode(r, render.turns) for r in rows.iter_rows(named=True)])
    nll = math.fsum(total for total, _ in losses) / sum(n for _, n in losses)
    return {name: sum(v) / len(v) for name, v in right.items()} | {"long": nll}


def base(settings: dict[str, Any]) -> dict[str, Any]:
    from curation.models import load_language_model, load_tokenizer

    render = RenderParams(model=settings["model"], max_length=settings["length"])
    renderer = Renderer(load_tokenizer(render.model), render.template)
    return {"exam": exams(load_language_model(render.model), renderer, render, settings)}


def report(before: dict[str, Any], found: dict[str, list[dict[str, Any]]], settings: dict[str, Any]) -> None:
    """Prints the section."""
    first = next(iter(found.values()))
    train, exam = task_rows(settings["questions"])
    print(
        f"{len(train)} task rows and {len(exam)} items of the exam, half of them Chinese; mixtures of {settings['tokens']:,} tokens, "
        f"{settings['copies']} copies under upsampling; {settings['model']}, LoRA, learning rate {settings['learning_rate']:g}, one "
        f"sequence of {settings['length']} tokens a step; {len(first)} seeds, mean and range. {about([r for runs in found.values() for r in runs])}\n"
    )
    rows = []
    for way, runs in found.items():
        of = [(r["stated"], r["measured"]) for r in runs]
        rows.append([
            way, f"{_mean([r['steps'] for r in runs]):.0f}", f"{_mean([r['tokens'] for r in runs]):,.0f}",
            *(_shares([stage[name] for stage in stages]) for name in ("share", "of_steps") for stages in zip(*of, strict=True)),
            _shares([r["measured"]["nats"] for r in runs]),
        ])  # fmt: skip
    head = [
        "way",
        "steps",
        "tokens",
        "share stated",
        "share measured",
        "mean of steps, stated",
        "measured",
        "share of the nats",
    ]
    print(table(head, rows))
    worst = max(
        abs(r["stated"][n] - r["measured"][n]) for runs in found.values() for r in runs for n in ("share", "of_steps")
    )
    print(f"\nStated and measured shares differ by {worst:.1e} at most; a millionth would be a failure.\n")
    head = ["way", "accuracy en", "accuracy zh", "among the eight, en", "zh", "long answers, nats/token"]
    names = ("free_en", "free_zh", "closed_en", "closed_zh")
    rows = [["base", *(f"{before['exam'][n]:.1%}" for n in names), f"{before['exam']['long']:.4f}"]]
    for way, runs in found.items():
        exam_of = {n: [r["exam"][n] for r in runs] for n in (*names, "long")}
        rows.append([way, *(_range(exam_of[n], ".1%") for n in names), _range(exam_of["long"], ".4f")])
    print(table(head, rows))
    print("\nOne in eight (12.5%) is chance among the eight.")


def _mean(values: list[float]) -> float:
    return statistics.fmean(values)


def _shares(values: list[float]) -> str:
    return f"{_mean(values):.4%}"


def _range(values: list[float], form: str) -> str:
    return f"{_mean(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each way (default 3)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--tokens", type=int, default=11_000, help="of a mixture (default 11000)")
    parser.add_argument("--questions", type=int, default=6, choices=range(1, 9), metavar="1…8", help="trained on, a thing and language (default 6)")  # fmt: skip
    parser.add_argument("--copies", type=int, default=3, help="of a task row under upsampling (default 3)")
    parser.add_argument("--length", type=int, default=256, help="tokens of a packed sequence, one a step (default 256)")
    parser.add_argument(
        "--steps", type=int, help="end earlier than the mixture does; shares are then those of what is read"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the peak (default 1e-3)")
    parser.add_argument("--exam-tokens", type=int, default=2000, help="of held-out long answers (default 2000)")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="bundled name, folder or hub name")
    args = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # what one library has to tell another
    missing = [name for name in ("train", "unused", "heldout") if not (MIXED / f"{name}.parquet").exists()]
    if missing:
        sys.exit(f"short_answers: {MIXED}/{missing[0]}.parquet: no such file; run `dvc repro mix` first.")
    settings = {k: v for k, v in vars(args).items() if k not in ("seeds", "ways")}
    runs = Runs("short_answers", settings, tuple(MIXED / f"{n}.parquet" for n in ("train", "unused", "heldout")))
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in args.ways}
    with errors_in_one_line("short_answers"), Bar() as bar:
        before = runs.get(lambda: base(settings), way="base")
        todo = [(way, seed) for seed in range(1, args.seeds + 1) for way in args.ways]
        for number, (way, seed) in enumerate(todo, 1):
            bar("short_answers: runs", number - 1, len(todo))
            tell = partial(bar, f"{way}, seed {seed}: tokens")
            measure = partial(run, way, seed, settings, lambda _, done, total, tell=tell: tell(done, total))
            made = runs.get(measure, way=way, seed=seed)
            found[way].append(made)
            accuracy = ", ".join(f"{language} {made['exam'][f'free_{language}']:.1%}" for language in THINGS)
            said = f"share {made['measured']['share']:.4%}, accuracy {accuracy}"
            print(f"  [{number} of {len(todo)}] {way}, seed {seed}: {said}", file=sys.stderr, flush=True)
    report(before, found, settings)


if __name__ == "__main__":
    main()
