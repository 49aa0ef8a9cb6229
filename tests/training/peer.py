"""One of several processes of a training without Ray: `python peer.py RANK OPTIONS`, for test_group.py."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed

from mlaas_lab.context import Context
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import lora
from mlaas_lab.training.group import Peers
from mlaas_lab.training.packing import Batch
from mlaas_lab.training.preparing import prepare


class Unweighted(Peers):
    """Sabotaged: each learns from the mean of its own share, and these means are averaged."""

    def share(self, batch: Batch, *, step: int, seed: int) -> Batch:
        part = super().share(batch, step=step, seed=seed)
        learnt = int((part.wanted != -100).sum())
        return Batch(tokens=part.tokens, wanted=part.wanted, size=part.size, learnt=max(1, learnt) * self.size)


class Quiet(Context):
    """What the others say."""

    def _write(self, line) -> None:
        del line


def main(rank: int, told: dict) -> None:
    root = Path(told["folder"])
    torch.distributed.init_process_group("gloo", init_method=f"file://{root / 'meet'}", rank=rank, world_size=2)
    for how, kind in (("two", Peers), ("unweighted", Unweighted)):
        folder = JobFolder(root / how)
        folder.path.mkdir(exist_ok=True)
        context = (Context if rank == 0 else Quiet)(folder, Settings(threads=1), job_id="j", name="n")
        outcome = lora.learn(prepare(Finetune.model_validate(told["options"]), context, kind()))
        if rank == 0:
            write_json(folder.outcome, asdict(outcome)["result"])


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
