"""IBM Cloud: an API key is exchanged for a token that lasts an hour (IAM, grant type `apikey`)."""

import json
from urllib.parse import urlencode

from mlaas_lab.schema import Target
from mlaas_lab.signing import Keys, Sign, Token, TokenExchange, TokenRequest

ISSUER = "https://iam.cloud.ibm.com/identity/token"
GRANT = "urn:ibm:params:oauth:grant-type:apikey"
CLIENT = "Basic Yng6Yng="
"""`bx:bx`, which is public: the command line's own name, and IBM's libraries send it too."""


def iam(name: str) -> Sign:
    """A bearer token for the API key in environment variable `name`."""

    def request(_target: Target, keys: Keys, _at: float) -> TokenRequest:
        return TokenRequest(
            url=ISSUER,
            body=urlencode({"apikey": keys(name), "grant_type": GRANT}).encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
                "Authorization": CLIENT,
            },
        )

    return Sign(
        keys=(name,),
        headers=lambda asked, _keys: {"Authorization": f"Bearer {asked.token}"},
        exchange=TokenExchange(request=request, read=_read),
    )


def _read(body: bytes) -> Token:
    data = json.loads(body)
    value, lasts_s = data["access_token"], float(data["expires_in"])
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise ValueError("a token is printable text")
    return Token(value=value, lasts_s=lasts_s)
