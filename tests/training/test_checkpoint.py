"""A checkpoint is the old one or the new one, whatever moment the process dies or the power fails."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mlaas_lab.errors import JobError
from mlaas_lab.training import checkpoint
from mlaas_lab.training.checkpoint import Checkpoint


class Died(BaseException):
    """The process ends here."""


def made(step: int) -> Checkpoint:
    tensors = {"weight": torch.full((50,), float(step)), "moment": torch.full((3, 3), -float(step))}
    return Checkpoint(step=step, tensors=tensors, facts={"step": step})


def whole(found: Checkpoint | None) -> int | None:
    """The step of a checkpoint whose parts all belong together."""
    if found is None:
        return None
    parts = {
        found.step,
        found.facts["step"],
        *found.tensors["weight"].tolist(),
        *(-found.tensors["moment"]).flatten().tolist(),
    }
    assert len(parts) == 1, f"parts of different checkpoints: {parts}"
    return found.step


STEPS = ("_put", "_settle", "_rename", "_drop")


def dies_at(point: int, torn: float, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Have the process die in the `point`-th step of the writer, a file cut at share `torn` of its bytes."""
    count = iter(range(10**6))
    reached = 0

    def hook(name: str) -> None:
        original = getattr(checkpoint, name)

        def step(*arguments: object) -> None:
            nonlocal reached
            reached = next(count) + 1
            if reached != point:
                original(*arguments)
                return
            if name == "_put":
                path, content = arguments
                path.write_bytes(content[: int(len(content) * torn)])  # type: ignore[attr-defined,index]
            if name == "_drop" and torn:
                victims = sorted(Path(str(arguments[0])).iterdir())
                for victim in victims[: max(1, int(len(victims) * torn))]:
                    victim.unlink()
            raise Died

        monkeypatch.setattr(checkpoint, name, step)

    for name in STEPS:
        hook(name)
    return lambda: reached


def sweep(
    tmp_path: Path, write: Callable[[Path, Checkpoint], object], read: Callable[[Path], Checkpoint | None]
) -> list[int]:
    """Die at every point of writing step 4 after 1, 2 and 3; the steps that were found afterwards."""
    found = []
    for torn in (0.0, 0.5, 1.0):
        for point in range(1, 100):
            folder = tmp_path / f"{torn}-{point}"
            for step in (1, 2, 3):
                write(folder, made(step))
            with pytest.MonkeyPatch.context() as patch:
                reached = dies_at(point, torn, patch)
                with contextlib.suppress(Died):
                    write(folder, made(4))
                died = reached() >= point
            found.append(whole(read(folder)))
            assert found[-1] in (3, 4)
            write(folder, made(5))  # and it can go on
            assert whole(read(folder)) == 5
            shutil.rmtree(folder)
            if not died:
                break
    return found


def test_whenever_it_dies_the_old_or_the_new_is_found(tmp_path):
    found = sweep(tmp_path, checkpoint.write, checkpoint.latest)
    assert len(found) > 20
    assert {3, 4} == set(found)


def careless(folder: Path, new: Checkpoint) -> None:
    """A writer without temporary folder: what the test must catch."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"step-{new.step:08d}"
    place.mkdir(exist_ok=True)
    checkpoint._put(place / checkpoint.FACTS, json.dumps(new.facts).encode())
    checkpoint._put(place / checkpoint.TENSORS, checkpoint.save(dict(new.tensors)))


def trusting(folder: Path) -> Checkpoint | None:
    """A reader that takes the highest number and verifies nothing, as transformers does."""
    path = max(folder.glob("step-*"))
    facts = json.loads((path / checkpoint.FACTS).read_bytes())
    tensors = checkpoint.load((path / checkpoint.TENSORS).read_bytes())
    return Checkpoint(step=facts["step"], tensors=tensors, facts=facts)


def test_the_sweep_catches_a_careless_writer(tmp_path):
    with pytest.raises((AssertionError, OSError, ValueError)):
        sweep(tmp_path, careless, trusting)


def test_the_newest_is_found_and_only_two_are_kept(tmp_path):
    folder = tmp_path / "checkpoints"
    assert checkpoint.latest(folder) is None
    for step in (1, 2, 10, 9_999):
        checkpoint.write(folder, made(step))
    assert whole(checkpoint.latest(folder)) == 9_999
    assert len(list(folder.iterdir())) == 2


def test_the_same_step_is_not_written_twice_unless_it_was_harmed(tmp_path):
    path = checkpoint.write(tmp_path, made(1))
    written_at = path.stat().st_mtime_ns
    assert checkpoint.write(tmp_path, made(1)).stat().st_mtime_ns == written_at
    (path / checkpoint.TENSORS).write_bytes(b"")
    checkpoint.write(tmp_path, made(1))
    assert whole(checkpoint.latest(tmp_path)) == 1


def test_cleared_is_cleared(tmp_path):
    for step in (1, 2):
        checkpoint.write(tmp_path / "c", made(step))
    checkpoint.clear(tmp_path / "c")
    assert checkpoint.latest(tmp_path / "c") is None


@pytest.mark.parametrize("part", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone"])
def test_a_harmed_one_is_passed_over(tmp_path, part, harm):
    checkpoint.write(tmp_path, made(1))
    path = checkpoint.write(tmp_path, made(2)) / part
    content = bytearray(path.read_bytes())
    match harm:
        case "flip":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-1])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
    found = checkpoint.latest(tmp_path)
    assert found is not None
    # A flipped bit in the manifest's layout may leave it readable and true.
    assert whole(found) == 1 or (part == "manifest.json" and whole(found) == 2)


def test_a_full_disk_is_one_line_and_the_old_one_stays(tmp_path, monkeypatch):
    checkpoint.write(tmp_path, made(1))

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_put", full)
    with pytest.raises(JobError, match="No space left on device"):
        checkpoint.write(tmp_path, made(2))
    assert whole(checkpoint.latest(tmp_path)) == 1


def test_nothing_is_pickled(tmp_path):
    path = checkpoint.write(tmp_path, made(1))
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}
