"""Merged changes against plain float64 references, adapters that do not go together, and a merge of two real adapters."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from curation.errors import ConfigError, DataError
from train import merge
from train.deltas import Factors, arc, lower, nearest, stack
from train.evaluate import adapter_identity
from train.merge_scores import evaluations, scores
from train.params import EvaluateParams, MergeParams

MODULES = {"layers.0.q_proj": (6, 5), "layers.0.up_proj": (7, 4)}  # out, in
CONFIG = {
    "peft_type": "LORA", "bias": "none", "lora_alpha": 4, "r": 2, "base_model_name_or_path": "tiny", "task_type": "CAUSAL_LM",
    "target_modules": ["q_proj", "up_proj"], "use_dora": False, "use_rslora": False,
}  # fmt: skip
EXACT = {"rtol": 0, "atol": 1e-6}


def adapter(
    folder: Path, seed: int, rank: int = 2, modules: dict[str, tuple[int, int]] = MODULES, **config: Any
) -> Path:
    """A random adapter's two files in `folder`."""
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (rows, columns) in modules.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, columns, generator=draw)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(rows, rank, generator=draw)
    folder.mkdir(parents=True)
    save_file(tensors, folder / merge.WEIGHTS)
    (folder / merge.CONFIG).write_text(json.dumps(CONFIG | {"r": rank} | config))
    return folder


def deltas(folder: Path) -> dict[str, list[list[float]]]:
    """What an adapter adds to each weight, read from its files by loops alone."""
    config, tensors = json.loads((folder / merge.CONFIG).read_text()), load_file(folder / merge.WEIGHTS)
    found = {}
    for key in tensors:
        if ".lora_A." in key:
            a, b = tensors[key].tolist(), tensors[key.replace("lora_A", "lora_B")].tolist()
            scale = config["lora_alpha"] / config["r"]
            found[key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")] = [
                [scale * math.fsum(row[k] * a[k][j] for k in range(len(a))) for j in range(len(a[0]))] for row in b
            ]
    return found


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [adapter(tmp_path / "domain", 1), adapter(tmp_path / "general", 2)]


def merged(folders: list[Path], target: Path, **params: Any) -> dict[str, list[list[float]]]:
    """The merged adapter's changes, as they stand in the files that were written."""
    given_ = MergeParams(adapters=tuple(f.name for f in folders), **params)
    parents = [merge.read(f.name, f) for f in folders]
    made = merge.merge(parents, given_)
    merge.write(made, parents, merge.lineage(parents, given_, made, "identity"), target)
    return deltas(target)


def close(found: dict[str, list[list[float]]], wanted: dict[str, list[list[float]]]) -> None:
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(
            torch.tensor(found[name], dtype=torch.float64),
            torch.tensor(wanted[name], dtype=torch.float64),
            rtol=1e-6,
            atol=1e-6,
        )


def each(folders: list[Path], work: Any) -> dict[str, list[list[float]]]:
    """`work` on the flat values of each module, given back in the module's shape."""
    all_ = [deltas(f) for f in folders]
    found = {}
    for name, (rows, columns) in MODULES.items():
        flat = work([[x for line in d[name] for x in line] for d in all_])
        found[name] = [flat[i * columns : (i + 1) * columns] for i in range(rows)]
    return found


def ties(values: list[list[float]], weights: list[float], density: float) -> list[float]:
    """Trim to the largest, elect a sign by the sum, mean of the weighted values that agree (arXiv 2306.01708, section 4)."""
    trimmed = []
    for one in values:
        keep = sorted(range(len(one)), key=lambda i: -abs(one[i]))[: int(density * len(one))]
        trimmed.append([x if i in set(keep) else 0.0 for i, x in enumerate(one)])
    found = []
    for column in zip(*trimmed, strict=True):
        sign = 1 if math.fsum(column) >= 0 else -1
        agreeing = [w * x for w, x in zip(weights, column, strict=True) if x * sign > 0]
        found.append(math.fsum(agreeing) / len(agreeing) if agreeing else 0.0)
    return found


def slerp(values: list[list[float]], t: float) -> list[float]:
    """Shoemake 1985, on values of their own length."""
    first, second = values
    length = [math.sqrt(math.fsum(x * x for x in one)) for one in values]
    angle = math.acos(math.fsum(x * y for x, y in zip(first, second, strict=True)) / (length[0] * length[1]))
    left, right = math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
    return [left * x + right * y for x, y in zip(first, second, strict=True)]


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.3, 0.7), (1.0, -0.25)])
def test_linear_is_the_weighted_sum_of_the_changes(two, tmp_path, weights):
    found = merged(two, tmp_path / "out", weights=weights)
    close(found, each(two, lambda v: [weights[0] * x + weights[1] * y for x, y in zip(*v, strict=True)]))


