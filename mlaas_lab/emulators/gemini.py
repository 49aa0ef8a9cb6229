"""Google's Gemini API, with keys of AI Studio."""

import re
from urllib.parse import parse_qs

from mlaas_lab.emulators import Asked, Emulator, Mind, Refusal, Reply, practice_key
from mlaas_lab.emulators._google import Denied, blocked, generated, refused

PATH = re.compile(r"/v1(?:beta)?/((?:models|tunedModels)/[^/:]+):(generateContent|streamGenerateContent)")
KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


class Gemini:
    """One server of the Gemini API."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The response that `asked` is for."""
        found = PATH.fullmatch(asked.path)
        if asked.method != "POST" or found is None:
            raise Refusal("not_found", f"The requested URL {asked.path} was not found on this server.")
        _authenticate(asked)
        return generated(asked, mind, model=found[1].partition("/")[2], stream=found[2].startswith("stream"))

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How the Gemini API refuses."""
        if refusal.kind == "filtered":
            return blocked(asked, stream=":stream" in asked.path, model="gemini-2.5-flash")
        if refusal.kind == "auth" and not isinstance(refusal, Denied):
            refusal = _invalid_key()
        return refused(refusal)


def _authenticate(asked: Asked) -> None:
    key = asked.headers.get("x-goog-api-key") or parse_qs(asked.query).get("key", [""])[0]
    if not key:
        raise Denied(
            "auth",
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
            reason="CREDENTIALS_MISSING",
            status=(403, "PERMISSION_DENIED"),
        )
    if key not in map(practice_key, KEYS):
        raise _invalid_key()


def _invalid_key() -> Denied:
    told = "API key not valid. Please pass a valid API key."
    return Denied("auth", told, reason="API_KEY_INVALID", status=(400, "INVALID_ARGUMENT"))


emulator = Emulator(title="Google Gemini API", vendor=Gemini, base="/v1", model="gemini-2.5-flash")
