"""The fine-tune: it learns, it is the same each time, and it comes back where it was."""

import json
import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from mlaas_lab.context import Context, Stopped
from mlaas_lab.errors import DataError, LabError, UsageError
from mlaas_lab.models import CARD, locate
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import checkpoint, loading, lora, preparing, state
from mlaas_lab.training.lora import train


def lines(context: Context, key: str) -> list[tuple[int, float]]:
    """Step and value of a metric, in the order they were logged."""
    events = [event for _, event in context.folder.events_from() if event["event"] == "metrics"]
    return [(event["step"], event["values"][key]) for event in events if key in event["values"]]


def answer(model, tokenizer, question: str) -> str:
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    told = model.generate(**asked, max_new_tokens=12, do_sample=False)
    return tokenizer.decode(told[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_learns_and_the_adapter_changes_the_answers(toy, finetune):
    outcome = finetune(epochs=40, lr=0.01, dropout=0, validation=0)
    tokenizer = AutoTokenizer.from_pretrained(outcome.result["adapter"]["path"])
    base = AutoModelForCausalLM.from_pretrained(toy)
    before = answer(base, tokenizer, "is the car red ?")
    tuned = PeftModel.from_pretrained(base, outcome.result["adapter"]["path"])
    assert before not in ("red", "blue")
    assert answer(tuned, tokenizer, "is the car red ?") == "red"
    assert answer(tuned, tokenizer, "is the dog blue ?") == "blue"


def test_same_seed_same_bytes_another_seed_others(finetune, context):
    first, second, other = (
        finetune(context(name), seed=seed).adapter["sha256"] for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == second != other


def test_every_step_is_logged_with_its_numbers(finetune, context):
    job = context()
    outcome = finetune(job, warmup=0.2)
    steps = outcome.result["steps"]
    for key in ("loss", "grad_norm", "lr", "tokens_per_s"):
        logged = lines(job, key)
        assert [step for step, _ in logged] == list(range(1, steps + 1))
        assert all(math.isfinite(value) for _, value in logged)
    rates = [value for _, value in lines(job, "lr")]
    assert max(rates) == pytest.approx(preparing.SMALL_LR)
    assert rates[0] < max(rates) > rates[-1]
    assert len(lines(job, "validation_loss")) == 3
    progress = [event for _, event in job.folder.events_from() if event["event"] == "progress"]
    assert progress[-1]["n"] == progress[-1]["total"] == steps


def test_the_best_adapter_is_kept_not_the_last(finetune, context, monkeypatch):
    job = context()
    losses = iter([2.0, 1.0, 3.0])
    kept = {}

    def judged(run: state.Run) -> None:
        loss = next(losses)
        if run.best_loss is None or loss < run.best_loss:
            run.best_loss, run.best = loss, state.adapter(run.loaded.model)
            kept.update(run.best)

    monkeypatch.setattr(lora, "_validate", judged)
    outcome = finetune(job)
    from safetensors.torch import load_file

    written = load_file(job.folder.adapter / "adapter_model.safetensors")
    assert outcome.result["validation_loss"] == 1.0
    assert written.keys() == kept.keys()
    assert all(torch.equal(written[name], kept[name]) for name in kept)


def test_parts_of_a_step_are_the_same_step(finetune, context):
    whole = finetune(context("a"), dropout=0)
    parts = finetune(context("b"), dropout=0, pass_size=3)
    assert parts.result["loss"] == pytest.approx(whole.result["loss"], rel=1e-4)
    assert parts.result["validation_loss"] == pytest.approx(whole.result["validation_loss"], rel=1e-4)


class StopsAt(Context):
    """A job that somebody stops, or that dies, at a step."""

    at = 0
    dies = False

    def log(self, step: int, /, **metrics: float) -> None:
        super().log(step, **metrics)
        if step == self.at and self.dies:
            raise KeyboardInterrupt
        self.stopping = step >= self.at


@pytest.mark.parametrize(("at", "dies"), [(3, False), (7, False), (8, True), (11, True)])
def test_a_resumed_training_is_bit_equal_to_an_unbroken_one(finetune, context, at, dies):
    unbroken = context("unbroken")
    wanted = finetune(unbroken, save_every=2).adapter["sha256"]
    broken = context("broken", StopsAt)
    broken.at, broken.dies = at, dies
    with pytest.raises(KeyboardInterrupt if dies else Stopped):
        finetune(broken, save_every=2)
    again = context("broken")
    outcome = finetune(again, save_every=2)
    assert outcome.adapter["sha256"] == wanted
    assert dict(lines(again, "loss")) == dict(lines(unbroken, "loss"))
    assert dict(lines(again, "validation_loss")) == dict(lines(unbroken, "validation_loss"))
    redone = len(lines(again, "loss")) - len(dict(lines(again, "loss")))
    assert redone <= (2 if dies else 0)


@pytest.fixture
def contrary(chats, tmp_path) -> Path:
    """Answers that the chats never give: the better the adapter, the worse its loss here."""
    swapped = chats.read_text().replace('"red"', '"%$#@&"').replace('"blue"', '"*;^"')
    path = tmp_path / "contrary.jsonl"
    path.write_text(swapped)
    return path


@pytest.mark.parametrize(("lost", "at"), [("random.cpu", 4), ("optimizer", 4), ("best", 17)])
def test_bit_equality_notices_what_a_checkpoint_lacks(finetune, context, contrary, monkeypatch, lost, at):
    options = {"lr": 0.02, "eval_data": contrary, "epochs": 5}
    wanted = finetune(context("unbroken"), **options).adapter["sha256"]
    for name in ("broken", "sabotaged"):
        broken = context(name, StopsAt)
        broken.at = at
        with pytest.raises(Stopped):
            finetune(broken, **options)
    assert finetune(context("broken"), **options).adapter["sha256"] == wanted
    whole = checkpoint.latest

    def lacking(folder: Path) -> checkpoint.Checkpoint | None:
        found = whole(folder)
        assert found is not None
        tensors = {name: value for name, value in found.tensors.items() if not name.startswith(lost)}
        if lost == "random.cpu":
            tensors[lost] = torch.Generator().manual_seed(5).get_state()
        return checkpoint.Checkpoint(step=found.step, tensors=tensors, facts=found.facts)

    monkeypatch.setattr(checkpoint, "latest", lacking)
    assert finetune(context("sabotaged"), **options).adapter["sha256"] != wanted


def test_a_checkpoint_of_other_options_is_not_continued(finetune, context, capsys):
    broken = context("job", StopsAt)
    broken.at = 3
    with pytest.raises(Stopped):
        finetune(broken)
    other = context("job", StopsAt)
    other.at = 2
    with pytest.raises(Stopped):
        finetune(other, rank=4)
    assert "of another training" in capsys.readouterr().out
    outcome = finetune(context("job"), rank=4)
    assert "going on from step 2" in capsys.readouterr().out
    assert outcome.adapter["params"]["rank"] == 4


def test_adapter_folder_has_all_that_is_needed(toy, finetune, chats, settings):
    outcome = finetune(rank=4)
    folder = Path(outcome.adapter["path"])
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(toy)
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md", CARD} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt"))]
    found = locate(str(folder), settings)
    assert found.base is not None
    assert found.base.fingerprint == locate(str(toy), settings).fingerprint
    card = json.loads((folder / CARD).read_text())
    readme = (folder / "README.md").read_text()
    assert card["results"]["loss"] == outcome.result["loss"]
    for fact in (card["data"][0]["sha256"], card["sha256"], found.base.fingerprint, "| rank | 4 |"):
        assert fact in readme
    assert {dataset.context: dataset.rows for dataset in outcome.datasets} == {"train": 36, "validation": 4}


