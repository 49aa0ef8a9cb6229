"""Adapters that join a server that runs, and leave it; the others go on answering."""

from dataclasses import replace

from mlaas_lab.errors import DataError, JobError, LabError, UsageError
from mlaas_lab.models import locate
from mlaas_lab.schema import EndpointState
from mlaas_lab.serving import Place, Weights
from mlaas_lab.serving._adapter import rank
from mlaas_lab.serving._health import NotListening, Refused, one_token
from mlaas_lab.serving._parity import Gate
from mlaas_lab.serving._plan import check_joins
from mlaas_lab.serving._service import Service
from mlaas_lab.store.wishes import Change
from mlaas_lab.tasks.serve import LARGEST_RANK, endpoint_name

SMALLER = "Train it with a smaller one: finetune --rank N."
ANSWERS_S = 300.0
"""How long a new adapter may take to its first token."""


class Adapters:
    """The changes of one service."""

    def __init__(self, service: Service) -> None:
        """Of the service as it runs."""
        self._service = service
        self._names = set(service.served.values())
        """What requests could ever name: a server may remember what it computed for a name, so none has two lives."""

    def do(self, change: Change) -> None:
        """Add or remove, as `change` says.

        Raises:
            LabError: if that is not possible; everything else is as before.
        """
        if change.add:
            self.add(change.add, change.name or endpoint_name(change.add))
        else:
            self.remove(change.remove)

    def add(self, word: str, name: str) -> None:
        """Serve the adapter that `word` names as endpoint `name`."""
        service, place = self._service, self._service.place
        if name in service.models:
            raise UsageError(f"endpoint {name!r} is there already.", next="Give the adapter another one: --name.")
        model = locate(word, service.context.settings)
        check_joins(model, service.models)
        weights = service.on_disk(name, model)
        self._check_room(weights, place)
        load = service.engine.add
        if load is None:
            raise UsageError(f"engine {service.engine_name} cannot add adapters while it runs.", next=_anew(word))
        known = self._fresh(name)
        service.models[name], service.weights[name] = model, weights
        try:
            service.check_room(name)
            gate = service.gate([name], place.folder)
            try:
                asked = load(replace(weights, name=known), place)
                self._check(word, name, asked, gate)
            finally:
                if gate is not None:
                    gate.close()
        except LabError:
            self._forget(name)
            raise
        self._names.add(known)
        service.served[name] = asked
        service.note_models()
        service.announce(place.base_url, [name], ready=True)
        service.tell(EndpointState.READY)

    def remove(self, name: str) -> None:
        """Serve the adapter behind endpoint `name` no longer."""
        service = self._service
        if name not in service.models:
            raise UsageError(f"there is no endpoint {name!r} here; there are: {', '.join(service.models)}.")
        if service.models[name].base is None:
            raise UsageError(f"{name!r} is no adapter.", next=f"Stop the whole server: cancel {service.context.job_id}")
        if len(service.models) == 1:
            raise UsageError(f"{name!r} is all that is served.", next=f"Stop it: cancel {service.context.job_id}")
        unload = service.engine.remove
        if unload is None:
            raise UsageError(f"engine {service.engine_name} cannot remove adapters while it runs.")
        # First nobody finds it any more, then it goes.
        service.context.health(EndpointState.STOPPED, [name])
        unload(service.served.pop(name), service.place)
        self._forget(name)
        service.note_models()

    def _check_room(self, weights: Weights, place: Place) -> None:
        launch, there = place.launch, [one for one in self._service.weights.values() if one.adapter]
        if launch.places is not None and len(there) >= launch.places:
            places = f"only {launch.places} places" if launch.places else "no place"
            raise UsageError(
                f"the server has {places} for adapters.",
                next=f"Remove one, or start it anew with --max-adapters {len(there) + 4}.",
            )
        if weights.adapter and launch.max_rank is not None and (mine := rank(weights.adapter)) > launch.max_rank:
            raise DataError(
                f"adapter {weights.source!r} has rank {mine}, and the server takes at most {launch.max_rank}.",
                next=f"Start it anew with --max-rank {mine}." if mine <= LARGEST_RANK else SMALLER,
            )

    def _fresh(self, name: str) -> str:
        """`name`, or what no server has served before."""
        n, fresh = 1, name
        while fresh in self._names:
            n += 1
            fresh = f"{name}.{n}"
        return fresh

    def _check(self, word: str, name: str, asked: str, gate: Gate | None) -> None:
        """Return when the adapter answers, as it was trained to; otherwise it is gone again."""
        service, place = self._service, self._service.place
        try:
            one_token(place.base_url, asked, timeout_s=ANSWERS_S, key=place.launch.key)
            if gate is not None:
                gate.local()
                service.keep_parity(gate.compare({name: asked}, place))
        except (NotListening, Refused) as error:
            self._take_back(asked)
            raise JobError(f"adapter {word!r} does not answer: {error}.") from None
        except LabError:
            self._take_back(asked)
            raise

    def _forget(self, name: str) -> None:
        del self._service.models[name], self._service.weights[name]
        self._service.parity.pop(name, None)

    def _take_back(self, asked: str) -> None:
        if self._service.engine.remove is not None:
            self._service.engine.remove(asked, self._service.place)


def _anew(word: str) -> str:
    return f"Start it anew with {word} beside the others."
