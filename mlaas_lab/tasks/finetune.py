"""`%mlaas finetune`: LoRA weights for a base model, trained on your chats."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from mlaas_lab.schema import JSON
from mlaas_lab.spec import DataFile, ModelName, Spec
from mlaas_lab.tasks import Task


class Finetune(Spec):
    """Train a LoRA adapter on chats; the best one by validation loss is kept, with all it needs to be served."""

    base: ModelName = "tiny"
    """`tiny`, a folder, or a hub id with an optional `@revision`."""
    data: DataFile
    """Chats: JSONL, CSV, Parquet, or a snapshot, of which the train part is used."""
    name: str = ""
    """Name of the adapter; by default that of the data."""
    eval_data: DataFile | None = None
    """Chats for the validation loss; by default a share of `data`."""
    validation: float = Field(0.1, ge=0, lt=1)
    """Share of `data` held out for the validation loss; 0 keeps the last adapter instead of the best."""
    rank: int = Field(16, ge=1, le=512)
    """Rank r of the update matrices (Hu et al. 2021, section 4.1)."""
    alpha: int | None = Field(None, ge=1)
    """Scale of the update, alpha / rank; by default twice the rank."""
    dropout: float = Field(0.05, ge=0, lt=1)
    """On the input of the update matrices."""
    lr: float | None = Field(None, gt=0)
    """Peak learning rate; by default from the base's size: 2e-3 below 50 M parameters, else 2e-4."""
    epochs: float | None = Field(None, gt=0)
    """Passes over the data; by default from the base's size: 8 below 50 M parameters, else 3."""
    batch_size: int = Field(16, ge=1)
    """Chats per step."""
    pass_size: int | None = Field(None, ge=1)
    """Chats that go through the model at once, to save memory; the step stays the same. By default all of them."""
    workers: int = Field(1, ge=1)
    """Processes that share each step's batch; more than one needs executor ray."""
    max_length: int = Field(1024, ge=8)
    """Tokens of a chat that are kept; what comes after is cut off."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps in which the learning rate rises; then it falls as a cosine."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    save_every: int = Field(50, ge=1)
    """Steps between checkpoints; each epoch ends with one too."""
    seed: int = 0
    """Of the order of chats, the update matrices and dropout."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns of a table as fields, as in `question=user,answer=assistant`."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the base's weights; auto is bfloat16 on a GPU that has it, else float32."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third slower."""
    load_in_4bit: bool = False
    """Load the base in 4 bits (QLoRA); needs a CUDA GPU and bitsandbytes."""

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_data(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("name") or "data" not in values:
            return values
        return {**values, "name": Path(str(values["data"])).stem}


def _smaller(spec: Finetune) -> dict[str, JSON] | None:
    """Half as many chats through the model at once; the step, and what it learns, stay the same."""
    now = min(spec.pass_size or spec.batch_size, spec.batch_size)
    return {"pass_size": (now + 1) // 2} if now > 1 else None


task = Task(
    spec=Finetune,
    entry="mlaas_lab.training.lora:train",
    view="mlaas_lab.panels._training:views",
    resumable=True,
    needs="mlaas_lab.forecast:training",
    smaller=_smaller,
)
