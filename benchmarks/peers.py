"""Peers that get a virtual environment of their own, in the cache folder, and how each is run on a parquet file of `id` and `text`.

    VENV/bin/python benchmarks/peers.py text-dedup TEXTS LEDGER FOLDER

prints seconds as JSON and writes a parquet file with the ids (`content_hash`) of the rows that it drops. Imported by benchmarks/near.py
for the list, and run by each environment's own Python, so it imports nothing else of the project.

Settings are those that the documentation of each advises, for a Jaccard of 0.8, five words and two cores:

- text-dedup 0.4: `python -m text_dedup.minhash`, threshold 0.8, 5-grams, 128 permutations, bands found by itself.
- datatrove: the four stages of examples/minhash_deduplication.py, 5-grams, 14 buckets of 8, 64-bit hashes, two workers. The word
  tokenizer is its Chinese one (jieba), which cuts English words too; with the English one Chinese sentences count as words.
- SemHash: `self_deduplicate` at its default threshold. Its default model has to be downloaded, so it is given the sentence
  encoder that the project carries (all-MiniLM-L6-v2, which reads little Chinese), by the project's own packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

# What `pip install` is asked for.
PEERS = {
    "text-dedup": ["text-dedup==0.4.0"],
    "datatrove": [
        "datatrove[io,processing]==0.10.1",
        "spacy==3.8.18",
        "jieba==0.42.1",
        "pyarrow==26.0.1",
        "xxhash==3.8.2",
    ],
    "semhash": ["semhash==0.5.0", "pyarrow==26.0.1"],
}


def command(name: str, texts: Path, out: Path, work: Path) -> list[str] | str:
    """The command of one run, its environment made first; or why it cannot be made."""
    from curation import cache, models

    home = cache.folder() / "benchmarks" / name
    ready = home / "ready.json"
    if not ready.exists() or json.loads(ready.read_text()) != PEERS[name]:
        print(f"{name}: installing {' '.join(PEERS[name])} into {home}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin/pip"), "install", "--quiet", "--no-input", *PEERS[name]]
        try:
            done = subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=900)
        except subprocess.TimeoutExpired:
            return "its installation took more than 15 minutes"
        if done.returncode:
            why = [line for line in done.stderr.splitlines() if "ERROR" in line]
            return f"it cannot be installed ({why[-1] if why else done.returncode})"
        ready.write_text(json.dumps(PEERS[name]))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    call = [home / "bin/python", Path(__file__), name, texts, out, work]
    if name == "semhash":
        call += [sysconfig.get_path("purelib"), models.encoder_path("all-minilm-l6-v2")]
    return [str(part) for part in call]


def text_dedup(texts: Path, work: Path) -> tuple[float, list[str]]:
    from datasets import Dataset, load_from_disk

    Dataset.from_parquet(str(texts), cache_dir=str(work / "cache")).save_to_disk(work / "in")
    options = {
        "path": work / "in", "cache_dir": work / "cache", "output": work / "out", "column": "text", "batch_size": 10000,
        "threshold": 0.8, "ngram": 5, "num_perm": 128, "min_length": 0, "hash_func": "xxh3", "num_proc": os.cpu_count(),
    }  # fmt: skip
    start = time.perf_counter()
    call = [sys.executable, "-m", "text_dedup.minhash", *(str(a) for k, v in options.items() for a in (f"--{k}", v))]
    subprocess.run([*call, "--local"], check=True, stdout=sys.stderr)
    return time.perf_counter() - start, list(load_from_disk(str(work / "out"))["id"])


def datatrove(texts: Path, work: Path) -> tuple[float, list[str]]:
    import pyarrow.parquet as pq
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.typeshelper import Languages

    (work / "in").mkdir()
    workers = os.cpu_count() or 1
    whole = pq.read_table(texts)
    for part in range(workers):  # a file a worker: files are what it shares out
        begin, end = (len(whole) * p // workers for p in (part, part + 1))
        pq.write_table(whole.slice(begin, end - begin), work / "in" / f"{part}.parquet")
    config = MinhashConfig(hash_config=HashConfig(precision=64), n_grams=5, num_buckets=14, hashes_per_bucket=8)
    steps = [
        (
            [ParquetReader(str(work / "in")), MinhashDedupSignature(f"{work}/sig", config, language=Languages.mandarin_chinese)],
            workers,
        ),
        ([MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)], 1),
        ([ParquetReader(str(work / "in")), MinhashDedupFilter(f"{work}/remove"), ParquetWriter(f"{work}/out")], workers),
    ]  # fmt: skip
    start = time.perf_counter()
    before = None
    for n, (pipeline, tasks) in enumerate(steps):
        before = LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=workers, logging_dir=f"{work}/logs/{n}", depends=before
        )
    before.run()
    return time.perf_counter() - start, pq.read_table(work / "out", columns=["id"])["id"].to_pylist()


def semhash(texts: Path, work: Path) -> tuple[float, list[str]]:
    import pyarrow.parquet as pq
    from semhash import SemHash

    packages, model = sys.argv[5:]
    sys.path.append(packages)
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    rows = pq.read_table(texts).to_pylist()
    start = time.perf_counter()
    found = SemHash.from_records(rows, columns=["text"], model=encoder).self_deduplicate()
    return time.perf_counter() - start, [row["id"] for row in found.selected]


def main() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, texts, out, work = sys.argv[1], *map(Path, sys.argv[2:5])
    seconds, kept = {"text-dedup": text_dedup, "datatrove": datatrove, "semhash": semhash}[name](texts, work)
    stays = set(kept)
    gone = [key for key in pq.read_table(texts, columns=["id"])["id"].to_pylist() if key not in stays]
    pq.write_table(pa.table({"content_hash": pa.array(gone, pa.string())}), out)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
