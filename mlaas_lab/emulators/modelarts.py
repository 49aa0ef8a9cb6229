"""Huawei ModelArts MaaS, from its user guide: chat completions, and refusals in `error_code` and `error_msg`."""

from collections.abc import Mapping

from mlaas_lab.emulators import Emulator, Kind, Refusal, Reply
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply

REFUSED: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "ModelArts.81101"),
    "overloaded": (503, "ModelArts.81000"),
    "filtered": (403, "ModelArts.81011"),
    "auth": (401, "ModelArts.81003"),
    "not_found": (404, "ModelArts.81009"),
    "invalid": (400, "ModelArts.81001"),
}


def _refused(refusal: Refusal) -> Reply:
    status, code = REFUSED[refusal.kind]
    return json_reply({"error_code": code, "error_msg": refusal.message}, status=status)


emulator = Emulator(
    title="Huawei ModelArts MaaS",
    vendor=lambda: Chat(key="MODELARTS_API_KEY", known=KNOWN | {"top_k", "chat_template_kwargs"}, refused=_refused),
    model="DeepSeek-V3",
)
