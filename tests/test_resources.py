"""Arbitration is arithmetic: nothing is given twice, nobody is overtaken, and what can never be had is said at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlaas_lab import hardware
from mlaas_lab.errors import UsageError
from mlaas_lab.resources import GIB, Blocked, Lease, Machine, Needs, Waiting, arbitrate, impossible
from mlaas_lab.view.job import blocked

BOX = Machine(threads=4, gpus=(24 * GIB, 24 * GIB))


def lease(job_id: str, resource: str, amount: int) -> Lease:
    return Lease(job_id=job_id, resource=resource, amount=amount)


def test_memory_of_one_device_is_shared_by_forecast():
    held = [lease("a", "gpu:0", 18 * GIB)]
    given = arbitrate("b", Needs(gpus=1, gpu_bytes=5 * GIB), BOX, held, [])
    assert given == [lease("b", "gpu:0", 5 * GIB)], "the fuller device, so that large jobs find an empty one"
    given = arbitrate("b", Needs(gpus=1, gpu_bytes=10 * GIB), BOX, held, [])
    assert given == [lease("b", "gpu:1", 10 * GIB)]


def test_unknown_need_takes_a_device_to_itself():
    held = [lease("a", "gpu:0", 1)]
    assert arbitrate("b", Needs(gpus=1), BOX, held, []) == [lease("b", "gpu:1", 24 * GIB)]
    assert isinstance(arbitrate("c", Needs(gpus=2), BOX, held, []), Blocked)


def test_who_is_in_the_way_is_named():
    held = [lease("job12", "gpu:0", int(18.2 * GIB)), lease("a", "gpu:1", 20 * GIB)]
    stop = arbitrate("b", Needs(gpus=1, gpu_bytes=9 * GIB), BOX, held, [])
    assert isinstance(stop, Blocked)
    words = blocked(stop, {"job12": "support"})
    assert words == "waits for support (job12), which holds 18.2 of 24.0 GiB of gpu:0; it needs 9.0 GiB"
    stop = arbitrate("b", Needs(threads=3), BOX, [lease("a", "threads", 2)], [])
    assert isinstance(stop, Blocked)
    assert blocked(stop, {"a": "tune"}) == "waits for tune (a), which holds 2 of 4 CPU threads; it needs 3 CPU threads"


def test_nobody_is_overtaken_for_the_same_kind():
    first = Waiting(job_id="big", needs=Needs(threads=4))
    stop = arbitrate("small", Needs(threads=1), BOX, [lease("a", "threads", 1)], [first])
    assert isinstance(stop, Blocked)
    assert stop.behind == ("big",)
    given = arbitrate("other", Needs(gpus=1, gpu_bytes=GIB), BOX, [lease("a", "threads", 1)], [first])
    assert isinstance(given, list), "who waits for threads is not in the way of who wants a device"


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(threads=5), "it needs 5 CPU threads, and this machine has 4"),
        (Needs(gpus=3), "it needs 3 accelerators, and this machine has 2"),
        (Needs(gpus=1, gpu_bytes=30 * GIB), "it needs about 30.0 GiB of an accelerator; the largest has 24.0"),
        (Needs(gpus=2, threads=4), None),
    ],
)
def test_what_can_never_be_had(needs, words):
    assert impossible(needs, BOX) == words


wants = st.builds(
    Needs,
    threads=st.integers(0, 4),
    gpus=st.integers(0, 2),
    gpu_bytes=st.one_of(st.none(), st.integers(0, 24 * GIB)),
    priority=st.integers(0, 2),
)


@given(st.lists(wants, max_size=12), st.randoms())
def test_nothing_is_given_twice_and_everybody_gets_his_turn(all_needs, order):
    held: list[Lease] = []
    queue = [Waiting(job_id=str(n), needs=needs) for n, needs in enumerate(all_needs)]
    served = 0
    while queue:
        queue.sort(key=lambda one: -one.needs.priority)
        moved = False
        for place, one in enumerate(list(queue)):
            given = arbitrate(one.job_id, one.needs, BOX, held, queue[:place])
            if isinstance(given, list):
                held += given
                queue.remove(one)
                served, moved = served + 1, True
                break
        for name in ("threads", "gpu:0", "gpu:1"):
            assert sum(lease.amount for lease in held if lease.resource == name) <= BOX.total(name)
        if not moved:
            assert held, "with nothing held, whoever is first is served"
            gone = order.choice(held).job_id
            held = [lease for lease in held if lease.job_id != gone]
    assert served == len(all_needs)


@pytest.mark.parametrize(
    ("said", "sizes"),
    [("none", []), ("24GiB", [24.0]), ("2x24GiB", [24.0, 24.0]), (" 1 x 0.5 GiB ", [0.5])],
)
def test_accelerators_can_be_declared(settings, said, sizes):
    found = hardware.accelerators(settings.model_copy(update={"accelerators": said}))
    assert [device.memory_bytes / GIB for device in found] == sizes


def test_declaration_that_cannot_be_read(settings):
    with pytest.raises(UsageError, match="accelerators = 'many' cannot be read"):
        hardware.accelerators(settings.model_copy(update={"accelerators": "many"}))


def test_the_drivers_tool_is_asked(settings, tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771'\necho 'NVIDIA H200, 143771'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    machine = hardware.machine(settings)
    assert machine.gpus == (143771 * 2**20,) * 2
    tool.write_text("#!/bin/sh\necho 'no device'; exit 9\n")
    assert hardware.machine(settings).gpus == ()
