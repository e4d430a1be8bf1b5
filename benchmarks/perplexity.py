"""Perplexity against a plain loop of batches of eight in input order: non-padding tokens a second, and equal values.

    python -m benchmarks.perplexity --rows 200 --runs 3

Rows are the first of alpaca_{en,zh}_demo in turn (CURATION_TEST_DATA, default ../shared/data). The loop pads each eight rows as they
come, masks the padding, and takes all logits, as most scripts do; both read the same tokens with the same weights in the
same precision. Each of ours runs over an empty cache. A last run of ours over a full cache must load no model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from curation.ingest import IngestParams, SourceParams, ingest


def rows(number: int) -> pl.DataFrame:
    folder = Path(os.environ.get("CURATION_TEST_DATA") or "../shared/data") / "LLaMA-Factory"
    if not folder.is_dir():
        sys.exit(f"perplexity: no folder {folder}; set CURATION_TEST_DATA")
    halves = []
    for name in ("alpaca_en_demo.json", "alpaca_zh_demo.json"):
        found, _ = ingest(IngestParams(sources=(SourceParams(path=str(folder / name), license="Apache-2.0"),)))
        line = found["meta"].str.json_path_match("$.line").cast(pl.Int64)
        halves.append(found.with_columns(line.alias("_line")).unique("content_hash").sort("_line").head(number // 2))
    both = pl.concat([half.with_row_index("_place") for half in halves])
    return both.sort("_place", "source").drop("_place", "_line")


def loop(encoded: list, model, size: int = 8) -> list[float]:
    """Mean negative log-likelihood (nats) of each row's label tokens."""
    import torch
    from torch.nn.functional import cross_entropy

    found = []
    for start in range(0, len(encoded), size):
        batch = encoded[start : start + size]
        longest = max(len(e.ids) for e in batch)
        ids = torch.tensor([e.ids + [0] * (longest - len(e.ids)) for e in batch])
        mask = torch.tensor([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in batch])
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for e, row, own in zip(batch, logits, ids, strict=True):
            learned = torch.tensor([w > 0 for w in e.weights[1:]])
            losses = cross_entropy(row[: len(e.ids) - 1].float(), own[1 : len(e.ids)], reduction="none")
            found.append(float(losses[learned].double().mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()

    from curation import models
    from curation.cache import folder
    from curation.render import Renderer
    from curation.score import perplexity

    params = perplexity.PerplexityParams()
    frame = rows(asked.rows)
    renderer = Renderer(models.load_tokenizer(params.model), params.template)
    encoded = [renderer.encode(row) for row in frame.iter_rows(named=True)]
    encoded = [type(e)(e.ids[: params.max_tokens], e.weights[: params.max_tokens]) for e in encoded]
    tokens = sum(len(e.ids) for e in encoded)
    model = models.load_language_model(params.model)
    converted, loads = folder() / "models", []

    def load(name: str):
        loads.append(name)
        return model

    models.load_language_model = load
    ours, theirs, ratios = [], [], []
    for run in range(asked.runs):
        with tempfile.TemporaryDirectory() as cache:
            (Path(cache) / "models").symlink_to(converted)
            os.environ["CURATION_CACHE"] = cache
            start = time.perf_counter()
            values = perplexity.compute(frame, params)
            ours.append(time.perf_counter() - start)
            before = len(loads)
            again = perplexity.compute(frame, params)
            assert again.equals(values)
            assert len(loads) == before, "a second run loaded the model"
        start = time.perf_counter()
        plain = loop(encoded, model)
        theirs.append(time.perf_counter() - start)
        ratios.append(theirs[-1] / ours[-1])
        print(f"run {run + 1} of {asked.runs}: {ratios[-1]:.2f}", file=sys.stderr, flush=True)
    by_hash = dict(values.select("content_hash", "nll").iter_rows())
    apart = max(abs(by_hash[h] - p) / p for h, p in zip(frame["content_hash"], plain, strict=True))
    print(
        f"{len(encoded)} rows, {tokens} tokens, {tokens / len(encoded):.0f} a row; medians of {asked.runs} interleaved runs"
    )
    print("| | non-padding tokens/s |\n|---|---|")
    print(f"| Temper | {tokens / statistics.median(ours):.0f} |")
    print(f"| loop of 8 | {tokens / statistics.median(theirs):.0f} |")
    print(
        f"\nratio {statistics.median(ratios):.2f}; greatest relative difference of a value {apart:.1e} (values are rounded to 3 decimals)"
    )


if __name__ == "__main__":
    main()
