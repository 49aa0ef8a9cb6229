"""Google's Gemini API, with a key of Google AI Studio; the same models with a cloud project's are `vertex`."""

from urllib.parse import quote

from mlaas_lab.errors import AuthFailed, QuotaExceeded, TimedOut
from mlaas_lab.providers import Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import gemini

HEADER = "x-goog-api-key"


def _url(target: Target, *, stream: bool) -> str:
    model = target.model if target.model.startswith(("models/", "tunedModels/")) else f"models/{target.model}"
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return at(target, "https://generativelanguage.googleapis.com/v1", f"/{quote(model)}:{verb}")


provider = Provider(
    title="Google Gemini API",
    semconv="gcp.gemini",
    wire=gemini.wire,
    url=_url,
    # The name that says more wins; Google's own library takes GOOGLE_API_KEY first.
    sign=(bearer("GEMINI_API_KEY", header=HEADER, scheme=""), bearer("GOOGLE_API_KEY", header=HEADER, scheme="")),
    codes={"API_KEY_INVALID": AuthFailed, "BILLING_DISABLED": QuotaExceeded, "DEADLINE_EXCEEDED": TimedOut},
    checked="SDK: google-genai",
)
