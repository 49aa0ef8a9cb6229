"""An Azure ML online endpoint: its gateway asks for the key, a container with vLLM behind it answers.

What the container refuses, the gateway hands on as 424 and says the container's own status in a header.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlaas_lab.emulators import Asked, Emulator, Frame, Kind, Mind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import Chat, json_reply

DEPLOYMENTS = ("blue", "green")
STATUSES: Mapping[Kind, int] = {"invalid": 400, "not_found": 404, "filtered": 400}
"""What the container refuses with; the rest is the gateway's."""


def refused(refusal: Refusal) -> Reply:
    """A refusal: the gateway's own in plain words, the container's as JSON with a number for a code."""
    if refusal.kind not in STATUSES:
        status = {"auth": 401, "rate_limited": 429, "overloaded": 503}[refusal.kind]
        return Reply(status=status, headers={"Content-Type": "text/plain"}, frames=[Frame(data=f"{refusal}".encode())])
    own = STATUSES[refusal.kind]
    # vLLM withholds nothing; a guard in front of it speaks as OpenAI does.
    code = "content_filter" if refusal.kind == "filtered" else own
    error = {"message": refusal.message, "type": refusal.kind, "param": None, "code": code}
    headers = {"ms-azureml-model-error-statuscode": str(own), "ms-azureml-model-error-reason": "model_error"}
    return json_reply({"error": error}, status=424, headers=headers)


@dataclass(kw_only=True)
class Endpoint(Chat):
    """One endpoint with two deployments."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The container's answer, and which deployment gave it."""
        deployment = asked.headers.get("azureml-model-deployment", DEPLOYMENTS[0])
        if deployment not in DEPLOYMENTS:
            raise Refusal("not_found", f"Deployment {json.dumps(deployment)} of this endpoint does not exist.")
        reply = super().answer(asked, mind)
        gateway = {"azureml-model-deployment": deployment, "x-ms-request-id": f"{int(asked.at * 1e6):x}"}
        return replace(reply, headers={**reply.headers, **gateway})


emulator = Emulator(
    title="Azure Machine Learning",
    vendor=lambda: Endpoint(key="AZUREML_ENDPOINT_KEY", refused=refused),
    model="my-endpoint",
    target="region=westeurope",
)
