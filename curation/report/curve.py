"""A training run's curves read for people: one sentence for each finding, in Chinese and English; a pure function of what was logged.

Each rule needs a fall to look unlike a smooth one before it speaks, so a smooth falling curve says `as_expected` and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import polars as pl

Points = Sequence[tuple[int, float]]  # (step, value), by step

# Levels in nats a token. Published SFT runs: 1.47 → 0.58 in 1.3 epochs (Llama-3.1-8B, huggingface.co/ccibeekeoc42/
# Llama3.1-8b-instruct-SFT-2024-09-04), 1.28 held out at the end (Llama-3.2-1B on UltraChat, huggingface.co/wassname/
# llama-3-2-1b-sft); 2.9 → 2.4 for the 135M model of this project. Small models and Chinese rows lie at the upper end.
USUAL_FIRST, USUAL_LAST = (0.8, 3.5), (0.4, 3.0)
FEWEST = 6  # steps, below which a level is noise
SURE = 3.0  # standard errors
STAIR = 0.1  # of the level before the border
SPIKE = 3.0  # times the median of the steps before and of those behind
NEAR = 5  # steps to either side of a gradient norm
MAD = 1.4826  # of a normal distribution: standard deviation over median absolute deviation
SHOWN = 5  # rows named for a spike
GAIN = 0.002  # of the held-out loss; less is no improvement

SAID: dict[str, tuple[str, str]] = {
    "as_expected": (
        "曲线符合预期：训练损失由 {first} 降到 {last}（首、末各 {k} 步的平均，nats/词元）；SFT 常见为起始 {f0}–{f1}、结束 {l0}–{l1}。",
        "As expected: the training loss fell from {first} to {last} (means of the first and last {k} steps, nats a token); "
        "usual for SFT are {f0}–{f1} at first and {l0}–{l1} at last.",
    ),
    "levels": (
        "训练损失：首 {k} 步平均 {first}，末 {k} 步平均 {last}（nats/词元）；SFT 常见为起始 {f0}–{f1}、结束 {l0}–{l1}。",
        "Training loss: {first} over the first {k} steps, {last} over the last {k} (nats a token); usual for SFT are {f0}–{f1} at "
        "first and {l0}–{l1} at last.",
    ),
    "few_steps": (
        "只有 {n} 步，曲线还读不出什么（至少要 {least} 步）。",
        "{n} steps are too few to read a curve from; {least} are the least.",
    ),
    "first_high": (
        "起始损失 {first} 高于常见的 {f1}：多半是模板不是这个模型的，或掩码错位；先运行 curation doctor。",
        "The first level, {first}, is above the usual {f1}: mostly a template that is not the model's, or a shifted mask; run "
        "`curation doctor`.",
    ),
    "first_low": (
        "起始损失 {first} 低于常见的 {f0}：模型可能已见过这些行，或提示词元也计入了损失。",
        "The first level, {first}, is below the usual {f0}: the model may have seen these rows, or prompt tokens bear loss.",
    ),
    "last_high": (
        "结束损失 {last} 高于常见的 {l1}：还没学到，看学习率和步数，也看掩码。",
        "The last level, {last}, is above the usual {l1}: little was learned; look at learning rate and steps, and at the mask.",
    ),
    "last_low": (
        "结束损失 {last} 低于常见的 {l0}：像是背下来了；减少轮数，看重复行和泄漏。",
        "The last level, {last}, is below the usual {l0}: it looks learned by heart; fewer epochs, and look for copies and leaks.",
    ),
    "rising": (
        "损失全程上升（{first} → {last}）：多半是模板、掩码或学习率有错，而不是数据太难。",
        "The loss rose over the run ({first} → {last}): a bug in template, mask or learning rate rather than hard data.",
    ),
    "flat": (
        "损失没有降到噪声之外（{first} → {last}，噪声 ±{noise}）：步数太少，或学习率太低。",
        "The loss did not fall beyond its noise ({first} → {last}, ±{noise}): too few steps, or too low a learning rate.",
    ),
    "stairs": (
        "第 {epoch} 轮从第 {step} 步开始，损失在此处由 {before} 跌到 {after}：阶梯说明模型在背见过的行；减少轮数。",
        "The loss steps down from {before} to {after} at step {step}, where epoch {epoch} begins: stairs at epoch borders are rows "
        "learned by heart; train fewer epochs.",
    ),
    "spike": (
        "第 {step} 步梯度范数 {norm}，是邻近步中位数 {usual} 的 {times} 倍{rows_zh}。",
        "The gradient norm of step {step} is {norm}, {times} times the median of the steps around it, {usual}{rows_en}.",
    ),
    "no_gain": (
        "留出损失从未低于训练前（{start}；其后最低 {best}，第 {step} 步）：这些行没有教会留出行所需，或学习率太高。",
        "The held-out loss never came below its level before training ({start}; lowest afterwards {best}, at step {step}): the rows "
        "teach nothing that held-out rows ask, or the learning rate is too high.",
    ),
    "overfit": (
        "留出损失在第 {step} 步最低（{best}），之后升到 {end}：再训只是在背训练行。",
        "The held-out loss was lowest at step {step} ({best}) and rose to {end} afterwards: from there on training rows are learned "
        "by heart.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One sentence, in both languages; `kind` is a key of SAID."""

    kind: str
    zh: str
    en: str


