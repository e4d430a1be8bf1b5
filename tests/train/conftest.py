"""A model of two layers with the bundled tokenizer, and a mixture of eleven short rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation import records
from curation.models import load_tokenizer
from curation.render import Renderer, RenderParams
from train.params import TrainParams
from train.sft import Fitted, fit

TURNS = [
    ("zh", "general", "writing", "写一句欢迎词。", "欢迎来到海边小站，茶已经泡好了。"),
    ("en", "math_code", "math", "What is 3 + 4?", "3 + 4 = 7"),
    ("en", "general", "open_qa", "Why does ice float?", "Ice is less dense than water, so it floats."),
    ("zh", "math_code", "math", "九减五是多少？", "等于4。"),
    ("en", "domain", "closed_qa", "The shop opens at nine. When does it open?", "At nine."),
    ("zh", "general", "chat", "今天有点累。", "早点休息，睡前少看手机。"),
    ("en", "general", "writing", "Name a boat.", "Grey Heron"),
    ("zh", "domain", "open_qa", "怎样养薄荷？", "放在明亮处，土干了再浇透水。"),
]


def row(
    number: int, language: str, bucket: str, task_type: str, messages: Any, text: str | None = None
) -> dict[str, Any]:
    return {
        "id": f"r{number:02}", "content_hash": records.content_hash(messages, text, None), "kind": "text" if text else "chat",
        "messages": messages, "text": text, "language": language, "source": "test", "origin": "human", "weight": None,
        "task_type": task_type, "bucket": bucket, "tags": [], "parents": [],
    }  # fmt: skip


def counted(rows: list[dict[str, Any]], render: RenderParams, renderer: Renderer) -> pl.DataFrame:
    frame = records.frame(rows, records.LABELLED)
    encoded = [renderer.encode(r, render.turns) for r in frame.iter_rows(named=True)]
    return frame.with_columns(
        pl.Series("tokens", [len(e.ids) for e in encoded]), pl.Series("loss_tokens", [e.loss_tokens for e in encoded])
    )


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads cost more than they bring for models this small, and most where another process computes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATION_WORKERS", "64")
        yield


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train-cache")


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    monkeypatch.setenv("CURATION_CACHE", str(cache_folder))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random model, small enough to train in milliseconds a step."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = load_tokenizer("smollm2-135m-instruct")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None, pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def render(tiny: str) -> RenderParams:
    return RenderParams(model=tiny, max_length=96)


@pytest.fixture(scope="session")
def renderer(tiny: str) -> Renderer:
    return Renderer(load_tokenizer(tiny))


@pytest.fixture(scope="session")
def mixture(render: RenderParams, renderer: Renderer) -> pl.DataFrame:
    rows = [
        row(i, language, bucket, task, [records.message("user", prompt), records.message("assistant", answer)])
        for i, (language, bucket, task, prompt, answer) in enumerate(TURNS)
    ]
    rows[1]["weight"] = 0.5
    rows[5]["messages"] += [
        records.message("user", "还有呢？"), records.message("assistant", "泡个脚。", loss_weight=0.0),
        records.message("user", "好。"), records.message("assistant", "晚安。"),
    ]  # fmt: skip
    rows[5]["content_hash"] = records.content_hash(rows[5]["messages"], None, None)
    rows.append(row(8, "en", "replay", "text/prose", None, "The river bent twice before it reached the mill."))
    rows.append(row(9, "zh", "replay", "text/prose", None, "雨停以后，屋檐还滴着水。"))
    frame = counted(rows, render, renderer).with_columns(pl.lit(0, pl.Int64).alias("repeat"))
    again = frame.head(1).with_columns(pl.lit(1, pl.Int64).alias("repeat"))
    whole = pl.concat([frame, again])
    return whole.with_columns(pl.int_range(len(whole)).alias("position"), pl.lit("main").alias("phase"))


@pytest.fixture(scope="session")
def heldout(render: RenderParams, renderer: Renderer) -> pl.DataFrame:
    turns = [
        ("en", "general", "open_qa", "What is dew?", "Water that settles on cool grass at night."),
        ("zh", "general", "writing", "给书店写句广告词。", "翻开一页，就是远方。"),
        ("en", "math_code", "math", "What is 5 + 6?", "5 + 6 = 11"),
    ]
    rows = [
        row(50 + i, language, bucket, task, [records.message("user", prompt), records.message("assistant", answer)])
        for i, (language, bucket, task, prompt, answer) in enumerate(turns)
    ]
    return counted(rows, render, renderer)


@pytest.fixture(scope="session")
def settings() -> TrainParams:
    return TrainParams(learning_rate=0.01, eval_steps=2, eval_tokens=60, accumulation=2, epochs=2, patience=9)


@pytest.fixture(scope="session")
def run(
    settings: TrainParams, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, tmp_path_factory: pytest.TempPathFactory,
    cache_folder: Path,
) -> tuple[Fitted, Path]:  # fmt: skip
    """A whole run with `settings`, and the folder with its `adapter` and `live`."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATION_CACHE", str(cache_folder))
        return fit(mixture, heldout, settings, render, adapter=folder / "adapter", live=folder / "live"), folder
