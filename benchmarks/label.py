"""How well the labeller does, against people. `python -m benchmarks.label` (about 20 s; the second part needs ../shared/data)

Starter rows: data/sources against tests/data/starter_labels.csv. Public rows: 400 rows of CURATION_TEST_DATA (default
../shared/data) that were labelled twice, each labelling without sight of the other. Neither has a part in the fit of
curation/label/weights.csv. Three quarters of the starter rows and half of the public ones (by hash of the id) were read while
the phrases of cues.py were written; the rest was never looked at, only its score is known.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl

from curation import records as rec
from curation.ingest import IngestParams, SourceParams, ingest
from curation.label import task_type, taxonomy

ROOT = Path(__file__).parent.parent
TREE = ROOT / "curation/label/taxonomy.yaml"


def unseen_starter(id_: str) -> bool:
    """True for the quarter of the starter rows that nobody looked at."""
    return int(rec.hash16(id_.encode()), 16) % 4 == 3


def unseen_public(id_: str) -> bool:
    """True for the half of the 400 public rows that nobody looked at."""
    return int(rec.hash16(id_.encode()), 16) % 2 == 1


def starter() -> pl.DataFrame:
    """The starter rows written to be kept, with `true_type`, `true_subtype`, `true_bucket` and `speech` (zh or en; null for replay texts)."""
    sources = ROOT / "data/sources"
    found, _ = ingest(
        IngestParams(
            sources=(
                SourceParams(path=str(sources), license="Apache-2.0"),
                SourceParams(path=str(sources / "replay"), license="Apache-2.0", format="text", unit="block"),
                SourceParams(
                    path=str(sources / "replay/code"), name="replay_code", license="Apache-2.0", format="text"
                ),
            )
        )
    )
    truth = pl.read_csv(ROOT / "tests/data/starter_labels.csv").rename(
        {"task_type": "true_type", "task_subtype": "true_subtype", "bucket": "true_bucket", "language": "speech"}
    )
    known = found.join(truth, on="id", how="left").filter(
        (pl.col("kind") == "text") | pl.col("true_type").is_not_null()
    )
    return known.sort("id")


def public(folder: Path) -> pl.DataFrame:
    """All records of the public data, without those that cannot be read."""
    found, _ = ingest(IngestParams(sources=(SourceParams(path=str(folder), license="Apache-2.0"),)))
    return found


def twice_labelled(records: pl.DataFrame) -> pl.DataFrame:
    """Those of the 400 rows that ingest keeps, with `a_type`, `b_type` and their subtypes, and `speech` by whether the prompt has Chinese characters."""
    rows = records.join(pl.read_csv(ROOT / "tests/data/labels_400.csv"), on="id").sort("id")
    prompts = rec.sides(rows)["prompt"]
    return rows.with_columns(
        pl.when(prompts.str.contains(r"\p{Han}")).then(pl.lit("zh")).otherwise(pl.lit("en")).alias("speech")
    )


def labelled(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with what the labeller says: `type`, `sure`, `subtype`, `subtype_sure`, `bucket`."""
    tree = taxonomy.load(TREE)
    said = task_type.assign(rows, tree)
    names = ("type", "sure", "subtype", "subtype_sure")
    found = rows.with_columns([pl.Series(n, [s[i] for s in said]) for i, n in enumerate(names)])
    texts = rec.sides(found).select(
        pl.concat_str("system", "prompt", "answer", pl.col("tools").fill_null(""), separator="\n")
    )
    buckets = [tree.bucket(s[0], text)[0] for s, text in zip(said, texts.to_series(), strict=True)]
    return found.with_columns(pl.Series("bucket", buckets))


def kappa(a: list[str], b: list[str]) -> float:
    """Cohen's kappa (1960) of two people's labels."""
    same = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
    left, right = Counter(a), Counter(b)
    chance = sum(left[k] * right[k] for k in left) / len(a) ** 2
    return (same - chance) / (1 - chance)


