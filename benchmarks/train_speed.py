"""Tokens a second of the train stage beside plain TRL: the same model, LoRA, settings and packed sequences.

    python -m benchmarks.train_speed                       # five pairs, about six minutes on two quiet cores
    python -m benchmarks.train_speed --repeats 1 --steps 2 # a look
    python -m benchmarks.train_speed --packing plan        # sequences as the train stage packs them

`ours` is the trainer of `train/trainer.py` as the stage runs it: loss weights of rows (0.5, 1 and 2, in turn), loss by task type
and of special tokens each step, DVCLive's files. `trl` is SFTTrainer with not one method changed. Both get the rows of
data/mixed/train.parquet that fit, packed by TRL's own `bfd`, rows kept apart by position ids, in the same order; both log each
step, with NEFTune and LoRA as in `params.yaml`'s defaults. Each run has a process of its own, with the threads of the train stage;
they take turns (ours, trl, ours, trl, …). Timed is from the end of the first step to the end of the last: loading, the
first step and the checkpoint are left out. Each pair is stored when it is done (benchmarks/stored.py), and not measured again.
The verdict is the median of the pairs' ratios, which is to be 0.95 or more; exit code 1 below.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from unittest import mock

from benchmarks.stored import Runs, about, table
from pipelines.stage import Bar  # sets the environment of the stages, for this process and its children

WAYS = ("ours", "trl")
TRAIN = Path("data/mixed/train.parquet")
LIMIT = 0.95
WEIGHTS = (1.0, 0.5, 2.0)


def measure(way: str, steps: int, length: int, accumulation: int, packing: str, model: str) -> dict[str, float]:
    """One training run in this process."""
    import polars as pl

    from curation import records
    from curation.models import load_tokenizer
    from curation.progress import silent
    from curation.render import Renderer, RenderParams
    from train import sft
    from train.pack import encode, pack
    from train.params import TrainParams
    from train.plan import plan

    warnings.simplefilter("ignore", FutureWarning)  # what one library has to tell another
    render = RenderParams(model=model, max_length=length)
    params = TrainParams(max_steps=steps, accumulation=accumulation, eval_steps=10**6)
    rows = records.read(TRAIN).filter(pl.col("tokens") <= length).sort("position")
    # bfd sorts what it is given by length; a little more than is read gives full sequences, of rows of all lengths.
    needed = int(1.2 * steps * accumulation * length)
    rows = rows.filter(pl.col("tokens").cum_sum() <= needed)
    weights = [WEIGHTS[i % len(WEIGHTS)] for i in range(len(rows))]
    rows = rows.with_columns(pl.Series("weight", weights))
    renderer = Renderer(load_tokenizer(render.model), render.template)
    schedule = plan(rows, params, length)
    encoded = encode(rows, renderer, render)
    # One row a sequence, for bfd to put together.
    alone = rows.select(
        pl.int_range(1, pl.len() + 1).alias("step"), pl.lit(0).alias("sequence"), "id", "repeat", "position", "tokens"
    )
    sequences = (
        _bfd(pack(rows, encoded, alone, params), length) if packing == "bfd" else pack(rows, encoded, schedule, params)
    )
    sizes = [sum(s) for s in sequences["seq_lengths"]]
    if packing == "bfd":
        if len(sizes) < steps * accumulation:
            sys.exit(
                f"train_speed: {TRAIN} fills {len(sizes)} sequences, {steps * accumulation} are needed; lower --steps."
            )
        by_step = [sum(sizes[i * accumulation : (i + 1) * accumulation]) for i in range(steps)]
    else:
        by_step = schedule.group_by("step", maintain_order=True).agg(pl.col("tokens").sum())["tokens"].to_list()
    with tempfile.TemporaryDirectory() as folder, sft._live(Path(folder) / "live") as watch:
        changed = mock.patch("train.trainer.Trainer", _plain()) if way == "trl" else contextlib.nullcontext()
        with changed, mock.patch("train.sft.pack", lambda *_: sequences):
            trainer = sft._trainer(rows, encoded, schedule, [], params, render, renderer, Path(folder), watch, silent)
        timer = _timer()
        trainer.add_callback(timer)
        trainer.train()
        read = trainer.read_tokens if way == "ours" else trainer._total_train_tokens
        if read != sum(by_step):
            raise AssertionError(f"{way}: {read} tokens were read, {sum(by_step)} were meant to be")
    ends, worked = timer.ends, timer.worked
    tokens = sum(by_step[1:])
    return {
        "tokens": tokens,
        "seconds": ends[-1] - ends[0],
        "tokens_per_second": tokens / (ends[-1] - ends[0]),
        "tokens_per_cpu_second": tokens / (worked[-1] - worked[0]),
    }


def _bfd(rows: object, length: int) -> object:
    from trl import pack_dataset

    return pack_dataset(rows.remove_columns("seq_lengths"), length, "bfd")


def _plain() -> type:
    """SFTTrainer that takes and forgets what ours takes beside it."""
    from train.trainer import PrinterCallback, ProgressCallback, SFTTrainer, Trainer

    given = inspect.signature(Trainer.__init__).parameters.values()
    extra = {p.name for p in given if p.kind is p.KEYWORD_ONLY}

    class Plain(SFTTrainer):
        def __init__(self, **given: object) -> None:
            kept = {k: v for k, v in given.items() if k not in extra}
            kept["train_dataset"] = kept["train_dataset"].select_columns(["input_ids", "labels", "seq_lengths"])
            super().__init__(**kept)
            self.remove_callback(ProgressCallback)
            self.remove_callback(PrinterCallback)

    return Plain


def _timer() -> object:
    from transformers import TrainerCallback

    class Timer(TrainerCallback):
        """The clock, and this process's CPU time, at the end of each step."""

        def __init__(self) -> None:
            self.ends: list[float] = []
            self.worked: list[float] = []

        def on_step_end(self, *_: object, **__: object) -> None:
            self.ends.append(time.perf_counter())
            self.worked.append(time.process_time())

    return Timer()


