"""Google Vertex AI: generateContent, chat completions, and Google's token endpoint beside them.

`GET /_practice/service_account.json` and `…/authorized_user.json` give credentials that this server knows.
"""

import json
import re
from dataclasses import dataclass, field

from mlaas_lab.emulators import Answer, Asked, Emulator, Mind, Question, Refusal, Reply
from mlaas_lab.emulators._google import REQUEST, Denied, Fields, blocked, generated, refused
from mlaas_lab.emulators._google_tokens import PROJECT, Tokens
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply

PLACE = r"/v1(?:beta1)?/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
GENERATE = re.compile(
    PLACE
    + r"/(?P<model>publishers/[^/]+/models/[^/:]+|endpoints/[^/:]+):(?P<verb>generateContent|streamGenerateContent)"
)
CHAT = PLACE + r"/endpoints/(?:openapi|(?P<model>[0-9]+))/chat/completions"
LOCATION = re.compile(r"global|us|eu|[a-z]+-[a-z]+[0-9]{1,2}")
FIELDS: Fields = {**REQUEST, **dict.fromkeys(("labels", "modelArmorConfig", "continuationToken", "outputConfig"))}
PRACTICE = re.compile(r"/_practice/(service_account|authorized_user)\.json")


@dataclass(kw_only=True)
class Vertex:
    """One server of Vertex AI."""

    _tokens: Tokens = field(default_factory=Tokens)

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The response that `asked` is for."""
        if asked.method == "POST" and asked.path == "/token":
            return self._tokens.answer(asked)
        if asked.method == "GET" and (found := PRACTICE.fullmatch(asked.path)):
            return json_reply(self._tokens.files(asked.url)[found[1]])
        place = GENERATE.fullmatch(asked.path) or re.fullmatch(CHAT, asked.path)
        if asked.method != "POST" or place is None:
            raise Refusal("not_found", f"The requested URL {asked.path} was not found on this server.")
        self._authenticate(asked)
        _check_place(asked, project=place["project"], location=place["location"])
        if place.re is not GENERATE:
            return _chat(asked, mind)
        stream, model = place["verb"].startswith("stream"), place["model"].rpartition("/")[2]
        return generated(asked, mind, model=model, stream=stream, fields=FIELDS)

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How Vertex AI refuses."""
        chat = asked.path.endswith("/chat/completions")
        if refusal.kind == "filtered":
            return _chat(asked, _silent) if chat else blocked(asked, stream=":stream" in asked.path, model="gemini")
        if refusal.kind == "auth" and not isinstance(refusal, Denied):
            refusal = _invalid_token()
        return refused(refusal, listed=chat)

    def _authenticate(self, asked: Asked) -> None:
        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._tokens.good(token, asked.at):
            raise _invalid_token()


def _invalid_token() -> Denied:
    told = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential."
    )
    return Denied("auth", told, reason="ACCESS_TOKEN_TYPE_UNSUPPORTED", status=(401, "UNAUTHENTICATED"))


def _check_place(asked: Asked, *, project: str, location: str) -> None:
    """Every host serves its own location alone; a loopback host stands for all of them."""
    if LOCATION.fullmatch(location) is None:
        raise Refusal("invalid", f"Unsupported region for Vertex AI: {location}.")
    host = asked.headers.get("Host", "").partition(":")[0]
    if host.endswith(".googleapis.com") and host != _host(location):
        raise Refusal("invalid", f"The location {location} is not served by {host}.")
    if project != PROJECT:
        where = f"//aiplatform.googleapis.com/projects/{project}/locations/{location}"
        told = f"Permission 'aiplatform.endpoints.predict' denied on resource '{where}' (or it may not exist)."
        raise Denied("auth", told, reason="IAM_PERMISSION_DENIED", status=(403, "PERMISSION_DENIED"))
    payer = asked.headers.get("x-goog-user-project", PROJECT)
    if payer != PROJECT:
        told = f"Caller does not have required permission to use project {payer}."
        raise Denied("auth", told, reason="USER_PROJECT_DENIED", status=(403, "PERMISSION_DENIED"))


def _host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _chat(asked: Asked, mind: Mind) -> Reply:
    """Chat completions: the body names publisher and model where the address names no endpoint."""
    if asked.path.endswith("/endpoints/openapi/chat/completions"):
        try:
            model = str(json.loads(asked.body)["model"])
        except (ValueError, LookupError, TypeError):
            model = ""
        if not re.fullmatch(r"[^/]+/[^/]+", model):
            raise Refusal("invalid", f"Malformed publisher model `{model}`, expected `publisher/model`.")
    return Chat(key=None, path=CHAT, known=KNOWN).answer(asked, mind)


def _silent(question: Question) -> Answer:
    """What is left of an answer to a prompt that the filter did not let through."""
    n = sum(len(text.split()) for _, text in question.turns)
    return Answer(pieces=(), finish="filter", input_tokens=n, output_tokens=0)


emulator = Emulator(
    title="Google Vertex AI",
    vendor=Vertex,
    base="/v1",
    model="gemini-2.5-flash",
    target=f"project={PROJECT}&region=europe-west4",
)
