"""Replicate: `replicate/owner/name`, one version of it as `owner/name:version`, or `replicate/deployments/owner/name`.

An answer in one piece is waited for; what takes longer than a minute is looked at until it is there.
"""

from urllib.parse import quote

from mlaas_lab.errors import NotFound, Overloaded
from mlaas_lab.providers import Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import replicate

DEPLOYMENTS = "deployments/"


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - the body asks for a stream
    model = target.model
    if replicate.version_of(model):
        path = "predictions"
    elif model.startswith(DEPLOYMENTS):
        path = f"{quote(model)}/predictions"
    else:
        path = f"models/{quote(model)}/predictions"
    return at(target, "https://api.replicate.com", f"/v1/{path}")


provider = Provider(
    title="Replicate",
    wire=replicate.wire,
    url=_url,
    sign=bearer("REPLICATE_API_TOKEN"),
    whole_headers={"Prefer": "wait"},
    codes={"Invalid version or not permitted": NotFound, "canceled": Overloaded, "aborted": Overloaded},
    hosts=(".replicate.com",),
    checked="SDK: replicate 1.0.7; documentation: replicate.com/docs/reference",
)
