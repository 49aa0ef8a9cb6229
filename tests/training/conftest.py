"""A toy of a base, and fine-tunes of it without a job."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_base import colour_chats, toy_base

from mlaas_lab.context import Context, Outcome
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.finetune import Finetune


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the toy base."""
    return toy_base(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def tokenizer(toy: Path):
    """The toy's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(toy)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty chats with two answers, told apart by one word."""
    return colour_chats(tmp_path / "chats.jsonl", {"red": "red", "blue": "blue"})


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
