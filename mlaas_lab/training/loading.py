"""The base model with fresh update matrices, on the hardware that is there.

bfloat16, activation checkpointing and 4-bit weights are taken where hardware and library have them; where they were
asked for and are not there, one line says so. Remote code and pickled weights are never loaded.
"""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging
from transformers.utils.import_utils import is_bitsandbytes_available

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.models import Model
from mlaas_lab.tasks.finetune import Finetune

SMALL = 50_000_000
"""Parameters under which a base learns like `tiny`: from scratch almost, so faster and for longer."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What training works on."""

    model: Any
    """The base with update matrices, of which only these are trained."""
    tokenizer: Any
    device: torch.device
    parameters: int
    """Of the base."""

    @property
    def context(self) -> int:
        """Tokens that the base can see at once."""
        return getattr(self.model.config, "max_position_embeddings", None) or sys.maxsize

    @property
    def trained(self) -> list[Tensor]:
        """The update matrices."""
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    @property
    def small(self) -> bool:
        """Whether the defaults for small bases apply."""
        return self.parameters < SMALL


def load(spec: Finetune, base: Model, folder: Path) -> Loaded:
    """The base in `folder`, ready to train.

    Raises:
        DataError: if the folder cannot be loaded.
        UsageError: for 4-bit weights without a GPU.
        MissingExtra: for 4-bit weights without bitsandbytes.
    """
    logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer, model = _read(folder, base.name, _weights(spec, device))
    parameters = sum(weight.numel() for weight in model.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers, not for the user's log
        model = _saving(model, spec) if spec.gradient_checkpointing or spec.load_in_4bit else model
        torch.manual_seed(spec.seed)
        tuned = get_peft_model(model if spec.load_in_4bit else model.to(device), _lora(spec, base, folder, model))
    # Update matrices stay in float32: small steps vanish in bfloat16.
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return Loaded(model=tuned, tokenizer=tokenizer, device=device, parameters=parameters)


def _saving(model: Any, spec: Finetune) -> Any:
    """The base set up to need less memory."""
    if spec.load_in_4bit:
        return prepare_model_for_kbit_training(model, use_gradient_checkpointing=spec.gradient_checkpointing)
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    return model


def _read(folder: Path, name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"base {name!r} cannot be loaded: {reason}") from None
    return tokenizer, model


def _weights(spec: Finetune, device: torch.device) -> dict[str, Any]:
    if not spec.load_in_4bit:
        return {"dtype": _dtype(spec, device)}
    if device.type != "cuda":
        raise UsageError("--load-in-4bit needs a CUDA GPU, and there is none.", next="Leave it out.")
    if not is_bitsandbytes_available():
        raise registry.missing_extra("bitsandbytes")
    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",  # Dettmers et al. 2023, section 3
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_dtype(spec, device),
    )
    return {"quantization_config": how, "device_map": {"": 0}}


def _dtype(spec: Finetune, device: torch.device) -> torch.dtype:
    if spec.dtype != "auto":
        return torch.bfloat16 if spec.dtype == "bfloat16" else torch.float32
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def _lora(spec: Finetune, base: Model, folder: Path, model: Any) -> Any:
    hub = isinstance(base.path, str)
    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha or 2 * spec.rank,
        lora_dropout=spec.dropout,
        target_modules=_linear(model),
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(base.path if hub else folder),
        revision=base.revision,
    )


def _linear(model: Any) -> list[str]:
    """Names of all linear layers but the output layer, by their last part, as every engine reads them."""
    output = model.get_output_embeddings()
    layers = model.named_modules()
    return sorted(
        {name.rpartition(".")[2] for name, layer in layers if isinstance(layer, nn.Linear) and layer is not output}
    )
