"""Makes curation/label/reader.safetensors. `python -m benchmarks.reader_fit` (20 to 40 minutes on two cores; needs ../shared/data)

Low-rank additions (LoRA, Hu et al. 2021, rank 8) in the upper half of multilingual-e5-small and a linear head, by cross entropy on
the rows of benchmarks/label_fit.py: lessons, labelled public rows, exemplars. The lower half stays as it is, so it reads every
row once. 700 rows are held out: each epoch says how many of them are right, and by them the weights of words and reader were fitted that
stand in task_type.py as BOTH (the words scored by a fit without those rows). What the labeller is measured on (starter rows,
labels_400.csv) has no part in it.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

from benchmarks import label_fit
from curation import models
from curation.label import reader, taxonomy

LOWER = 6  # layers that stay as they are
RANK, SCALE = 8, 2.0
HELD_OUT = 700
TOKENS = 2048  # longest row × rows in a step
RATES = (1e-3, 2e-3)  # additions, head
SEED = 1


def rows() -> tuple[list[str], list[str], list[bool]]:
    """Texts as the reader reads them, task types, whether a row may be held out (exemplars may not)."""
    found = label_fit.said()
    return [reader.text(a, s) for _, a, s, _ in found], [t for *_, t in found], [k != "exemplar" for k, *_ in found]


def batches(lengths: list[int], chosen: list[int], budget: int, rng: random.Random | None = None) -> list[list[int]]:
    """`chosen` by length, cut at longest × rows ≤ budget and 48 rows; in a random order where `rng` is given."""
    order = sorted(chosen, key=lambda i: (lengths[i], rng.random() if rng else 0))
    found: list[list[int]] = [[]]
    for i in order:
        if found[-1] and ((len(found[-1]) + 1) * lengths[i] > budget or len(found[-1]) >= 48):
            found.append([])
        found[-1].append(i)
    if rng:
        rng.shuffle(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rows", type=int, help="use so many rows only, to try it out")
    parser.add_argument("--out", type=Path, default=reader.WEIGHTS)
    options = parser.parse_args()

    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    texts, said, free = rows()
    if options.rows:
        some = sorted(rng.sample(range(len(texts)), options.rows))
        texts, said, free = ([x[i] for i in some] for x in (texts, said, free))
    types = [t for t in taxonomy.load(label_fit.TREE).types if t in set(said)]
    want = torch.tensor([types.index(t) for t in said])
    candidates = [i for i, f in enumerate(free) if f]
    held = set(rng.sample(candidates, min(HELD_OUT, len(candidates) // 5)))
    learn = [i for i in range(len(texts)) if i not in held]

    first: Any = models.load_encoder(reader.ENCODER)[0]
    bert = first.auto_model.eval()
    ids = first.tokenizer(texts, truncation=True, max_length=reader.TOKENS)["input_ids"]
    lengths = [len(i) for i in ids]

    def masked(part: list[int]) -> tuple[Any, Any]:
        mask = torch.zeros(len(part), max(lengths[i] for i in part), dtype=torch.long)
        for row, i in enumerate(part):
            mask[row, : lengths[i]] = 1
        return mask, torch.where(mask[:, None, None, :].bool(), 0.0, -1e9)

    def through(layers: Any, hidden: Any, bias: Any) -> Any:
        for layer in layers:
            out = layer(hidden, bias)
            hidden = out[0] if isinstance(out, tuple) else out
        return hidden

    lower: dict[int, Any] = {}
    with torch.inference_mode():
        for part in batches(lengths, list(range(len(texts))), 8192):
            mask, bias = masked(part)
            padded = torch.ones_like(mask)
            for row, i in enumerate(part):
                padded[row, : lengths[i]] = torch.tensor(ids[i])
            hidden = through(bert.encoder.layer[:LOWER], bert.embeddings(padded), bias)
            for row, i in enumerate(part):
                lower[i] = hidden[row, : lengths[i]].to(torch.bfloat16).clone()
            print(f"\rlower half: {len(lower)} of {len(texts)} rows", end="", flush=True)
    print()

    class Upper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(bert.encoder.layer[LOWER:])
            self.head = torch.nn.Linear(bert.config.hidden_size, len(types))
            self.drop = torch.nn.Dropout(0.1)

        def forward(self, part: list[int]) -> Any:
            mask, bias = masked(part)
            hidden = torch.zeros(*mask.shape, bert.config.hidden_size)
            for row, i in enumerate(part):
                hidden[row, : lengths[i]] = lower[i].float()
            hidden = through(self.layers, hidden, bias)
            mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return self.head(self.drop(mean) * reader.POOLED)

    lora = LoraConfig(
        r=RANK, lora_alpha=int(SCALE * RANK), lora_dropout=0.05, target_modules=["query", "key", "value", "dense"],
        modules_to_save=["head"],
    )  # fmt: skip
    net: Any = get_peft_model(Upper(), lora)
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    groups = [[p for n, p in named if ("head" in n) == is_head] for is_head in (False, True)]
    optimizer = torch.optim.AdamW(
        [{"params": g, "lr": r} for g, r in zip(groups, RATES, strict=True)], weight_decay=0.01
    )
    total = options.epochs * len(batches(lengths, learn, TOKENS, random.Random(0)))
    step, start = 0, time.monotonic()
    for epoch in range(options.epochs):
        net.train()
        for part in batches(lengths, learn, TOKENS, rng):
            share = min(1.0, step / 50) * (0.05 + 0.95 * max(0.0, 1 - step / total))
            for group, rate in zip(optimizer.param_groups, RATES, strict=True):
                group["lr"] = rate * share
            loss = torch.nn.functional.cross_entropy(net(part), want[part], label_smoothing=0.05)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            left = (time.monotonic() - start) / step * (total - step)
            print(f"\repoch {epoch + 1}: step {step} of {total}, {left:.0f} s left ", end="", flush=True)
        net.eval()
        with torch.inference_mode():
            right = sum(int((net(p).argmax(1) == want[p]).sum()) for p in batches(lengths, sorted(held), 8192))
        print(f"\nepoch {epoch + 1}: {right / len(held):.3f} of {len(held)} held-out rows right")

    kept = {}
    for name, value in named:
        short = name.removeprefix("base_model.model.")
        if short.startswith("head"):
            kept[f"head.{short.rsplit('.', 1)[1]}"] = value.detach().half().contiguous()
            continue
        _, layer, inner = short.split(".", 2)
        inner = inner.replace(".lora_A.default.weight", ".A").replace(".lora_B.default.weight", ".B")
        kept[f"{int(layer) + LOWER}.{inner}"] = value.detach().half().contiguous()
    save_file(kept, options.out, metadata={"types": ",".join(types), "scale": f"{SCALE:g}"})
    print(f"{options.out}: {sum(v.numel() for v in kept.values()):,} numbers for {len(types)} types")


if __name__ == "__main__":
    main()
