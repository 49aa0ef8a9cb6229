"""Alibaba PAI-EAS: vLLM behind the gateway of a region, which wants the service's token without a scheme.

From the vendor's pages on invoking a service through the shared gateway and on its status codes: the gateway refuses
in plain text, the server behind it in its own words.
"""

from collections.abc import Mapping

from mlaas_lab.emulators import Emulator, Frame, Kind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import Chat, json_reply

GATEWAY: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "Too Many Requests"),
    "overloaded": (450, "Request Rejected: queue is full"),
    "auth": (401, "Unauthorized: invalid authorization header"),
    "not_found": (404, "Not Found: no such service"),
}


def _refused(refusal: Refusal) -> Reply:
    if refusal.kind in GATEWAY:
        status, said = GATEWAY[refusal.kind]
        return Reply(status=status, headers={"Content-Type": "text/plain"}, frames=[Frame(data=f"{said}\n".encode())])
    code = "content_filter" if refusal.kind == "filtered" else 400
    error = {"object": "error", "message": refusal.message, "type": "BadRequestError", "param": None, "code": code}
    return json_reply(error, status=400)


emulator = Emulator(
    title="Alibaba PAI-EAS",
    vendor=lambda: Chat(
        key="PAI_EAS_TOKEN",
        scheme="",
        path=r"/api/predict/[A-Za-z0-9_]+/v1/chat/completions",
        refused=_refused,
    ),
    model="support",
    target="uid=1234567890123456&region=cn-shanghai&service=support_lora",
)
