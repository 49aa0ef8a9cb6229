import json
import subprocess
import sys

from mlaas_lab.panels import _training
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.view import to_html, to_text


def log(folder, step, **values):
    with folder.events.open("a") as file:
        file.write(json.dumps({"event": "metrics", "step": step, "values": values}) + "\n")


def curve(view, name):
    return {s.name: dict(zip(s.x, s.y, strict=True)) for s in view.marks[0].series}[name]


def test_before_the_first_step_there_is_nothing(tmp_path):
    folder = JobFolder(tmp_path)
    assert _training.views(folder) == []
    folder.events.write_text("")
    assert _training.views(folder) == []


def test_the_curve_grows_with_the_file(tmp_path):
    folder = JobFolder(tmp_path)
    log(folder, 1, loss=2.0, lr=0.1)
    assert curve(_training.views(folder)[0], "training") == {1: 2.0}
    log(folder, 2, loss=1.0)
    with folder.events.open("a") as file:
        file.write('{"event": "metrics", "step": 3, "val')
    assert curve(_training.views(folder)[0], "training") == {1: 2.0, 2: 1.0}, "half a line is not read yet"


def test_steps_repeated_after_a_restart_count_once(tmp_path):
    folder = JobFolder(tmp_path)
    for step, loss in ((1, 3.0), (2, 2.0), (2, 1.9), (3, 1.5)):
        log(folder, step, loss=loss)
    assert curve(_training.views(folder)[0], "training") == {1: 3.0, 2: 1.9, 3: 1.5}


def test_a_new_file_starts_anew(tmp_path):
    folder = JobFolder(tmp_path)
    log(folder, 1, loss=3.0)
    log(folder, 2, loss=2.0)
    _training.views(folder)
    folder.events.unlink()
    log(folder, 1, loss=9.0)
    assert curve(_training.views(folder)[0], "training") == {1: 9.0}


def test_torn_lines_and_numbers_that_are_none_are_passed_over(tmp_path):
    folder = JobFolder(tmp_path)
    log(folder, 1, loss=float("nan"))
    log(folder, 2, loss=2.0)
    with folder.events.open("a") as file:
        file.write("garbage\n" + json.dumps({"event": "progress", "n": 1, "total": None}) + "\n")
    assert curve(_training.views(folder)[0], "training") == {2: 2.0}


def test_the_results_stand_below_the_curve(tmp_path):
    folder = JobFolder(tmp_path)
    for step in range(1, 101):
        log(folder, step, loss=2 / step, lr=0.1, grad_norm=1.0, tokens_per_s=900.0)
        if step % 20 == 0:
            log(folder, step, validation_loss=3 / step)
    adapter = {"name": "mine", "base": "tiny@3f2a", "path": "/a", "sha256": "ab"}
    folder.outcome.write_text(json.dumps({"result": {"adapter": adapter, "loss": 0.02, "steps": 100}}))
    (view,) = _training.views(folder)
    assert view.summary == "Validation loss went from 0.15 at step 20 to its lowest, 0.03, at step 100."
    text = to_text(view)
    assert "tiny@3f2a" in text
    assert len(view.table.rows) <= _training.ROWS + 1
    assert "<svg" in to_html(view)


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    folder = JobFolder(tmp_path)
    log(folder, 1, loss=2.0)
    _training.views(folder)
    size = folder.events.stat().st_size
    asked = []
    whole = JobFolder.events_from
    monkeypatch.setattr(JobFolder, "events_from", lambda self, offset: asked.append(offset) or whole(self, offset))
    log(folder, 2, loss=1.0)
    assert curve(_training.views(folder)[0], "training") == {1: 2.0, 2: 1.0}
    assert asked == [size]


def test_drawing_a_training_needs_no_heavy_library():
    script = (
        "import sys, mlaas_lab.panels._training\n"
        "print([name for name in ('polars', 'numpy', 'mlflow', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
