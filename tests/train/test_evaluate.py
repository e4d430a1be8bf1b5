from pathlib import Path

import polars as pl
import pytest

from curation.errors import DataError
from curation.render import RenderParams
from train.evaluate import ROWS, evaluate, report
from train.params import EvaluateParams
from train.sft import Fitted

CASES = pl.DataFrame(
    {"task": ["a", "a", "b"], "key": ["1", "2", "1"], "language": ["en"] * 3, "prompt": ["p"] * 3, "expected": ["1"] * 3,
     "item": ["i", "j", "k"], "base_answer": ["1"] * 3, "base_correct": [True, False, False],
     "trained_answer": ["1"] * 3, "trained_correct": [True, True, False]}
)  # fmt: skip
HELD = pl.DataFrame(
    {"id": [f"r{i}" for i in range(8)], "content_hash": [f"h{i}" for i in range(8)], "task_type": ["math", "chat"] * 4,
     "bucket": ["general"] * 8, "language": ["zh"] * 4 + ["en"] * 4, "tokens": [10] * 8, "base": [20.0] * 8,
     "trained": [18.0, 21.0] * 4},
    schema=ROWS,
)  # fmt: skip


def test_report_holds_overall_by_task_and_by_group() -> None:
    found = report(HELD, CASES, EvaluateParams())
    heldout = found.scores["heldout"]
    assert (heldout["rows"], heldout["tokens"], heldout["nll_base"], heldout["nll_trained"]) == (8, 80, 2.0, 1.95)
    assert (heldout["difference"], heldout["perplexity_base"]) == (-0.05, 7.3891)
    assert heldout["low"] <= -0.05 <= heldout["high"]
    assert found.scores["benchmark"] == {
        "items": 3, "base": 0.333333, "trained": 0.666667,
        "a": {"items": 2, "base": 0.5, "trained": 1.0}, "b": {"items": 1, "base": 0.0, "trained": 0.0},
    }  # fmt: skip
    assert {name: of["difference"] for name, of in found.by_task.items()} == {"chat": 0.1, "math": -0.2}
    assert found.groups.select("dimension", "group").unique(maintain_order=True).rows() == [
        ("all", "all"), ("task_type", "chat"), ("task_type", "math"), ("bucket", "general"), ("language", "en"), ("language", "zh"),
    ]  # fmt: skip
    assert "accepted" not in found.scores


def test_shuffled_rows_give_the_same_report() -> None:
    shuffled = report(HELD.sample(fraction=1, shuffle=True, seed=3), CASES.reverse(), EvaluateParams())
    whole = report(HELD, CASES, EvaluateParams())
    assert (shuffled.scores, shuffled.by_task) == (whole.scores, whole.by_task)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_evaluate_scores_both_models_and_asks_nothing_twice(
    run: tuple[Fitted, Path], heldout: pl.DataFrame, render: RenderParams,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "evaluation"
    folder.mkdir()
    for name in ("_defaults", "arithmetic_zh.yaml", "arithmetic_zh.jsonl"):
        (folder / name).write_bytes((Path("data/evaluation") / name).read_bytes())
    (folder / "arithmetic_zh.jsonl").write_text(
        "".join((folder / "arithmetic_zh.jsonl").read_text().splitlines(keepends=True)[:3])
    )
    (folder / "arithmetic_zh.yaml").write_text(
        (folder / "arithmetic_zh.yaml").read_text().replace("data/evaluation", str(folder)).replace("48", "4")
    )
    said: list[str] = []
    adapter = run[1] / "adapter"

    def score() -> tuple:
        found = evaluate(
            heldout, adapter, folder, EvaluateParams(), render, progress=lambda label, *_: said.append(label)
        )
        return found.scores, found.rows.rows(), found.cases.rows()

    first = score()
    assert set(said) == {
        "base: held-out rows", "base: benchmark items", "trained: held-out rows", "trained: benchmark items",
    }  # fmt: skip
    assert first[0]["heldout"]["nll_base"] != first[0]["heldout"]["nll_trained"]
    assert (first[0]["heldout"]["rows"], first[0]["benchmark"]["items"]) == (3, 3)
    said.clear()
    assert score() == first
    assert said == []


def test_an_adapter_of_another_base_is_refused(tmp_path: Path, heldout: pl.DataFrame) -> None:
    def score() -> None:
        evaluate(heldout, tmp_path, Path("data/evaluation"), EvaluateParams(), RenderParams())

    with pytest.raises(DataError) as error:
        score()
    assert str(error.value) == f"{tmp_path}/adapter_config.json: no such file; run `dvc repro train` first."
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "other"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(DataError) as error:
        score()
    assert str(error.value) == (
        f"{tmp_path}: trained on 'other', but render.model is 'smollm2-135m-instruct'; run `dvc repro train`, or put "
        "render.model back."
    )
