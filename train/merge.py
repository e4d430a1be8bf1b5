"""Several LoRA adapters of one base model → one ("tempering": a domain adapter and a general one), with its lineage.

`train.deltas` says how changes of weights are added up; this module reads adapters, holds them against each other and writes.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import xxhash

from curation.errors import ConfigError, DataError
from curation.progress import Progress, silent
from train.deltas import Factors, arc, lower, nearest, sparse, stack
from train.params import MergeParams

CONFIG, WEIGHTS, LINEAGE = "adapter_config.json", "adapter_model.safetensors", "lineage.json"
PREFIX = "base_model.model."
# What a plain LoRA says in its config. Anything else changes the model in ways that A and B alone do not tell.
PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (None, False),
    "lora_bias": (None, False),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
    "layer_replication": (None,),
    "init_lora_weights": (None, True, False, "gaussian", "orthogonal", "eva"),  # the others change the base's weights
}
_TARGETS = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
_TOKENIZER = ("tokenizer", "chat_template", "special_tokens_map", "added_tokens", "vocab", "merges")


@dataclass(frozen=True)
class Parent:
    """An adapter to merge, read from `folder`. `known`: what else is told of it, for the lineage."""

    name: str  # as the person called it
    folder: Path
    config: Mapping[str, Any]
    modules: Mapping[str, Factors]  # by the module's name in the base model
    sha256: str  # of its weights' file
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        return max(f.a.shape[0] for f in self.modules.values())


@dataclass(frozen=True)
class Merged:
    """`kept`: module → the share of the squared norm of the wanted Δ that its factors hold; 1 where nothing was cut."""

    modules: dict[str, Factors]
    rank: int
    kept: dict[str, float]


def read(name: str, folder: Path, known: Mapping[str, Any] | None = None) -> Parent:
    """The adapter in `folder`; raises DataError when it is not a plain LoRA, whole and readable."""
    from peft.utils.other import get_pattern_key
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if (folder / "config.json").is_file() and not (folder / CONFIG).is_file():
        raise DataError(
            f"{name}: a whole model (config.json and no {CONFIG}); only LoRA adapters are merged here, full models are not: train "
            "with train.tuning lora."
        )
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise DataError(
                f"{name}: holds no {file}; accepted: a folder as `dvc repro train` writes to models/adapter."
            )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (ValueError, SafetensorError) as error:
        raise DataError(f"{name}: cannot be read ({error}); restore the adapter or train it again.") from None
    if not isinstance(config, dict) or not isinstance(config.get("lora_alpha"), (int, float)):
        raise DataError(f"{name}: {CONFIG} says no lora_alpha; only plain LoRA can be merged.")
    for key, accepted in PLAIN.items():
        if config.get(key) not in accepted:
            raise DataError(
                f"{name}: {CONFIG} says {key}: {json.dumps(config.get(key))}; only plain LoRA can be merged."
            )
    modules = {}
    for key in sorted(tensors):
        module, dot, rest = key.removeprefix(PREFIX).rpartition(".lora_")
        other = key.replace(".lora_A.", ".lora_B.") if rest == "A.weight" else key.replace(".lora_B.", ".lora_A.")
        if not dot or rest not in ("A.weight", "B.weight") or tensors[key].ndim != 2 or other not in tensors:
            raise DataError(
                f"{name}: {WEIGHTS} holds {key}; only pairs of lora_A.weight and lora_B.weight can be merged."
            )
        if rest == "A.weight":
            a, b = tensors[key].double(), tensors[other].double()
            patterns: dict[str, float] = config.get("alpha_pattern") or {}
            pattern = get_pattern_key(list(patterns), module)
            alpha = patterns[pattern] if pattern in patterns else config["lora_alpha"]
            rank = a.shape[0]
            modules[module] = Factors(a * (alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)), b)
    if not modules:
        raise DataError(f"{name}: {WEIGHTS} holds no LoRA matrix; train the adapter again.")
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    return Parent(name, folder, config, modules, digest, known or {})


def merge(parents: Sequence[Parent], params: MergeParams, progress: Progress = silent) -> Merged:
    """One adapter from `parents` by `params.method` with `params.factors()`; nothing is written.

    Raises DataError for parents that do not go together, ConfigError for weights that do not go with them.
    """
    weights = params.factors(len(parents))
    agree(parents, params)
    rank = params.rank or sum(p.rank for p in parents)
    modules, kept = {}, {}
    names = sorted({m for p in parents for m in p.modules})
    for done, module in enumerate(names, 1):
        # A module that a parent leaves alone changes by 0 there, which adds nothing to a sum and votes in no sign.
        have = [(p.modules[module], w) for p, w in zip(parents, weights, strict=True) if module in p.modules]
        found, given = [f for f, _ in have], [w for _, w in have]
        if params.method == "slerp":
            given = list(arc(found[0], found[1], given[1]))
        if params.method in ("linear", "slerp"):
            modules[module], kept[module] = lower(stack(found, given), rank)
        else:
            seed = params.seed ^ xxhash.xxh32_intdigest(module.encode())  # no module's draws hang on which others exist
            modules[module], kept[module] = nearest(sparse([f.delta() for f in found], given, params, seed), rank)
        progress("merged weights", done, len(names))
    return Merged(modules, rank, kept)


def agree(parents: Sequence[Parent], params: MergeParams) -> None:
    """Raises DataError when the parents are not of one base, template and shape, or the method cannot take their modules."""
    first = parents[0]
    for other in parents[1:]:
        bases = [p.config.get("base_model_name_or_path") for p in (first, other)]
        if bases[0] != bases[1]:
            raise DataError(
                f"{other.name}: trained on {bases[1]!r}, but {first.name} on {bases[0]!r}; "
                "only adapters of one base model can be merged."
            )
        templates = [(p.folder / "chat_template.jinja") for p in (first, other)]
        if all(t.is_file() for t in templates) and templates[0].read_bytes() != templates[1].read_bytes():
            raise DataError(
                f"{other.name}: trained with another chat template than {first.name}; train both with one render.template."
            )
        for module in sorted(first.modules.keys() & other.modules.keys()):
            shapes = [(p.modules[module].b.shape[0], p.modules[module].a.shape[1]) for p in (first, other)]
            if shapes[0] != shapes[1]:
                raise DataError(
                    f"{other.name}: {module} is {shapes[1][0]}×{shapes[1][1]}, but {shapes[0][0]}×{shapes[0][1]} in "
                    f"{first.name}; only adapters of one base model can be merged."
                )
        alone = sorted(first.modules.keys() ^ other.modules.keys())
        if alone and params.method == "slerp":
            raise DataError(
                f"{other.name}: slerp needs the same target modules in both adapters, and only one has {alone[0]} "
                f"({len(alone)} such); use linear, ties or dare."
            )


def lineage(parents: Sequence[Parent], params: MergeParams, merged: Merged, identity: str) -> dict[str, Any]:
    """What lineage.json says. `identity`: of the base model's weights."""
    import peft
    import torch

    random, sparse_ = params.method in ("dare", "dare_ties"), params.method in ("ties", "dare", "dare_ties")
    least = min(merged.kept, key=lambda m: (merged.kept[m], m))
    return {
        "method": params.method,
        "weights": list(params.factors(len(parents))),
        "density": params.density if sparse_ else None,
        "seed": params.seed if random else None,
        "rank": merged.rank,
        "norm_kept": {
            "mean": round(math.fsum(merged.kept.values()) / len(merged.kept), 6),
            "least": round(merged.kept[least], 6),
            "least_module": least,
        },
        "base": {"name": parents[0].config.get("base_model_name_or_path"), "identity": identity},
        "parents": [
            {"name": p.name, "sha256": p.sha256, "rank": p.rank, "modules": len(p.modules), **p.known} for p in parents
        ],
        "versions": {"peft": peft.__version__, "torch": torch.__version__},
    }


