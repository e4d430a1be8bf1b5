"""Makes curation/label/reader.safetensors. `python -m benchmarks.reader_fit` (some 40 minutes on two cores; needs ../shared/data)

Low-rank additions (LoRA, Hu et al. 2021, rank 16) in the lower layers of Gemma 3 270M and a linear head, by cross entropy on the
rows of benchmarks/label_fit.py: lessons, labelled public rows, exemplars. One token in twelve is masked and one answer in ten
left out, so that no single word decides. 350 public rows and 350 lessons are held out: each epoch says how many of them are
right. `--blend` fits on them the weights of words and reader that stand in task_type.py as BOTH, the words scored by a fit without
those rows (a minute). What the labeller is measured on (starter rows, labels_400.csv) has no part in it. Products are in bfloat16,
which is three times as fast on processors that have it and many times slower on others.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import label_fit
from curation import models
from curation.label import reader, task_type, taxonomy

RANK, SCALE = 16, 2.0
HELD_OUT = {"public": 350, "lesson": 350}
MASKED, NO_ANSWER = 0.08, 0.1
TOKENS = 2048  # longest row × rows in a step
RATES = (4e-4, 2e-3)  # additions, head
WEIGHT = {"public": 1.5}  # of a row in the loss, 1 for others: real requests are fewer and say it worse
MASK = 3  # the token in place of masked ones: <unk>
SEED = 1


def held_out(kinds: list[str]) -> set[int]:
    """Rows that the fit does not see, by their place in label_fit.conversations()."""
    rng = random.Random(SEED)
    places = {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in HELD_OUT}
    return {i for kind, n in HELD_OUT.items() for i in rng.sample(places[kind], n)}


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


def fit(out: Path, epochs: int) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    data = label_fit.said()
    held = held_out([kind for kind, *_ in data])
    learn = [i for i in range(len(data)) if i not in held]
    said = [type_ for *_, type_ in data]
    types = [t for t in taxonomy.load(label_fit.TREE).types if t in set(said)]
    want = torch.tensor([types.index(t) for t in said])
    weight = torch.tensor([WEIGHT.get(kind, 1.0) for kind, *_ in data])

    tokenizer = models.load_tokenizer(reader.MODEL)
    lower = reader.lower(models.load_language_model(reader.MODEL)).cpu().bfloat16()
    lower.set_attn_implementation("eager")  # whose backward pass is twice as fast here
    texts = [reader.text(asked, system, answer) for _, asked, system, answer, _ in data]
    bare = reader.encode(tokenizer, [(request, "") for request, _ in texts])
    whole = reader.encode(tokenizer, texts)
    lengths = [len(row) for row in whole]
    around = [len(tokenizer(part, add_special_tokens=not i)["input_ids"]) for i, part in enumerate(reader.AROUND)]

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = lower
            self.head = torch.nn.Linear(2 * lower.config.hidden_size, len(types))
            self.drop = torch.nn.Dropout(0.1)

        def forward(self, part: list[int]) -> Any:
            learning = self.drop.training
            rows = [torch.tensor(bare[i] if learning and rng.random() < NO_ANSWER else whole[i]) for i in part]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            lengths_ = torch.tensor([len(row) for row in rows])
            if learning:
                masked = torch.rand(ids.shape) < MASKED
                masked[:, : around[0]] = False
                masked &= torch.arange(ids.shape[1])[None] < lengths_[:, None] - around[2]
                ids = ids.masked_fill(masked, MASK)
            with torch.autocast("cpu", torch.bfloat16):
                states = self.body(input_ids=ids, use_cache=False).last_hidden_state
            return self.head(self.drop(reader.pooled(states.float(), lengths_)))

    lora = LoraConfig(
        r=RANK, lora_alpha=int(SCALE * RANK), lora_dropout=0.0, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], modules_to_save=["head"],
    )  # fmt: skip
    net: Any = get_peft_model(Reader(), lora)
    dropout: Any = net.base_model.model.drop
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    groups = [[p for n, p in named if ("head" in n) == is_head] for is_head in (False, True)]
    optimizer = torch.optim.AdamW(
        [{"params": g, "lr": r} for g, r in zip(groups, RATES, strict=True)], weight_decay=0.01
    )
    total = epochs * len(batches(lengths, learn, TOKENS, random.Random(0)))
    step, start = 0, time.monotonic()
    for epoch in range(epochs):
        dropout.train()
        for part in batches(lengths, learn, TOKENS, rng):
            share = min(1.0, step / 50) * (0.05 + 0.95 * max(0.0, 1 - step / total))
            for group, rate in zip(optimizer.param_groups, RATES, strict=True):
                group["lr"] = rate * share
            losses = torch.nn.functional.cross_entropy(net(part), want[part], label_smoothing=0.05, reduction="none")
            loss = (losses * weight[part]).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            left = (time.monotonic() - start) / step * (total - step)
            print(f"\repoch {epoch + 1}: step {step} of {total}, {left:.0f} s left ", end="", flush=True)
        dropout.eval()
        right = dict.fromkeys(HELD_OUT, 0)
        with torch.inference_mode():
            for part in batches(lengths, sorted(held), 8192):
                for i, best in zip(part, net(part).argmax(1).tolist(), strict=True):
                    right[data[i][0]] += best == want[i].item()
        print(f"\nepoch {epoch + 1}: " + ", ".join(f"{right[k] / n:.3f} of {n} held-out {k} rows right" for k, n in HELD_OUT.items()))  # fmt: skip

    kept = {_short(name): value.detach().half().contiguous() for name, value in named}
    save_file(kept, out, metadata={"types": ",".join(types), "scale": f"{SCALE:g}"})
    print(f"{out}: {sum(v.numel() for v in kept.values()):,} numbers for {len(types)} types")


def _short(name: str) -> str:
    """A parameter's name in the file."""
    name = name.removeprefix("base_model.model.")
    if name.startswith("head"):
        return f"head.{name.rsplit('.', 1)[1]}"
    name = name.removeprefix("body.layers.")
    return name.replace(".lora_A.default.weight", ".A").replace(".lora_B.default.weight", ".B")


