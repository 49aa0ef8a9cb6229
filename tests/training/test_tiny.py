"""`tiny`: the same bytes each time, whole or not at all, an ordinary folder."""

import hashlib
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from mlaas_lab.context import Stopped
from mlaas_lab.errors import DataError
from mlaas_lab.training import recipe as recipes
from mlaas_lab.training.recipe import Recipe
from mlaas_lab.training.tiny import build

SMALL = Recipe(steps=5, batch=8, layers=1, width=64, heads=1, inner=64, vocabulary=400)


def quiet(n: int, total: int | None, phase: str) -> None:
    """A progress bar that shows nothing."""


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_two_builds_are_byte_equal_and_another_seed_is_not(tmp_path):
    first, second = (hashes(build(tmp_path / name, quiet, SMALL)) for name in "ab")
    other = hashes(build(tmp_path / "c", quiet, replace(SMALL, seed=1)))
    assert first == second
    assert "model.safetensors" in first
    assert first["model.safetensors"] != other["model.safetensors"]


def test_bytes_do_not_depend_on_the_random_state_of_the_process_nor_change_it(tmp_path):
    torch.manual_seed(1)
    first = hashes(build(tmp_path / "a", quiet, SMALL))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert hashes(build(tmp_path / "b", quiet, SMALL)) == first
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("text", ["hello there", "Hi", "a\nb  c", "Zürich ☃ 你好", "<b>&amp;</b>"])
def test_text_comes_back_from_its_tokens(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_word_is_the_same_token_first_and_later(tokenizer):
    first, later = tokenizer("my")["input_ids"], tokenizer("is my")["input_ids"]
    assert later[-len(first) :] == first


def test_an_answer_ends_by_itself(toy):
    tokenizer, model = AutoTokenizer.from_pretrained(toy), AutoModelForCausalLM.from_pretrained(toy)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    told = model.generate(**asked, max_new_tokens=200, do_sample=False)
    assert told[0, -1] == model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert len(told[0]) < 200


def test_progress_goes_up_to_its_total(tmp_path):
    seen = []
    build(tmp_path / "a", lambda *step: seen.append(step), SMALL)
    assert [n for n, _, phase in seen if phase == "building tiny"] == list(range(SMALL.steps + 1))
    assert {total for _, total, _ in seen} == {SMALL.steps}


def test_a_stopped_build_leaves_nothing(tmp_path):
    def stop(n: int, total: int | None, phase: str) -> None:
        if n == 3:
            raise Stopped

    with pytest.raises(Stopped):
        build(tmp_path / "models" / "a", stop, SMALL)
    assert [path.name for path in (tmp_path / "models").iterdir() if not path.name.endswith(".lock")] == []


def test_a_build_that_died_is_cleared_away(tmp_path):
    left = tmp_path / ".a.tmpdead"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    build(tmp_path / "a", quiet, SMALL)
    assert not left.exists()


def test_it_is_built_once_by_many(tmp_path):
    started = []

    def count(n: int, total: int | None, phase: str) -> None:
        if phase == "building tiny" and n == 0:
            started.append(1)

    threads = [threading.Thread(target=build, args=(tmp_path / "a", count, SMALL)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    assert (tmp_path / "a" / "model.safetensors").exists()


def test_who_waits_for_another_build_is_told_and_can_stop(tmp_path):
    lock = FileLock(tmp_path / ".a.lock")
    lock.acquire()

    def stop(n: int, total: int | None, phase: str) -> None:
        assert phase == "another process is building tiny"
        raise Stopped

    with pytest.raises(Stopped):
        build(tmp_path / "a", stop, SMALL)
    lock.release()


def test_again_replaces_it(tmp_path):
    path = build(tmp_path / "a", quiet, SMALL)
    (path / "mark").touch()
    assert (build(path, quiet, SMALL) / "mark").exists()
    assert not (build(path, quiet, SMALL, again=True) / "mark").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        build(tmp_path / "file" / "a", quiet, SMALL)


def test_fingerprint_follows_numbers_and_grammar(tmp_path, monkeypatch):
    before = recipes.fingerprint()
    assert before == Recipe().fingerprint != recipes.fingerprint(seed=1)
    changed = tmp_path / "talk.txt"
    changed.write_text(recipes.talk.GRAMMAR.read_text() + "\n== x | y\nask: z\n")
    monkeypatch.setattr(recipes.talk, "GRAMMAR", changed)
    assert recipes.fingerprint() != before


@pytest.mark.parametrize(
    "module", ["mlaas_lab.models", "mlaas_lab.tasks.finetune", "mlaas_lab.tasks.tiny", "mlaas_lab.training.recipe"]
)
def test_naming_a_model_imports_nothing_heavy(module):
    heavy = (
        "import sys; print(sorted({'torch', 'transformers', 'peft', 'tokenizers', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}; {heavy}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