def pair(call: list[str]) -> dict[str, object]:
    """Each way once, in processes of their own."""
    found: dict[str, object] = {"load": round(os.getloadavg()[0], 1)}
    for way in WAYS:
        done = subprocess.run([*call, "--measure", way], check=True, stdout=subprocess.PIPE, text=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(found: list[dict], settings: dict) -> float:
    """Prints the section; the median ratio."""
    ratios = [f["ours"]["tokens_per_second"] / f["trl"]["tokens_per_second"] for f in found]
    of_cpu = [f["ours"]["tokens_per_cpu_second"] / f["trl"]["tokens_per_cpu_second"] for f in found]
    print(
        f"{len(found)} pairs of {settings['steps']} steps of {settings['accumulation']} × {settings['length']} tokens, packing "
        f"{settings['packing']}, {settings['model']}, the first step left out. {about(found)}\n"
    )
    rows = [
        [str(i), f"{f['ours']['tokens']:,}", *(f"{f[way]['tokens_per_second']:.1f}" for way in WAYS), f"{ratio:.3f}", f"{cpu:.3f}",
         f"{f['load']}"]
        for i, (f, ratio, cpu) in enumerate(zip(found, ratios, of_cpu, strict=True), 1)
    ]  # fmt: skip
    middle = [f"{statistics.median(f[way]['tokens_per_second'] for f in found):.1f}" for way in WAYS]
    rows.append(["median", "", *middle, f"{statistics.median(ratios):.3f}", f"{statistics.median(of_cpu):.3f}", ""])
    print(table(["pair", "tokens", "ours, tokens/s", "TRL, tokens/s", "ratio", "ratio by CPU time", "load"], rows))
    verdict = statistics.median(ratios)
    print(f"\nThe median ratio is {verdict:.3f}; {LIMIT} is asked for: {'held' if verdict >= LIMIT else 'not held'}.")
    return verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="pairs (default 5)")
    parser.add_argument(
        "--steps", type=int, default=6, help="optimizer steps of a run, the first not timed (default 6)"
    )
    parser.add_argument("--length", type=int, default=512, help="tokens of a packed sequence (default 512)")
    parser.add_argument("--accumulation", type=int, default=2, help="sequences a step (default 2)")
    parser.add_argument(
        "--packing", choices=("bfd", "plan"), default="bfd", help="TRL's, or the train stage's own (default bfd)"
    )
    parser.add_argument("--model", default="smollm2-135m-instruct", help="bundled name, folder or hub name")
    parser.add_argument("--measure", choices=WAYS, help="one run in this process, printed as JSON; nothing is stored")
    args = parser.parse_args()
    if args.steps < 2:
        parser.error(f"--steps {args.steps}: 2 or more, since the first is not timed")
    if not TRAIN.exists():
        sys.exit(f"train_speed: {TRAIN}: no such file; run `dvc repro mix` first.")
    settings = {k: getattr(args, k) for k in ("steps", "length", "accumulation", "packing", "model")}
    if args.measure:
        print(json.dumps(measure(args.measure, **settings)))
        return
    runs = Runs("train_speed", settings | {"cores": os.cpu_count()}, (TRAIN,))
    options = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    call = [sys.executable, "-m", "benchmarks.train_speed", *options]
    found = []
    with Bar() as bar:
        for repeat in range(args.repeats):
            bar("train_speed: pairs", repeat, args.repeats)
            found.append(runs.get(lambda: pair(call), repeat=repeat))
            rates = ", ".join(f"{way} {found[-1][way]['tokens_per_second']:.0f} tokens/s" for way in WAYS)
            print(f"  pair {repeat + 1} of {args.repeats}: {rates}", file=sys.stderr, flush=True)
    sys.exit(report(found, settings) < LIMIT)


if __name__ == "__main__":
    main()