def blend() -> None:
    """Prints the weights of words and reader with the least cross entropy on the held-out rows, and the share that is right."""
    rows = label_fit.rows()
    held = sorted(held_out([kind for kind, *_ in rows]))
    words = label_fit.learn([row for i, row in enumerate(rows) if i not in set(held)])
    scorer = task_type.Scorer(taxonomy.load(label_fit.TREE), weights=words)
    data = label_fit.said()
    by_words = scorer.scores([rows[i][1] for i in held])[:, : len(scorer.types)]
    read = scorer.by_type(reader.read([reader.text(*data[i][1:4]) for i in held]))
    want = np.array([scorer.types.index(rows[i][2]) for i in held])
    found = []
    for a, b in itertools.product(np.arange(0.1, 1.21, 0.05), np.arange(0.2, 1.61, 0.05)):
        scores = a * by_words + b * read
        top = scores.max(axis=1, keepdims=True)
        shares = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        at = np.arange(len(want))
        found.append((-shares[at, want].mean(), a, b, (scores.argmax(axis=1) == want).mean()))
    alone = [(s.argmax(axis=1) == want).mean() for s in (by_words, read)]
    print(f"words alone {alone[0]:.3f} right, reader alone {alone[1]:.3f}")
    used = min(found, key=lambda f: abs(f[1] - task_type.BOTH[0]) + abs(f[2] - task_type.BOTH[1]))
    for name, (loss, a, b, right) in (("least cross entropy", min(found)), ("in use", used)):
        print(f"{name}: BOTH = ({a:.2f}, {b:.2f}): {right:.3f} right, cross entropy {loss:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=reader.WEIGHTS)
    parser.add_argument("--blend", action="store_true", help="only find the weights of words and reader")
    options = parser.parse_args()
    if options.blend:
        blend()
    else:
        fit(options.out, options.epochs)


if __name__ == "__main__":
    main()