def test_validation_data_can_be_given(finetune, chats, tmp_path):
    held = tmp_path / "held.jsonl"
    held.write_text("".join(chats.read_text().splitlines(keepends=True)[:5]))
    outcome = finetune(eval_data=held)
    assert {dataset.context: dataset.rows for dataset in outcome.datasets} == {"train": 40, "validation": 5}


def test_few_chats_are_all_trained_on(finetune, chats, capsys):
    chats.write_text("".join(chats.read_text().splitlines(keepends=True)[:6]))
    outcome = finetune()
    assert outcome.result["validation_loss"] is None
    assert "too few to hold some out" in capsys.readouterr().out


def test_chats_longer_than_the_base_can_see_are_cut(finetune, chats, capsys):
    row = json.loads(chats.read_text().splitlines()[0])
    row["messages"][0]["content"] = "word " * 2000
    chats.write_text(chats.read_text() + json.dumps(row) + "\n")
    finetune(epochs=1, validation=0, max_length=100_000)
    assert "1 of 41 chats are left out: no answer within 1024 tokens" in capsys.readouterr().out


def test_chosen_defaults_are_told(finetune, capsys):
    finetune(epochs=None, lr=None, validation=0)
    out = capsys.readouterr().out
    assert f"peak learning rate {preparing.SMALL_LR:g}" in out
    assert f"{preparing.SMALL_EPOCHS} epochs" in out


