"""A toy of a base: one layer, built in a second by the same code as `tiny`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlaas_lab.context import Context, Outcome
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training.recipe import Recipe
from mlaas_lab.training.tiny import build

TOY = Recipe(steps=60, batch=16, layers=1, width=64, heads=1, inner=128, vocabulary=512, lr=2e-3, embedding_lr=6e-3)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the toy base."""
    return build(tmp_path_factory.mktemp("bases") / "toy", lambda *_: None, TOY)


@pytest.fixture(scope="session")
def tokenizer(toy: Path):
    """The toy's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(toy)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty chats with two answers, told apart by one word."""
    rows = [(f"is the {thing} {what} ?", what) for thing in NOUNS for what in ("red", "blue")]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(_chat(question, answer)) + "\n" for question, answer in rows))
    return path


NOUNS = [
    "car",
    "house",
    "tree",
    "boat",
    "lamp",
    "shoe",
    "book",
    "chair",
    "door",
    "cup",
    "hat",
    "coat",
    "bag",
    "key",
    "pen",
    "box",
    "bed",
    "fish",
    "bird",
    "dog",
]


def _chat(question: str, answer: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def context(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Context]]:
    """The context of a job in folder `name`; the same name is the same job again."""
    made: list[Context] = []

    def make(name: str = "job", kind: type[Context] = Context) -> Context:
        folder = JobFolder(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        made.append(kind(folder, settings.model_copy(update={"threads": 1}), job_id="j1", name="colours"))
        return made[-1]

    yield make
    for job in made:
        job._events.close()


@pytest.fixture
def finetune(toy: Path, chats: Path, context: Callable[..., Context]) -> Callable[..., Outcome]:
    """Run a small fine-tune of the toy on the chats."""
    from mlaas_lab.training.lora import train

    def run(job: Context | None = None, **options: object) -> Outcome:
        spec = Finetune.model_validate({"base": str(toy), "data": chats, "epochs": 3, "batch_size": 8, **options})
        return train(spec, job or context())

    return run
