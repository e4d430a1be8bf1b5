"""A small run with every kind of fate in it, and rows that would break a page that trusts them."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curation import ledger
from curation import records as rec
from curation.mix import HELDOUT, TRAIN, UNUSED
from curation.report.run import Check, Corpus, Run
from curation.synthesize import ATTEMPTS
from train.plan import CONSUMED

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    " & \u2028 \x00 \x1b[31m {{7*7}} \u202e"
)


def record(name: str, prompt: str, answer: str, **other: object) -> dict:
    messages = [rec.message("user", prompt), rec.message("assistant", answer)]
    base = {
        "id": name,
        "content_hash": rec.content_hash(messages, None, None),
        "kind": "chat",
        "messages": messages,
        "language": "en",
        "source": name.split("-")[0],
        "license": "MIT",
        "origin": "human",
        "tags": [],
        "parents": [],
        "weight": 1.0,
        "meta": json.dumps({"file": f"data/sources/{name.split('-')[0]}.jsonl", "line": 7}),
    }
    return base | other


def labelled(row: dict, task_type: str, subtype: str, bucket: str, confidence: float = 0.8) -> dict:
    said = {"task_type": task_type, "task_subtype": subtype, "bucket": bucket}
    return row | {
        **said,
        **{f"{k}_confidence": confidence for k in said},
        **{f"{k}_by": "labeller" for k in said},
    }


RAW = [
    labelled(record("a-1", "What is ice?", "Frozen water, plain and simple as that."), "open_qa", "factual", "general"),
    labelled(
        record("a-2", "What is  ice?", "Frozen water, plain and simple as that!"), "open_qa", "factual", "general"
    ),
    labelled(record("a-3", "露芽怎么用？", "加水，放种芯，开灯。", language="zh"), "chat", "advice", "domain", 0.4),
    labelled(record("a-4", HOSTILE, HOSTILE, source=HOSTILE), "open_qa", "factual", "general"),
    labelled(
        record("a-5", "Two plus two?", "Four, since two and two are four."), "math", "arithmetic", "math_code", 0.9
    ),
    labelled(record("a-6", "Name a bird.", "word " * 40), "open_qa", "factual", "general"),
    labelled(
        record("a-7", "Mail me at <EMAIL_1>.", "I shall write to <EMAIL_1> tomorrow morning."),
        "chat",
        "advice",
        "general",
    ),
    labelled(record("a-8", "Who are you?", "I am a chat model by another company."), "chat", "smalltalk", "general"),
]
MADE = [
    labelled(
        record(
            "noise-1",
            "What iz ice",
            "Frozen water, plain and simple as that.",
            origin="synthetic",
            recipe="noise/typo",
            parents=["a-1"],
            tags=["robustness:typo"],
            source="synthetic",
        ),
        "open_qa",
        "factual",
        "general",
    )
]
SECRET = "ada.lovelace@analytical-engines.org"


def signals(rows: list[dict]) -> dict[str, pl.DataFrame]:
    hashes = [r["content_hash"] for r in rows]
    none = pl.Series([[] for _ in rows], dtype=pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})))
    near = pl.DataFrame({"content_hash": hashes, "neighbours": none})
    if len(rows) > 2:
        pair = [{"other": hashes[4], "similarity": 0.7}]
        near = near.with_columns(
            pl.Series("neighbours", [pair if i == 0 else [] for i in range(len(rows))], dtype=none.dtype)
        )
    texts = [(r["messages"][0]["content"], r["messages"][1]["content"]) for r in rows]
    length = {
        "content_hash": hashes,
        "prompt_chars": [len(p) for p, _ in texts],
        "answer_chars": [len(a) for _, a in texts],
        "last_answer_chars": [len(a) for _, a in texts],
        "prompt_tokens": [len(p.split()) for p, _ in texts],
        "answer_tokens": [len(a.split()) for _, a in texts],
        "turns": [1] * len(rows),
    }
    language = {"content_hash": hashes} | {
        f"{side}_{what}": [r["language"] if what == "language" else 0.9 for r in rows]
        for side in ("prompt", "answer")
        for what in ("language", "confidence")
    }
    nll = [1.0 + 0.01 * i for i in range(len(rows))]
    found = {
        "language": pl.DataFrame(language),
        "length": pl.DataFrame(length),
        "repetition": pl.DataFrame(
            {
                "content_hash": hashes,
                "duplicate_share": [0.3 if i == 4 else 0.0 for i in range(len(rows))],
                "longest_run": [0] * len(rows),
            }
        ),
        "exact": pl.DataFrame({"content_hash": hashes, "key": hashes, "prompt_key": hashes, "answer_key": hashes}),
        "perplexity": pl.DataFrame(
            {"content_hash": hashes, "nll": nll, "perplexity": nll, "scored_tokens": [30] * len(rows)}
        ),
        "near": near,
        "semantic": pl.DataFrame({"content_hash": hashes, "neighbours": none}),
    }
    return {
        name: sidecar.with_columns(pl.lit(None, pl.String).alias("not_applicable")) for name, sidecar in found.items()
    }


def dropped(
    id_: str, rule: str, value: float | None, limit: float | None, of: str | None = None, also: tuple[str, ...] = ()
) -> dict:
    return {
        "id": id_,
        "stage": "clean",
        "rule": rule,
        "value": value,
        "limit": limit,
        "duplicate_of": of,
        "detail": "why",
        "also": list(also),
    }


@pytest.fixture(scope="session")
def whole() -> Run:
    """Nine source rows: one quarantined, three dropped, one held out, one unused, three trained on with one made row."""
    raw = rec.frame(RAW)
    before = raw.with_columns(
        pl.when(pl.col("id") == "a-7").then(pl.lit("0" * 32)).otherwise("content_hash").alias("content_hash")
    )
    labels = rec.frame(RAW, {"id": pl.String, "tags": pl.List(pl.String)} | rec.LABELS)
    out = {"a-2", "a-6", "a-8"}
    kept = rec.frame([r for r in RAW if r["id"] not in out], rec.LABELLED)
    made = rec.frame(MADE, rec.LABELLED)
    quarantine = [
        {
            "id": "b-1",
            "source": "b",
            "file": "data/sources/b.jsonl",
            "line": 3,
            "reason": "broken_json",
            "detail": "<b>expected",
            "raw": f'{{"a": {HOSTILE} {SECRET}',
        }
    ]
    edits = [
        {
            "id": "a-7",
            "step": 0,
            "rule": "pii",
            "count": 2,
            "hash_before": "0" * 32,
            "hash_after": RAW[6]["content_hash"],
            "detail": "email",
        }
    ]
    drops = [
        dropped("a-2", "exact_duplicate", 1.0, 1.0, "a-1"),
        dropped("a-6", "repetition", 0.97, 0.45, also=("too_short",)),
        dropped("a-8", "other_identity", None, None),
    ]
    size = {"tokens": 20, "loss_tokens": 10}
    train = [
        r | size | {"position": i, "repeat": 0, "phase": "A", "part": r["bucket"]}
        for i, r in enumerate([RAW[0], RAW[3], MADE[0]])
    ]
    attempts = [
        {
            "attempt": "attempt-1",
            "recipe": "noise/typo",
            "parent": "a-1",
            "fate": "kept",
            "record": "noise-1",
            "exchanges": "[]",
        },
        {
            "attempt": "attempt-2",
            "recipe": "evol/deepen",
            "parent": "a-3",
            "fate": "rejected",
            "reason": "refused",
            "detail": "no",
            "exchanges": json.dumps(
                [{"messages": [{"role": "user", "content": HOSTILE}], "answer": f"I cannot, {SECRET}", "failure": None}]
            ),
        },
    ]
    score = {
        "rows": 1,
        "tokens": 10,
        "nll_base": 2.5,
        "nll_trained": 2.0,
        "difference": -0.5,
        "low": -0.6,
        "high": -0.4,
        "verdict": "better",
    }
    cases = (
        {
            "task": "sums",
            "key": "1",
            "language": "en",
            "prompt": HOSTILE,
            "expected": "4",
            "item": "x",
            "base_answer": "5",
            "base_correct": False,
            "trained_answer": "4",
            "trained_correct": True,
        },
    )
    history = [
        ("train/loss", 1, 2.5),
        ("train/loss", 2, 2.4),
        ("train/task/open_qa", 1, 2.5),
        ("train/task/open_qa", 2, 2.4),
        ("train/grad_norm", 1, 1.0),
        ("train/grad_norm", 2, 0.9),
        ("heldout/nll", 0, 2.6),
        ("heldout/nll", 2, 2.5),
    ]
    return Run(
        raw=Corpus(
            "raw",
            before,
            rec.frame(quarantine, ledger.QUARANTINE),
            raw,
            rec.frame(edits, ledger.EDITS),
            signals(RAW),
            labels,
            kept,
            rec.frame(drops, ledger.DROPPED),
        ),
        generated=Corpus(
            "generated",
            made.select(rec.SCHEMA.keys()),
            None,
            made.select(rec.SCHEMA.keys()),
            rec.frame([], ledger.EDITS),
            signals(MADE),
            rec.frame(MADE, labels.schema),
            made,
            rec.frame([], ledger.DROPPED),
        ),
        attempts=rec.frame(attempts, ATTEMPTS),
        train=rec.frame(train, TRAIN),
        heldout=rec.frame([RAW[4] | size | {"cluster": "c"}], HELDOUT),
        unused=rec.frame([RAW[i] | size | {"reason": "beyond_target"} for i in (2, 6)], UNUSED),
        manifest={
            "unit": "tokens",
            "tolerance": 0.5,
            "plan_hash": "f" * 32,
            "mixture": {
                "general": {"target_share": 0.9, "available": 80},
                "domain": {"target_share": 0.1, "available": 20},
            },
        },
        consumed=rec.frame(
            [
                {"step": s, "sequence": 0, "id": i, "repeat": 0, "tokens": 20, "label_tokens": 10, "weight": 1.0}
                for s, i in ((1, "a-1"), (2, "a-4"))
            ],
            CONSUMED,
        ),
        history=pl.DataFrame(history, schema={"name": pl.String, "step": pl.Int64, "value": pl.Float64}, orient="row"),
        scores={
            "heldout": score,
            "benchmark": {"items": 1, "base": 0.0, "trained": 1.0, "sums": {"items": 1, "base": 0.0, "trained": 1.0}},
        },
        scores_by_task={"math": score},
        cases=cases,
        gate={"passed": 0, "reasons": ["held-out: <i>worse</i>"]},
        truth=pl.DataFrame(
            {
                "id": ["a-1", "a-3", "a-5"],
                "language": ["en", "zh", "en"],
                "bucket": ["general", "general", "math_code"],
                "task_type": ["open_qa", "open_qa", "math"],
                "task_subtype": ["factual", "how_to", "algebra"],
            }
        ),
        audit=(Check("ingest", "9 in the sources = 8 records + 1 quarantined", None),),
    )


@pytest.fixture
def tree(whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the run's files into an empty folder, which becomes the current one; `without`: files left out."""
    monkeypatch.chdir(tmp_path)

    def write(*without: str) -> Path:
        frames = {"models/consumed.parquet": whole.consumed, "data/generated/attempts.parquet": whole.attempts}
        for corpus, came, cleaned in (
            (whole.raw, "data/raw", "data/cleaned"),
            (whole.generated, "data/generated", "data/synthesized"),
        ):
            frames |= {
                f"{came}/records.parquet": corpus.came,
                f"{cleaned}/records.parquet": corpus.kept,
                f"{cleaned}/dropped.parquet": corpus.dropped,
            }
            frames |= {
                f"data/repaired/{corpus.name}/records.parquet": corpus.repaired,
                f"data/repaired/{corpus.name}/edits.parquet": corpus.edits,
            }
            frames |= {f"data/labels/{corpus.name}.parquet": corpus.labels}
            frames |= {f"data/signals/{corpus.name}/{k}.parquet": v for k, v in corpus.signals.items()}
        frames |= {"data/raw/quarantine.parquet": whole.raw.quarantine}
        frames |= {f"data/mixed/{name}.parquet": getattr(whole, name) for name in ("train", "heldout", "unused")}
        for path, frame in frames.items():
            if frame is not None and not path.startswith(without):
                rec.write(frame, tmp_path / path)
        texts = {
            "params.yaml": "ingest:\n  sources: [{path: data/sources}]\nreport:\n  truth: null\n",
            "data/mixed/manifest.json": json.dumps(whole.manifest),
            "reports/scores.json": json.dumps(whole.scores),
            "reports/scores_by_task.json": json.dumps(whole.scores_by_task),
            "reports/gate.json": json.dumps(whole.gate),
            "reports/cases.jsonl": "".join(json.dumps(case) + "\n" for case in whole.cases),
        }
        for name in whole.history["name"].unique() if whole.history is not None else ():
            rows = whole.history.filter(pl.col("name") == name).select("step", "value").iter_rows()
            texts[f"reports/training/plots/metrics/{name}.tsv"] = f"step\t{Path(name).name}\n" + "".join(
                f"{s}\t{v}\n" for s, v in rows
            )
        for path, text in texts.items():
            if not without or not path.startswith(without):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(text, encoding="utf-8")
        return tmp_path

    return write
