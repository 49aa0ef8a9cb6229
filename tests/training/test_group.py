"""Two processes that share each step's batch learn what one does; averaged without weights they would not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mlaas_lab.errors import UsageError
from mlaas_lab.store.folder import write_json
from mlaas_lab.training.group import Group, Peers
from mlaas_lab.training.packing import Row, collate

PEER = Path(__file__).parent / "peer.py"


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Chats with answers of unlike length, so that shares differ in learnt tokens."""
    rows = []
    for n, noun in enumerate(["car", "house", "tree", "boat", "lamp", "shoe", "book", "chair", "door"] * 3):
        answer = " ".join(["red"] * (1 + n % 7))
        turns = [{"role": "user", "content": f"is the {noun} {n} ?"}, {"role": "assistant", "content": answer}]
        rows.append(json.dumps({"messages": turns}))
    path = tmp_path / "uneven.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.timeout(600)
def test_two_gloo_workers_learn_what_one_does(tmp_path, finetune, context, uneven):
    options = {"data": str(uneven), "epochs": 2, "batch_size": 5, "dropout": 0.0, "pass_size": 2}
    one = finetune(context("one"), **options)
    told = json.dumps({"folder": str(tmp_path), "options": {**options, "base": one.adapter["params"]["base"]}})
    peers = [subprocess.Popen([sys.executable, str(PEER), str(rank), told], stderr=subprocess.PIPE) for rank in (0, 1)]
    said = [peer.communicate(timeout=240)[1].decode()[-2000:] for peer in peers]
    assert [peer.returncode for peer in peers] == [0, 0], said
    two = json.loads((tmp_path / "two" / "outcome.json").read_text())
    assert abs(one.result["loss"] - two["loss"]) < 1e-5
    assert abs(one.result["validation_loss"] - two["validation_loss"]) < 1e-5
    weights = {
        how: load_file(tmp_path / how / "adapter" / "adapter_model.safetensors") for how in ("one", "two", "unweighted")
    }

    def apart(how: str) -> float:
        return max((weights["one"][name] - weights[how][name]).abs().max().item() for name in weights["one"])

    assert apart("two") < 1e-5
    assert apart("unweighted") > 1e-4, "the control: the mean of the workers' means is another training"


def test_shares_are_the_whole_batch(monkeypatch):
    rows = [Row(tokens=tuple(range(n + 2)), learnt=(False,) + (True,) * (n + 1)) for n in range(5)]
    batch = collate(rows)
    for size in (1, 2, 3, 7):
        parts = []
        for rank in range(size):
            monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
            monkeypatch.setattr(torch.distributed, "get_world_size", lambda size=size: size)
            part = Peers().share(batch, step=3, seed=0)
            assert (part.learnt, part.size) == (batch.learnt, batch.size)
            parts += [piece.tokens for piece in part.parts(2)]
        assert sorted(map(tuple, torch.cat(parts).tolist())) == sorted(map(tuple, batch.tokens.tolist()))


def test_alone_nothing_happens(tmp_path):
    batch = collate([Row(tokens=(1, 2), learnt=(False, True))])
    before = torch.get_rng_state()
    assert Group().share(batch, step=0, seed=0) is batch
    assert Group().gathered(0.5, []) == 0.5
    assert (Group().any(True), Group().any(False)) == (True, False)
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_without_a_cluster_are_told(finetune, context):
    job = context()
    write_json(job.folder.job, {"id": "j1"})
    with pytest.raises(UsageError, match=r"--workers 2 needs a cluster. Add --executor ray."):
        finetune(job, workers=2)
