"""What of the model is trained (train.tuning, frozen_layers, quantize): which weights move, are kept as the best, and are put back."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import ConfigError
from train.params import TrainParams

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor


def check(params: TrainParams) -> None:
    """Raises ConfigError when this machine cannot train with `train.quantize`."""
    import torch

    if params.quantize == "none":
        return
    absent = [] if importlib.util.find_spec("bitsandbytes") else ["the package bitsandbytes"]
    absent += [] if torch.cuda.is_available() else ["a CUDA device"]
    if absent:
        raise ConfigError(
            f"train.quantize: found nf4, but {' and '.join(absent)} cannot be found here; accepted without: none."
        )


def load(name: str, params: TrainParams) -> Any:
    """The model that `name` says, with what is not trained frozen; LoRA's matrices are added by the trainer (`lora`)."""
    from curation.models import load_language_model

    check(params)
    if params.quantize == "nf4":
        return _quantized(name)
    model: Any = load_language_model(name)
    if params.tuning == "full":
        model.float()  # bfloat16 weights would lose updates a hundred times smaller than themselves
        freeze(model, params.frozen_layers)
    return model


def lora(params: TrainParams) -> LoraConfig | None:
    """LoRA's config; None when the weights themselves are trained."""
    from peft import LoraConfig

    if params.tuning == "full":
        return None
    return LoraConfig(
        r=params.lora_r,
        lora_alpha=params.lora_alpha,
        lora_dropout=params.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def freeze(model: Any, layers: int) -> None:
    """No gradient for the input embeddings and the `layers` lowest blocks; 0 freezes nothing.

    A head tied to the embeddings is the same tensor and stays with them. Raises ConfigError when so many blocks are not there.
    """
    if not layers:
        return
    blocks = _blocks(model)
    if layers > len(blocks):
        raise ConfigError(
            f"train.frozen_layers: found {layers}; accepted: 0 to {len(blocks)}, the layers of this model."
        )
    for part in (model.get_input_embeddings(), *blocks[:layers]):
        part.requires_grad_(False)


def _blocks(model: Any) -> Any:
    from torch.nn import ModuleList

    count = model.config.num_hidden_layers
    return next(m for m in model.modules() if isinstance(m, ModuleList) and len(m) == count)


def weights(model: Any) -> dict[str, Tensor]:
    """A copy of what is trained: LoRA's matrices by PEFT's names, or the weights that have a gradient."""
    from peft import PeftModel, get_peft_model_state_dict

    if isinstance(model, PeftModel):
        state = get_peft_model_state_dict(model, save_embedding_layers=False)
    else:
        state = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def put(model: Any, state: Mapping[str, Tensor]) -> None:
    """Give the model these weights, of `weights` or of a checkpoint."""
    import torch
    from peft import PeftModel, set_peft_model_state_dict

    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, dict(state))
        return
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)


def stored(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint folder, for `put`."""
    from safetensors.torch import load_file

    adapter = checkpoint / "adapter_model.safetensors"
    files = [adapter] if adapter.is_file() else sorted(checkpoint.glob("model*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _quantized(name: str) -> Any:
    """QLoRA's base (arXiv 2305.14314): four-bit normal floats, quantised twice, computed in bfloat16. Not tried: it needs a GPU."""
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from curation.models import language_model_path

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(
        language_model_path(name), quantization_config=config, dtype=torch.bfloat16, device_map={"": 0}
    )
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