def write(merged: Merged, parents: Sequence[Parent], story: Mapping[str, Any], target: Path) -> None:
    """The adapter in the folder `target`, with the first parent's tokenizer and `story` as lineage.json; whole or not at all."""
    from safetensors.torch import save_file

    config = dict(parents[0].config) | {"r": merged.rank, "lora_alpha": merged.rank, "use_rslora": False}
    config |= {"rank_pattern": {}, "alpha_pattern": {}, "inference_mode": True, "init_lora_weights": True}
    if any(any(p.config.get(k) != parents[0].config.get(k) for k in _TARGETS) for p in parents):
        config |= dict.fromkeys(_TARGETS) | {"target_modules": sorted(merged.modules)}
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        tensors = {
            f"{PREFIX}{module}.lora_{name}.weight": tensor.float().contiguous()
            for module, f in merged.modules.items()
            for name, tensor in (("A", f.a), ("B", f.b))
        }
        save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
        for name, value in ((CONFIG, config), (LINEAGE, story)):
            text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
            (part / name).write_text(text + "\n", encoding="utf-8")
        for file in sorted(parents[0].folder.iterdir()):
            if file.name.startswith(_TOKENIZER):
                shutil.copyfile(file, part / file.name)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def replaceable(target: Path) -> None:
    """Raises ConfigError when `target` is something else than an empty folder or an earlier merge."""
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / LINEAGE).is_file())):
        raise ConfigError(f"{target}: is there already and is no merged adapter; name another folder or remove it.")
