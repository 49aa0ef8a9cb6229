"""A toy of a base, one layer, built in a second by the same code as `tiny`; and chats that it can learn."""

import json
from collections.abc import Mapping
from pathlib import Path

from mlaas_lab.training.recipe import Recipe
from mlaas_lab.training.tiny import build

TOY = Recipe(steps=60, batch=16, layers=1, width=64, heads=1, inner=128, vocabulary=512, lr=2e-3, embedding_lr=6e-3)
NOUNS = (
    *("car", "house", "tree", "boat", "lamp", "shoe", "book", "chair", "door", "cup"),
    *("hat", "coat", "bag", "key", "pen", "box", "bed", "fish", "bird", "dog"),
)


def toy_base(folder: Path) -> Path:
    """The folder of the toy base."""
    return build(folder / "toy", lambda *_: None, TOY)


def colour_chats(path: Path, answers: Mapping[str, str]) -> Path:
    """Forty chats with two answers, told apart by one word of the question."""
    rows = [
        [{"role": "user", "content": f"is the {noun} {word} ?"}, {"role": "assistant", "content": answer}]
        for noun in NOUNS
        for word, answer in answers.items()
    ]
    path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in rows))
    return path
