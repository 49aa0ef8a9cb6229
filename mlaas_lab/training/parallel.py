"""The one loop of lora.py in several processes of a Ray cluster: gloo between CPUs, nccl between GPUs.

The entry itself only starts them, hands on the wish to stop, and says how it ended. The first of them writes lines and
files as an entry does; the others do their part of each step. Which processes there are does not enter a checkpoint,
so a training goes on with more or fewer.
"""

import json
import shutil
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer

import mlaas_lab
from mlaas_lab import errors, models
from mlaas_lab.context import STARVED, Context, Dataset, Outcome, Stopped
from mlaas_lab.errors import JobError, LabError, OutOfMemory
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import lora
from mlaas_lab.training.group import Peers
from mlaas_lab.training.preparing import prepare

LOOK_S = 0.2
TRAIN = "train"
"""Where Ray Train keeps what it wants to keep, until the end."""


def train(spec: Finetune, context: Context) -> Outcome:
    """Fine-tune in `spec.workers` processes.

    Raises:
        Stopped: when the job was asked to stop.
        JobError: if a process died.
    """
    launch = read_json(context.folder.job).get("launch") or {}
    models.materialize(
        models.locate(spec.base, context.settings), lambda n, total, phase: context.progress(n, total, phase=phase)
    )
    ending = context.folder.path / f"ending-{context.attempt}.json"
    _wish(ending, stop=False)
    asked = signal.getsignal(signal.SIGTERM)
    ray.init(address="auto", logging_level="WARNING")
    signal.signal(signal.SIGTERM, asked)  # Ray's own would exit at once
    try:
        _run(_trainer(spec, context, launch, ending), context, ending)
    except TrainingFailedError as error:
        # Whoever failed first has said so, if it could; the others only lost him.
        if "error" not in read_json(ending):
            raise _died(str(error)) from None
    finally:
        shutil.rmtree(context.folder.path / TRAIN, ignore_errors=True)
        ray.shutdown()
    said = read_json(ending)
    ending.unlink()
    return _outcome(said)


def _trainer(spec: Finetune, context: Context, launch: dict[str, JSON], ending: Path) -> TorchTrainer:
    gpus, cpus = launch.get("gpus") or 0, launch.get("cpus") or spec.workers
    each = {"CPU": cpus / spec.workers, **({"GPU": gpus / spec.workers} if gpus else {})}
    threads = max(1, int(cpus / spec.workers))
    told = {
        "spec": spec.model_dump(mode="json"),
        "parcel": str(_parcel()),
        "settings": context.settings.model_copy(update={"threads": threads}).model_dump(mode="json"),
        "folder": context.folder,
        "job": {"job_id": context.job_id, "name": context.name, "attempt": context.attempt},
        "ending": str(ending),
    }
    return TorchTrainer(
        work,
        train_loop_config=told,
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=spec.workers, use_gpu=bool(gpus), resources_per_worker=each),
        run_config=RunConfig(
            name=f"{context.job_id}-{context.attempt}",
            storage_path=str(context.folder.path / TRAIN),
            failure_config=FailureConfig(max_failures=0),
        ),
    )


def _run(trainer: TorchTrainer, context: Context, ending: Path) -> None:
    """Train in a thread, because this one gets the signal to stop."""
    raised: list[Exception] = []

    def fit() -> None:
        try:
            trainer.fit()
        except TrainingFailedError as error:
            raised.append(error)

    thread = threading.Thread(target=fit, name="fit", daemon=True)
    thread.start()
    told = False
    while thread.is_alive():
        thread.join(LOOK_S)
        if context.stopping and not told:
            told = True
            _wish(ending, stop=True)
    if raised:
        raise raised[0]


def work(told: dict[str, Any]) -> None:
    """What each process does."""
    group, ending = Peers(), Path(told["ending"])
    kind = Leading if group.leads else Following
    settings = Settings.model_validate(told["settings"])
    context = kind(told["folder"], settings, **told["job"], wish=ending)
    try:
        spec = json.loads(json.dumps(told["spec"]).replace(told["parcel"], str(_parcel())))
        run = prepare(Finetune.model_validate(spec), context, group)
        outcome = lora.learn(run)
    except Stopped:
        said: dict[str, JSON] = {"stopped": True}
    except LabError as error:
        said = {"kind": type(error).__name__, "message": error.message, "next": error.next}
        write_json(ending, {"error": said})
        # The others wait for this one: they are freed by its end.
        raise
    else:
        said = {"outcome": asdict(outcome)} if group.leads else {}
    if group.leads:
        write_json(ending, said)


class Leading(Context):
    """The job, as the first of several processes sees it: whether to stop stands in a file."""

    def __init__(self, folder: JobFolder, settings: Settings, *, wish: Path, **job: Any) -> None:
        """`wish` is written before any process starts."""
        self._wish_file = wish
        super().__init__(folder, settings, **job)

    @property
    def stopping(self) -> bool:
        """Opened anew each time: on a network disk that is what shows the newest content."""
        return bool((read_json(self._wish_file) or {}).get("stop"))

    @stopping.setter
    def stopping(self, value: bool) -> None:
        del value


class Following(Leading):
    """The job, as the others see it: they say nothing, and stop when the first does."""

    stopping = False

    def note(self, text: str) -> None:
        """Said once, by the first."""
        del text

    def _write(self, line: dict[str, Any]) -> None:
        del line


def _parcel() -> Path:
    """The folder that travelled here, on whichever machine this is: the package lies in it."""
    return Path(mlaas_lab.__file__).resolve().parents[1]


def _wish(ending: Path, *, stop: bool) -> None:
    write_json(ending, {"stop": stop})


def _died(said: str) -> LabError:
    """What became of a worker that could not say it."""
    if any(sign in said.lower() for sign in STARVED):
        return OutOfMemory(" ".join(said.split())[-300:])
    return JobError(f"a worker died: {' '.join(said.split())[:300]}")


def _outcome(said: dict[str, JSON]) -> Outcome:
    match said:
        case {"outcome": found}:
            datasets = tuple(Dataset(**dataset) for dataset in found.pop("datasets"))
            return Outcome(**{**found, "artifacts": tuple(found["artifacts"]), "datasets": datasets})
        case {"error": {"kind": kind, "message": message, "next": following}}:
            raised: LabError = getattr(errors, kind)(message, next=following)
            raise raised
        case {"stopped": True}:
            raise Stopped
        case _:
            raise JobError("the workers ended without a word.")
