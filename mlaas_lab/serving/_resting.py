"""A server that lets go of its accelerator while nobody wants it, and stays where it is."""

from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.schema import EndpointState
from mlaas_lab.serving._health import NotListening, Refused, one_token
from mlaas_lab.serving._service import Service

WAKES_S = 60.0
"""For a token of a server that has just been woken."""


def rest(service: Service) -> None:
    """Let go of the accelerator until `wake`.

    Raises:
        UsageError: if the server was not started for that.
        JobError: if it does not.
    """
    sleep = service.engine.sleep if service.spec.sleep_level else None
    if sleep is None:
        raise UsageError("this server does not sleep; it can be stopped.", next=f"cancel {service.context.job_id}")
    if not service.asleep:
        sleep(service.place)
        service.asleep = True
        service.tell(EndpointState.SLEEPING)


def wake(service: Service) -> None:
    """Return when every model gives a token again; the server need not have slept.

    Raises:
        JobError: if it does not wake up.
    """
    if not service.asleep or service.engine.wake is None:
        return
    service.engine.wake(service.place)
    try:
        for model in service.served.values():
            one_token(service.place.base_url, model, timeout_s=WAKES_S, key=service.place.launch.key)
    except (NotListening, Refused) as error:
        raise JobError(f"the server woke up and gives no token: {error}.") from None
    service.asleep = False
    service.tell(EndpointState.READY)