@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("weights", [None, (0.5, 0.5), (1.0, 0.25)])
def test_ties_is_the_papers(two, tmp_path, density, weights):
    found = merged(two, tmp_path / "out", method="ties", weights=weights, density=density, rank=5)  # 5: nothing is cut
    close(found, each(two, lambda v: ties(v, list(weights or (1.0, 1.0)), density)))


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0])
def test_slerp_is_the_arc(two, tmp_path, t):
    found = merged(two, tmp_path / "out", method="slerp", weights=(1 - t, t))
    close(found, each(two, lambda v: slerp(v, t)))


def test_slerp_of_one_direction_is_the_line_between():
    one = Factors(torch.ones(1, 3, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64))
    nothing = Factors(torch.ones(1, 3, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64))
    for other in (one, Factors(one.a * 3, one.b), Factors(-one.a, one.b), nothing):
        assert arc(one, other, 0.3) == (0.7, 0.3)


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_slerp_keeps_the_length_of_two_of_one_length(seed, t, size):
    draw = torch.Generator().manual_seed(seed)
    first, second = (
        Factors(*(torch.randn(s, generator=draw, dtype=torch.float64) for s in ((2, 5), (6, 2)))) for _ in range(2)
    )
    first, second = (Factors(f.a * (size / f.delta().norm()), f.b) for f in (first, second))
    between = stack([first, second], arc(first, second, t)).delta()
    assert float(between.norm()) == pytest.approx(size, rel=1e-9)


def test_dare_is_seeded_and_its_mean_is_linear(two, tmp_path):
    given_ = {"method": "dare", "density": 0.5, "rank": 5}
    first = merged(two, tmp_path / "a", seed=3, **given_)
    assert merged(two, tmp_path / "b", seed=3, **given_) == first
    for file in (merge.WEIGHTS, merge.CONFIG, merge.LINEAGE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert merged(two, tmp_path / "c", seed=4, **given_) != first
    parents = [merge.read(f.name, f) for f in two]
    runs = 300
    total = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in MODULES.items()}
    for seed in range(runs):
        made = merge.merge(parents, MergeParams(seed=seed, **given_))
        for name, found in made.modules.items():
            total[name] += found.delta() / runs
    linear = merge.merge(parents, MergeParams())
    for name in MODULES:
        # A value x is 0 or 2x: standard deviation |x|, so that of the mean of halves is below 0.5·(|x|+|y|)/√runs.
        spread = 0.5 * sum(p.modules[name].delta().abs() for p in parents) / math.sqrt(runs)
        assert bool(((total[name] - linear.modules[name].delta()).abs() < 5 * spread).all())


def test_dare_ties_at_density_1_is_ties_at_density_1(two, tmp_path):
    both = [merged(two, tmp_path / m, method=m, density=1.0, rank=5) for m in ("ties", "dare_ties")]
    assert both[0] == both[1]


def test_drawing_leaves_the_callers_random_numbers_alone(two):
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    merge.merge([merge.read(f.name, f) for f in two], MergeParams(method="dare"))
    assert torch.equal(torch.rand(3), wanted)


def test_a_lower_rank_is_the_nearest_and_says_what_it_keeps(two, tmp_path):
    found = merged(two, tmp_path / "out", rank=3)
    said = json.loads((tmp_path / "out" / merge.LINEAGE).read_text())["norm_kept"]
    kept = {}
    for name, whole in each(two, lambda v: [0.5 * (x + y) for x, y in zip(*v, strict=True)]).items():
        u, s, vh = torch.linalg.svd(torch.tensor(whole, dtype=torch.float64), full_matrices=False)
        best = (u[:, :3] * s[:3]) @ vh[:3]
        torch.testing.assert_close(torch.tensor(found[name], dtype=torch.float64), best, **EXACT)
        kept[name] = float((s[:3] ** 2).sum() / (s**2).sum())
    assert said["least"] == round(min(kept.values()), 6) < 1
    assert said["mean"] == pytest.approx(sum(kept.values()) / 2, abs=1e-6)
    assert said["least_module"] == min(kept, key=kept.get)


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_factors_and_the_whole_matrix_are_cut_alike(seed, rank):
    draw = torch.Generator().manual_seed(seed)
    found = Factors(*(torch.randn(s, generator=draw, dtype=torch.float64) for s in ((4, 5), (6, 4))))
    (by_factors, kept), (by_matrix, same) = lower(found, rank), nearest(found.delta(), rank)
    torch.testing.assert_close(by_factors.delta(), by_matrix.delta())
    assert kept == pytest.approx(same)
    assert by_factors.a.shape == (rank, 5) and by_factors.b.shape == (6, rank)