def starter_scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Shares right by language: all rows, and those never looked at."""
    right = rows.filter(pl.col("kind") == "chat").with_columns(
        type_right=pl.col("type") == pl.col("true_type"),
        subtype_right=(pl.col("type") == pl.col("true_type")) & (pl.col("subtype") == pl.col("true_subtype")),
        bucket_right=pl.col("bucket") == pl.col("true_bucket"),
        unseen=pl.col("id").map_elements(unseen_starter, return_dtype=pl.Boolean),
    )
    shares = [
        pl.len().alias("rows"),
        *(pl.col(f"{x}_right").mean().round(4).alias(x) for x in ("type", "subtype", "bucket")),
    ]
    every = right.group_by("speech").agg(shares).with_columns(pl.lit("all").alias("of"))
    unseen = right.filter("unseen").group_by("speech").agg(shares).with_columns(pl.lit("never looked at").alias("of"))
    return pl.concat([every, unseen]).select("of", "speech", "rows", "type", "subtype", "bucket").sort("of", "speech")


def public_scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Agreement of the two people, their kappa, and the labeller's mean agreement with them, by half and language."""
    found = []
    halves = {
        "read": [not unseen_public(i) for i in rows["id"]],
        "never looked at": [unseen_public(i) for i in rows["id"]],
    }
    for half, chosen in {"all": [True] * rows.height, **halves}.items():
        for speech in ("zh", "en", "both"):
            part = rows.filter(pl.Series(chosen) & ((rows["speech"] == speech) | (speech == "both")))
            a, b, ours = (part[c].to_list() for c in ("a_type", "b_type", "type"))
            people = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
            mean = sum((o == x) + (o == y) for o, x, y in zip(ours, a, b, strict=True)) / 2 / len(a)
            kappas = (kappa(ours, a) + kappa(ours, b)) / 2
            found.append((half, speech, part.height, people, kappa(a, b), mean, kappas, people - mean))
    names = ("of", "speech", "rows", "people", "kappa", "labeller", "labeller_kappa", "behind")
    frame = pl.DataFrame(found, schema=names, orient="row")
    return frame.with_columns(pl.col(pl.Float64).round(3))


def confusions(pairs: list[tuple[str, str]], n: int = 12) -> str:
    """The commonest (true → said)."""
    wrong = Counter((true, said) for true, said in pairs if true != said)
    return ", ".join(
        f"{true} → {said} {k}" for (true, said), k in sorted(wrong.items(), key=lambda x: (-x[1], x[0]))[:n]
    )


def calibration(sure: list[float], right: list[bool]) -> str:
    """Mean confidence and share right in five bins."""
    parts = []
    for low in (0.0, 0.4, 0.6, 0.8, 0.95):
        high = {0.0: 0.4, 0.4: 0.6, 0.6: 0.8, 0.8: 0.95, 0.95: 1.01}[low]
        chosen = [(s, r) for s, r in zip(sure, right, strict=True) if low <= s < high]
        if chosen:
            mean, share = (sum(x) / len(chosen) for x in zip(*chosen, strict=True))
            parts.append(f"{mean:.2f} said, {share:.2f} right ({len(chosen)})")
    return "; ".join(parts)


def main() -> None:
    pl.Config.set_tbl_hide_dataframe_shape(True).set_tbl_hide_column_data_types(True).set_tbl_rows(20).set_tbl_cols(20)
    rows = labelled(starter())
    print("Starter rows\n", starter_scores(rows))
    chat = rows.filter(pl.col("kind") == "chat")
    texts = rows.filter(pl.col("kind") == "text")
    print(f"replay texts: {texts.height}, of type text {(texts['type'] == 'text').mean():.3f}")
    print("confusions:", confusions(list(zip(chat["true_type"], chat["type"], strict=True))))
    unseen = chat.filter(pl.Series([unseen_starter(i) for i in chat["id"]]))
    print(
        "confidence (never looked at):",
        calibration(unseen["sure"].to_list(), (unseen["type"] == unseen["true_type"]).to_list()),
    )
    folder = Path(os.environ.get("CURATION_TEST_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        sys.exit(f"public rows: skipped, no folder {folder}; set CURATION_TEST_DATA")
    every = public(folder)
    rows = labelled(twice_labelled(every))
    print("\nPublic rows labelled twice\n", public_scores(rows))
    read = rows.filter(pl.Series([not unseen_public(i) for i in rows["id"]]))
    print("confusions (read half):", confusions(list(zip(read["a_type"], read["type"], strict=True))))
    sure = rows.filter((pl.col("a_type") == pl.col("b_type")) & pl.Series([unseen_public(i) for i in rows["id"]]))
    print(
        "confidence (never looked at):", calibration(sure["sure"].to_list(), (sure["type"] == sure["a_type"]).to_list())
    )
    sample = every.filter(pl.col("kind") == "chat").sort("content_hash").head(8000)
    tree = taxonomy.load(TREE)
    start = time.process_time()
    task_type.assign(sample, tree, by_meaning=False)
    print(f"\nspeed: {sample.height / (time.process_time() - start):,.0f} rows a second of processor time")


if __name__ == "__main__":
    main()
