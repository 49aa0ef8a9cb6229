"""The part of the store that is about servers: where each is, how it is doing, and which names are taken."""

from collections.abc import Sequence

from mlaas_lab.schema import Endpoint, EndpointState, Work
from mlaas_lab.store import claims, endpoints, rows
from mlaas_lab.store.connection import Database


class Served:
    """Servers of jobs."""

    _db: Database

    def announce(self, endpoint: Endpoint, *, attempt: int) -> None:
        """Write where a server is, and whether it answers."""
        with self._db.write() as db:
            rows.fenced(db, endpoint.job_id, attempt)
            endpoints.write(db, endpoint)

    def tell(self, job_id: str, names: Sequence[str], state: EndpointState, *, attempt: int) -> None:
        """Write how those endpoints of a job are doing."""
        with self._db.write() as db:
            rows.fenced(db, job_id, attempt)
            endpoints.tell(db, job_id, names, state)
            if state is EndpointState.STOPPED:
                claims.change(db, job_id, less=names)

    def note_work(self, job_id: str, work: Work, *, attempt: int) -> None:
        """Write what the server of a job was last seen to do."""
        with self._db.write() as db:
            rows.fenced(db, job_id, attempt)
            endpoints.note_work(db, job_id, work)

    def answer(self, job_id: str, *, more: Sequence[str] = (), less: Sequence[str] = ()) -> list[str]:
        """Have a job answer to `more` names, and no longer to `less`: those that are new.

        Raises:
            UsageError: if another job has one of them.
        """
        with self._db.write() as db:
            return claims.change(db, job_id, more=more, less=less)

    def endpoints(self) -> list[Endpoint]:
        """Servers of jobs that are alive, newest first."""
        return [endpoints.read(row) for row in self._db.read(endpoints.ALIVE)]

    def endpoint(self, name: str) -> Endpoint | None:
        """The newest server of that name whose job is alive."""
        return next((endpoint for endpoint in self.endpoints() if endpoint.name == name), None)
