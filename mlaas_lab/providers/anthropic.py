"""Anthropic's messages: version 2026-10-21, which has no temperature; the older one, which has, as `api=2023`.

Sampling differs between the two, so a comparison at temperature 0 asks the older one.
"""

from collections.abc import Mapping

from mlaas_lab.errors import (
    AuthFailed,
    CallError,
    InvalidRequest,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    TimedOut,
)
from mlaas_lab.providers import Api, Provider, at
from mlaas_lab.schema import Target
from mlaas_lab.signing import bearer
from mlaas_lab.wires import anthropic_messages

CODES: Mapping[str, type[CallError]] = {
    "invalid_request_error": InvalidRequest,
    "authentication_error": AuthFailed,
    "permission_error": AuthFailed,
    "billing_error": QuotaExceeded,
    "not_found_error": NotFound,
    "request_too_large": InvalidRequest,
    "rate_limit_error": RateLimited,
    "timeout_error": TimedOut,
    "api_error": Overloaded,
    "overloaded_error": Overloaded,
    "contract_spend_limit_reached": QuotaExceeded,
    "enforced_spend_limit_reached": QuotaExceeded,
    "linked_organization_billing_unavailable": QuotaExceeded,
    "linked_organization_spend_limit_reached": QuotaExceeded,
    "organization_on_hold": QuotaExceeded,
}
"""Types of errors, and the codes in their details that mean something else."""


def _url(target: Target, *, stream: bool) -> str:  # noqa: ARG001 - the body asks for a stream
    return at(target, "https://api.anthropic.com", "/v1/messages")


provider = Provider(
    title="Anthropic",
    semconv="anthropic",
    wire=anthropic_messages.wire,
    url=_url,
    sign=bearer("ANTHROPIC_API_KEY"),
    headers=lambda _target: {"anthropic-version": "2026-10-21"},
    codes=CODES,
    checked="SDK: anthropic",
    apis={
        "2023": Api(
            wire=anthropic_messages.spoken(sampling=True),
            url=_url,
            sign=bearer("ANTHROPIC_API_KEY", header="x-api-key", scheme=""),
            headers=lambda _target: {"anthropic-version": "2023-06-01"},
            codes=CODES,
            checked="SDK: anthropic 0.125",
        )
    },
)