def read(
    loss: Points, grad_norm: Points = (), heldout: Points = (), consumed: pl.DataFrame | None = None
) -> list[Finding]:
    """The findings: levels first, then what is unlike a smooth falling curve.

    `loss` and `heldout` in nats a token, `heldout` from step 0 on; `consumed` (of train.plan's CONSUMED) tells where epochs begin
    and which rows a step read. Values that are not finite are left out.
    """
    loss, grad_norm, heldout = (
        sorted(p for p in points if math.isfinite(p[1])) for points in (loss, grad_norm, heldout)
    )
    odd = [*_level(loss), *_stairs(loss, consumed), *_spikes(grad_norm, consumed), *_heldout(heldout)]
    return [_levels(loss, plain=bool(odd)), *odd]


def history(run: pl.DataFrame, consumed: pl.DataFrame | None) -> list[Finding]:
    """`read` of the frame that DVCLive's files give: name, step, value."""

    def points(name: str) -> list[tuple[int, float]]:
        return list(run.filter(pl.col("name") == name).sort("step").select("step", "value").iter_rows())

    return read(points("train/loss"), points("train/grad_norm"), points("heldout/nll"), consumed)


def _say(kind: str, **values: object) -> Finding:
    given = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in values.items()}
    zh, en = SAID[kind]
    return Finding(kind, zh.format(**given), en.format(**given))


