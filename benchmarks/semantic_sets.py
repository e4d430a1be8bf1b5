"""What benchmarks/semantic.py reads: labelled pairs of public sets, and the demo sets with planted copies."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
Pair = tuple[str, str, float]  # two sentences; 1.0 a paraphrase, 0.0 none, or a grade of 0 to 5


def pair_sets(data: Path) -> dict[str, list[Pair]]:
    """Labelled pairs by the name of their set."""
    folder = data / "self-instruct/t0_templates"
    sets: dict[str, list[Pair]] = {}
    with gzip.open(data / "text2vec/stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    sets["STS-B"] = [(line[6], line[7], float(line[5])) for line in lines if line[0] == "test"]
    forms = {
        "QQP": ("glue_qqp_meaning", r"Question 1: (.*)\nQuestion 2: (.*)\n\nDo these"),
        "MRPC": ("glue_mrpc_same_thing", r"[^\n]*\n([^\n]*)\n([^\n]*)"),
        "PAWS": ("paws_labeled_final_Concatenation", r"Sentence 1: (.*)\nSentence 2: (.*)\nQuestion"),
    }
    for name, (file_name, form) in forms.items():
        sets[name] = []
        for line in (folder / f"{file_name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            a, b = re.match(form, row["prompt"], re.DOTALL).groups()
            sets[name].append((a, b, float(row["completion"].strip().lower().startswith("yes"))))
    atec = (data / "text2vec/ATEC.test.data").read_text(encoding="utf-8").split("\n")[:1500]
    sets["ATEC"] = [(a, b, float(label)) for a, b, label in (line.split("\t") for line in atec)]
    typed = json.loads((data / "pycorrector/sighan_2015/test.json").read_text(encoding="utf-8"))
    mended = [(t["original_text"], t["correct_text"], 1.0) for t in typed if t["original_text"] != t["correct_text"]]
    sets["SIGHAN"] = mended[:400]
    return sets


def same(name: str, pairs: list[Pair]) -> np.ndarray:
    """Which pairs are paraphrases."""
    return np.array([grade >= (4 if name == "STS-B" else 1) for _, _, grade in pairs])


def rows_with_plants(data: Path, sets: dict[str, list[Pair]], size: int) -> tuple[Any, int]:
    """Records, `size` rows of the demo sets and lessons and then the planted ones; how many of these."""
    rng = random.Random(0)
    demo = {}
    for language in ("en", "zh"):
        read = json.loads((data / f"LLaMA-Factory/alpaca_{language}_demo.json").read_text(encoding="utf-8"))
        demo[language] = [("\n".join(filter(None, (r["instruction"], r.get("input")))), r["output"]) for r in read]
    asked = {"en": sets["QQP"], "zh": sets["ATEC"]}
    plants: list[tuple[str, str]] = []
    for language, rows in demo.items():
        chinese = language == "zh"
        for prompt, answer in rng.sample(rows, 25):
            plants.append((edited(prompt, 0.05, chinese, rng), edited(answer, 0.05, chinese, rng)))
        for prompt, answer in rng.sample(rows, 20):
            plants.append((("请帮我：" if chinese else "Please help me: ") + prompt, answer))
        for prompt, answer in rng.sample(rows, 10):
            plants.append((f"{prompt}谢谢！" if chinese else prompt.upper(), answer))
        alike = [pair for pair in asked[language] if pair[2] == 1]
        for (one, other, _), (_, answer) in zip(alike, rng.sample(rows, 20), strict=False):
            plants += [(one, answer), (other, edited(answer, 0.03, chinese, rng))]
    own = (demo["en"] + demo["zh"] + lessons())[:size]
    return frame(own + plants), len(plants)


def edited(text: str, share: float, chinese: bool, rng: random.Random) -> str:
    """`text` with a share of its Chinese characters or words left out, made longer or exchanged, one at least."""
    units = list(text) if chinese else text.split(" ")
    for at in rng.sample(range(len(units)), max(1, int(len(units) * share))):
        if chinese and not "\u4e00" <= units[at] <= "\u9fff":
            continue
        way = rng.random()
        if way < 0.4:
            units[at] = ""
        elif way < 0.7:
            units[at] += "的" if chinese else " very"
        else:
            units[at] = rng.choice(text if chinese else units)
    return ("" if chinese else " ").join(units)


def lessons() -> list[tuple[str, str]]:
    """Prompt and answer of each of benchmarks/lessons/*.jsonl, files in the order of their names."""
    found = []
    for file in sorted((ROOT / "benchmarks/lessons").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            said = [(m["role"], m.get("content") or "") for m in json.loads(line)["messages"]]
            found.append(tuple("\n".join(c for r, c in said if r == role) for role in ("user", "assistant")))
    return found


def frame(pairs: list[tuple[str, str]]) -> Any:
    from curation import records

    made = []
    for number, (prompt, answer) in enumerate(pairs):
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        key = records.content_hash(messages, None, None)
        made.append({"id": f"r{number}", "kind": "chat", "content_hash": key, "messages": messages})
    return records.frame(made)
