"""Who may have the threads and accelerators of one machine: pure arithmetic over what is held and who waits.

First come, first served within a priority, for each kind of resource: nobody overtakes one that waits for the same
kind. An accelerator's memory is shared by forecast; a job whose need is unknown gets a device to itself, since unknown
is not zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

THREADS = "threads"
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a job must have before it runs."""

    threads: int = 0
    """CPU threads that it keeps busy."""
    gpus: int = 0
    """Accelerators, each a different one."""
    gpu_bytes: int | None = None
    """Memory forecast for each of them; None when nobody knows, which takes all of it."""
    priority: int = 0
    """Higher goes first."""

    @property
    def nothing(self) -> bool:
        """It can start at once."""
        return self.threads == 0 and self.gpus == 0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is."""

    threads: int
    gpus: tuple[int, ...] = ()
    """Memory of each accelerator, in bytes."""

    def total(self, resource: str) -> int:
        """All of `resource`: `threads`, or `gpu:0` and so on."""
        return self.threads if resource == THREADS else self.gpus[int(resource.partition(":")[2])]


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A part of a resource that a job holds."""

    job_id: str
    resource: str
    """`threads`, or `gpu:0` and so on."""
    amount: int
    """Threads, or bytes."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job that came before, or goes first, and has not got what it needs either."""

    job_id: str
    needs: Needs


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Why a job must wait."""

    resource: str
    """`threads`, `gpu`, or `gpu:0` and so on."""
    wanted: int | None
    total: int
    by: tuple[Lease, ...] = ()
    """Who holds it."""
    behind: tuple[str, ...] = ()
    """Ids of the jobs whose turn is before."""


def arbitrate(
    job_id: str, needs: Needs, machine: Machine, held: Sequence[Lease], ahead: Sequence[Waiting]
) -> list[Lease] | Blocked:
    """The leases that give `job_id` what it needs, all or none; or who is in the way.

    Args:
        job_id: whose turn is asked for.
        needs: what it must have.
        machine: what there is.
        held: what others hold.
        ahead: who waits before it.
    """
    granted: list[Lease] = []
    if needs.threads:
        before = tuple(one.job_id for one in ahead if one.needs.threads)
        mine = Lease(job_id=job_id, resource=THREADS, amount=needs.threads)
        if before or _free(THREADS, machine, held) < needs.threads:
            return _blocked(mine, machine, held, before)
        granted.append(mine)
    if needs.gpus:
        before = tuple(one.job_id for one in ahead if one.needs.gpus)
        devices = _devices(job_id, needs, machine, held)
        if before or len(devices) < needs.gpus:
            return _no_device(needs, machine, held, before)
        granted += devices[: needs.gpus]
    return granted


def impossible(needs: Needs, machine: Machine) -> str | None:
    """Why this machine can never give what is needed; None if it can."""
    if needs.threads > machine.threads:
        return f"it needs {needs.threads} CPU threads, and this machine has {machine.threads}"
    if needs.gpus > len(machine.gpus):
        return f"it needs {needs.gpus} accelerators, and this machine has {len(machine.gpus) or 'none'}"
    fitting = [size for size in machine.gpus if size >= (needs.gpu_bytes or 0)]
    if len(fitting) < needs.gpus:
        largest = max(machine.gpus) / GIB
        return f"it needs about {(needs.gpu_bytes or 0) / GIB:.1f} GiB of an accelerator; the largest has {largest:.1f}"
    return None


def _free(resource: str, machine: Machine, held: Sequence[Lease]) -> int:
    return machine.total(resource) - sum(lease.amount for lease in held if lease.resource == resource)


def _devices(job_id: str, needs: Needs, machine: Machine, held: Sequence[Lease]) -> list[Lease]:
    """Devices that fit, the fullest first, so that large jobs find empty ones."""
    fitting = []
    for index, size in enumerate(machine.gpus):
        name = f"gpu:{index}"
        wanted = size if needs.gpu_bytes is None else needs.gpu_bytes
        free = _free(name, machine, held)
        if free >= wanted:
            fitting.append((free, Lease(job_id=job_id, resource=name, amount=wanted)))
    return [lease for _, lease in sorted(fitting, key=lambda pair: (pair[0], pair[1].resource))]


def _blocked(mine: Lease, machine: Machine, held: Sequence[Lease], before: tuple[str, ...]) -> Blocked:
    total = machine.total(mine.resource)
    by = tuple(lease for lease in held if lease.resource == mine.resource)
    return Blocked(resource=mine.resource, wanted=mine.amount, total=total, by=by, behind=before)


def _no_device(needs: Needs, machine: Machine, held: Sequence[Lease], before: tuple[str, ...]) -> Blocked:
    """Blocked by whoever holds the most of the device that is nearest to being free."""
    names = [f"gpu:{index}" for index in range(len(machine.gpus))]
    nearest = max(names, key=lambda name: _free(name, machine, held))
    by = sorted((lease for lease in held if lease.resource == nearest), key=lambda lease: -lease.amount)
    total = machine.total(nearest)
    return Blocked(resource=nearest, wanted=needs.gpu_bytes, total=total, by=tuple(by), behind=before)