def _ends(loss: Points) -> tuple[int, float, float]:
    """Steps averaged at each end (a quarter, ten at most), and the two means."""
    values = [v for _, v in loss]
    k = max(1, min(10, len(values) // 4))
    return k, fmean(values[:k]), fmean(values[-k:])


def _levels(loss: Points, plain: bool) -> Finding:
    if len(loss) < FEWEST:
        return _say("few_steps", n=len(loss), least=FEWEST)
    k, first, last = _ends(loss)
    usual = {"f0": USUAL_FIRST[0], "f1": USUAL_FIRST[1], "l0": USUAL_LAST[0], "l1": USUAL_LAST[1]}
    return _say("levels" if plain else "as_expected", k=k, first=first, last=last, **usual)


def _noise(values: Sequence[float]) -> float:
    """Standard deviation around the trend, from second differences, which a straight trend leaves at 0 (their variance is 6σ²)."""
    bends = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return math.sqrt(fmean(b * b for b in bends) / 6) if bends else 0.0


def _level(loss: Points) -> list[Finding]:
    if len(loss) < FEWEST:
        return []
    k, first, last = _ends(loss)
    noise = _noise([v for _, v in loss]) * math.sqrt(2 / k)  # standard error of the difference of two means of k
    found = []
    if not USUAL_FIRST[0] <= first <= USUAL_FIRST[1]:
        high = first > USUAL_FIRST[1]
        found.append(_say("first_high" if high else "first_low", first=first, f0=USUAL_FIRST[0], f1=USUAL_FIRST[1]))
    if not USUAL_LAST[0] <= last <= USUAL_LAST[1]:
        high = last > USUAL_LAST[1]
        found.append(_say("last_high" if high else "last_low", last=last, l0=USUAL_LAST[0], l1=USUAL_LAST[1]))
    if last - first > max(SURE * noise, 0.02 * first):
        found.append(_say("rising", first=first, last=last))
    elif first - last <= noise:
        found.append(_say("flat", first=first, last=last, noise=noise))
    return found


def _borders(consumed: pl.DataFrame | None) -> list[tuple[int, int]]:
    """(epoch, its first step) from the second epoch on: the first step that reads a row for the so-manieth time."""
    if consumed is None or not len(consumed):
        return []
    times = consumed.sort("step", "sequence").select(
        "step", pl.int_range(1, pl.len() + 1).over("id", "repeat").alias("epoch")
    )
    first = times.group_by("epoch").agg(pl.col("step").min()).filter(pl.col("epoch") > 1).sort("epoch")
    return list(first.iter_rows())


def _stairs(loss: Points, consumed: pl.DataFrame | None) -> list[Finding]:
    """A fall at the border that is twice the fall as far before it: where the curve only flattens, it cannot be."""
    found, values = [], [v for _, v in loss]
    borders = _borders(consumed)
    starts = [0, *(sum(s < step for s, _ in loss) for _, step in borders), len(loss)]
    for i, (epoch, step) in enumerate(borders, 1):
        at, w = starts[i], min(10, (starts[i] - starts[i - 1]) // 2, starts[i + 1] - starts[i])
        if w < 2:
            continue
        earlier, before, after = (fmean(values[at + a * w : at + (a + 1) * w]) for a in (-2, -1, 0))
        noise = _noise(values[at - 2 * w : at]) * math.sqrt(2 / w)
        if before - after > max(STAIR * before, SURE * noise, 2 * (earlier - before)):
            found.append(_say("stairs", epoch=epoch, step=step, before=before, after=after))
    return found


def _spikes(norms: Points, consumed: pl.DataFrame | None) -> list[Finding]:
    found = []
    for i in range(1, len(norms)):  # before the first step there is nothing that it could stand out from
        step, norm = norms[i]
        left, right = ([v for _, v in part] for part in (norms[max(0, i - NEAR) : i], norms[i + 1 : i + 1 + NEAR]))
        around = median(left + right)
        spread = MAD * median(abs(v - around) for v in left + right)
        sides = [median(side) for side in (left, right) if side]
        if norm > SPIKE * max(sides) and norm > around + 6 * spread:
            zh, en = _rows(step, consumed)
            times = f"{norm / around:.1f}" if around else "∞"
            found.append(_say("spike", step=step, norm=norm, usual=around, times=times, rows_zh=zh, rows_en=en))
    return found


def _rows(step: int, consumed: pl.DataFrame | None) -> tuple[str, str]:
    if consumed is None:
        return "", ""
    ids = consumed.filter(pl.col("step") == step)["id"].unique().sort().to_list()
    if not ids:
        return "", ""
    more = len(ids) - SHOWN
    return (
        f"；这一步读的行：{'、'.join(ids[:SHOWN])}" + (f" 等 {len(ids)} 行" if more > 0 else ""),
        f"; it read {', '.join(ids[:SHOWN])}" + (f" and {more} more" if more > 0 else ""),
    )


def _heldout(heldout: Points) -> list[Finding]:
    if len(heldout) < 2:
        return []
    start, (step, best), end = heldout[0][1], min(heldout[1:], key=lambda p: (p[1], p[0])), heldout[-1][1]
    if best > start * (1 - GAIN):
        return [_say("no_gain", start=start, best=best, step=step)]
    return [_say("overfit", step=step, best=best, end=end)] if end > best * (1 + 5 * GAIN) else []