def test_ranks_scales_and_modules_may_differ(tmp_path):
    only = {"layers.0.q_proj": (6, 5)}
    folders = [
        adapter(tmp_path / "a", 1, rank=2), adapter(tmp_path / "b", 2, rank=3, modules=only, lora_alpha=1, target_modules=["q_proj"]),
        adapter(tmp_path / "c", 3, rank=1, lora_alpha=9),
    ]  # fmt: skip
    found = merged(folders, tmp_path / "out", weights=(0.5, 2.0, 1.0))
    a, b, c = (deltas(f) for f in folders)
    wanted = {
        name: [
            [
                0.5 * a[name][i][j] + 2 * (b[name][i][j] if name in b else 0) + c[name][i][j]
                for j in range(len(a[name][0]))
            ]
            for i in range(len(a[name]))
        ]
        for name in a
    }
    close(found, wanted)
    config = json.loads((tmp_path / "out" / merge.CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (6, 6, sorted(MODULES))


def test_lineage_says_how_it_came_about(two, tmp_path):
    merged(two, tmp_path / "out", method="ties", density=0.25)
    said = json.loads((tmp_path / "out" / merge.LINEAGE).read_text())
    assert [p["name"] for p in said["parents"]] == ["domain", "general"]
    assert all(len(p["sha256"]) == 64 and p["rank"] == 2 and p["modules"] == 2 for p in said["parents"])
    wanted = {"method": "ties", "weights": [1.0, 1.0], "density": 0.25, "seed": None, "rank": 4}
    assert {k: said[k] for k in wanted} == wanted
    assert said["base"] == {"name": "tiny", "identity": "identity"}
    assert str(tmp_path) not in (tmp_path / "out" / merge.LINEAGE).read_text()


def refused(folders: list[Path], **params: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        merge.merge([merge.read(f.name, f) for f in folders], MergeParams(**params))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_adapters_that_do_not_go_together_are_refused_in_one_line(two, tmp_path):
    other = adapter(tmp_path / "other", 3, base_model_name_or_path="huge")
    assert refused([two[0], other]) == (
        "other: trained on 'huge', but domain on 'tiny'; only adapters of one base model can be merged."
    )
    wide = adapter(tmp_path / "wide", 3, modules=MODULES | {"layers.0.q_proj": (6, 8)})
    assert refused([two[0], wide]) == (
        "wide: layers.0.q_proj is 6×8, but 6×5 in domain; only adapters of one base model can be merged."
    )
    fewer = adapter(tmp_path / "fewer", 3, modules={"layers.0.q_proj": (6, 5)})
    assert refused([two[0], fewer], method="slerp") == (
        "fewer: slerp needs the same target modules in both adapters, and only one has layers.0.up_proj (1 such); "
        "use linear, ties or dare."
    )
    for folder, text in zip(two, ("a", "b"), strict=True):
        (folder / "chat_template.jinja").write_text(text)
    assert refused(two) == (
        "general: trained with another chat template than domain; train both with one render.template."
    )


def test_weights_that_do_not_go_with_the_adapters_are_refused(two):
    assert refused(two, weights=(1.0,)) == "merge.weights: found 1 for 2 adapters; give one each, or null."
    assert refused([*two, two[0]], method="slerp") == ("merge.adapters: found 3; two for slerp accepted.")
    assert refused(two[:1]) == "merge.adapters: found 1; two or more accepted."
    assert refused(two, method="slerp", weights=(1.0, 0.5)) == (
        "merge.weights: found 1, 0.5; slerp divides an arc, so weights of 0 and more with sum 1 are accepted, such as 0.3, 0.7."
    )
    assert MergeParams(method="ties").factors(3) == (1.0, 1.0, 1.0)


def test_what_is_no_plain_lora_is_refused(tmp_path):
    assert refused([tmp_path]) == (
        f"{tmp_path.name}: holds no adapter_config.json; accepted: a folder as `dvc repro train` writes to models/adapter."
    )
    assert refused([adapter(tmp_path / "dora", 1, use_dora=True)]) == (
        "dora: adapter_config.json says use_dora: true; only plain LoRA can be merged."
    )
    folder = adapter(tmp_path / "head", 1)
    tensors = load_file(folder / merge.WEIGHTS) | {"base_model.model.lm_head.weight": torch.ones(2, 2)}
    save_file(tensors, folder / merge.WEIGHTS)
    assert refused([folder]) == (
        "head: adapter_model.safetensors holds base_model.model.lm_head.weight; only pairs of lora_A.weight and "
        "lora_B.weight can be merged."
    )
    alone = adapter(tmp_path / "alone", 1)
    tensors = load_file(alone / merge.WEIGHTS)
    del tensors["base_model.model.layers.0.q_proj.lora_A.weight"]
    save_file(tensors, alone / merge.WEIGHTS)
    assert "alone: adapter_model.safetensors holds base_model.model.layers.0.q_proj.lora_B.weight; only" in refused(
        [alone]
    )
    (folder / merge.WEIGHTS).write_bytes(b"cut short")
    assert refused([folder]).startswith("head: cannot be read (")


def test_a_whole_model_is_named_as_such(tmp_path):
    (tmp_path / "full").mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "full" / file).write_text("{}")
    assert refused([tmp_path / "full"]) == (
        "full: a whole model (config.json and no adapter_config.json); only LoRA adapters are merged here, full models are not: "
        "train with train.tuning lora."
    )


def test_only_an_earlier_merge_is_replaced(two, tmp_path):
    merged(two, tmp_path / "out")
    merge.replaceable(tmp_path / "out")
    merge.replaceable(tmp_path / "new")
    with pytest.raises(ConfigError, match="domain: is there already and is no merged adapter; name another folder"):
        merge.replaceable(two[0])


@pytest.fixture
def trained(tiny: str, tmp_path: Path) -> list[Path]:
    """Two adapters of the random model, as PEFT saves them, with random weights on both sides."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
        folder = tmp_path / f"adapter{seed}"
        model.save_pretrained(folder, save_embedding_layers=False)
        said = json.loads((folder / merge.CONFIG).read_text())
        (folder / merge.CONFIG).write_text(json.dumps(said | {"target_modules": sorted(said["target_modules"])}))
        folders.append(folder)
    return folders


@pytest.mark.parametrize(
    ("method", "combination"),
    [("linear", "cat"), ("linear", "svd"), ("ties", "ties_svd"), ("dare_ties", "dare_ties_svd")],
)
def test_pefts_own_merge_gives_the_same_logits(tiny, trained, tmp_path, method, combination):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    weights, density = (0.7, 0.4), 1.0 if method == "dare_ties" else 0.5
    merged_ = tmp_path / "out"
    merged(trained, merged_, method=method, weights=weights, density=density, rank=4 if combination != "cat" else None)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), trained[0], adapter_name="a")
    theirs.load_adapter(trained[1], adapter_name="b")
    theirs.add_weighted_adapter(["a", "b"], list(weights), "m", combination_type=combination, density=density)
    theirs.set_adapter("m")
    ours = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), merged_)
    ids = torch.tensor([[5, 9, 301, 44, 7]])
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(ids).logits, theirs.eval()(ids).logits, rtol=1e-4, atol=1e-5)


def test_the_merged_model_is_scored_beside_both_parents(trained, heldout, render, tmp_path, own_cache):
    target, empty = tmp_path / "out", tmp_path / "no-tasks"
    empty.mkdir()
    merged(trained, target, method="slerp")
    given_ = EvaluateParams(resamples=100)
    found = evaluations(heldout, target, trained, empty, given_, render)
    overall, by_task = scores(found, given_)
    assert list(overall["models"]) == ["base", "parent_1", "parent_2", "merged"]
    assert len({m["nll"] for m in overall["models"].values()}) == 4
    for who in ("parent_1", "parent_2"):
        gap = overall["models"]["merged"]["nll"] - overall["models"][who]["nll"]
        assert overall["merged_minus"][who]["difference"] == pytest.approx(gap, abs=2e-6)
    assert sorted(by_task) == ["math", "open_qa", "writing"]
    assert set(by_task["math"]) == {"rows", "tokens", "base", "parent_1", "parent_2", "merged"}
    assert adapter_identity(target, render.model) != adapter_identity(trained[0], render.model)