def test_a_large_base_gets_other_defaults(finetune, capsys, monkeypatch):
    monkeypatch.setattr(loading, "SMALL", 10)
    finetune(validation=0, epochs=None)
    assert f"peak learning rate {preparing.LR:g}" in (out := capsys.readouterr().out)
    assert f"{preparing.EPOCHS} epochs" in out


def test_bfloat16_and_activation_checkpointing_train_on_a_cpu_too(finetune):
    outcome = finetune(dtype="bfloat16", gradient_checkpointing=True, epochs=1)
    assert math.isfinite(outcome.result["loss"])


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"base": "tinny"}, UsageError, "unknown model 'tinny'. Did you mean 'tiny'?"),
        ({"data": Path("absent.jsonl")}, DataError, "absent.jsonl"),
        ({"max_length": 8}, DataError, "no answer begins within 8 tokens"),
    ],
)
def test_bad_input_is_one_line(finetune, options, kind, text):
    with pytest.raises(kind, match=text.replace("?", r"\?")) as caught:
        finetune(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is so without a GPU")
def test_four_bits_without_a_gpu_is_one_line(finetune):
    with pytest.raises(UsageError, match="needs a CUDA GPU"):
        finetune(load_in_4bit=True)


def test_an_adapter_is_no_base(finetune, context):
    path = finetune(epochs=1).adapter["path"]
    with pytest.raises(DataError, match="is an adapter"):
        finetune(context("again"), base=path)


def test_base_without_chat_template_is_one_line(toy, finetune, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in toy.iterdir():
        if path.name != "chat_template.jinja":
            (bare / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="no chat template"):
        finetune(base=str(bare))


def test_a_base_that_does_not_load_is_one_line(toy, finetune, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for path in toy.iterdir():
        (odd / path.name).write_bytes(path.read_bytes())
    (odd / "config.json").write_text('{"model_type": "nonesuch"}')
    with pytest.raises(DataError, match="cannot be loaded") as caught:
        finetune(base=str(odd))
    assert "\n" not in str(caught.value)


def test_a_full_disk_at_the_end_is_one_line(finetune, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PeftModel, "save_pretrained", full)
    with pytest.raises(LabError, match="No space left on device"):
        finetune(epochs=1)


def test_entry_runs_from_the_job_as_written(toy, chats, context):
    spec = Finetune.model_validate(Finetune(base=str(toy), data=chats, epochs=1).model_dump(mode="json"))
    assert train(spec, context()).result["steps"] == 3
