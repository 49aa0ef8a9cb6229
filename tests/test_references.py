"""Two Specs are the same when what they name has the same content."""

import pytest

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.references import spec_hash

Eval = registry.load("task", "eval").spec
ROW = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}\n'


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(ROW)
    return path


@pytest.fixture
def digest(lab):
    return lambda spec: spec_hash("eval", spec, lab.settings, lab.store)


def test_content_counts_not_the_place_nor_the_name(rows, tmp_path, digest):
    copy = tmp_path / "copy.jsonl"
    copy.write_text(ROW)
    first = digest(Eval(data=rows, targets=("echo/a",)))
    assert first == digest(Eval(data=copy, targets=("echo/a",), name="other"))
    assert first != digest(Eval(data=rows, targets=("echo/b",)))
    copy.write_text(ROW + ROW)
    assert first != digest(Eval(data=copy, targets=("echo/a",)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metrics": ("exact_mach",)}, r"unknown metric 'exact_mach'\. Did you mean 'exact_match'\?"),
        ({"targets": ("ecko/a",)}, r"unknown provider 'ecko'\. Did you mean 'echo'\?"),
        ({"targets": ("clinc",)}, r"no endpoint 'clinc': none is running\. Start it: serve clinc"),
        ({"targets": ("/a",)}, "has no model"),
    ],
)
def test_what_is_not_there_is_said_before_a_job_exists(rows, lab, options, said):
    spec = Eval(**{"data": rows, "targets": ("echo/a",), **options})
    with pytest.raises(UsageError, match=said):
        lab.submit("eval", spec)
    assert lab.store.jobs() == []
    assert not lab.settings.jobs_dir.exists()


def test_missing_file(tmp_path, lab):
    with pytest.raises(DataError, match="does not exist"):
        lab.submit("eval", Eval(data=tmp_path / "none.jsonl", targets=("echo/a",)))
    assert lab.store.jobs() == []
