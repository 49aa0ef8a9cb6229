"""What the vendors' codes are called: those with a line of their own, and members of a family that has one."""

import pytest

from mlaas_lab import errors, registry
from mlaas_lab.wires import Fault

NAMED = [
    ("dashscope", "native", "DataInspectionFailed", 400, errors.ContentFiltered),
    ("dashscope", "native", "Arrearage", 400, errors.QuotaExceeded),
    ("dashscope", "native", "Throttling.RateQuota", 429, errors.RateLimited),
    ("dashscope", "native", "Throttling.AllocationQuota", 429, errors.RateLimited),
    ("dashscope", "native", "Throttling.NotSeenYet", 200, errors.RateLimited),
    ("dashscope", "native", "AllocationQuota.FreeTierOnly", 403, errors.QuotaExceeded),
    ("dashscope", "native", "InternalError.Algo.Timeout", 200, errors.Overloaded),
    ("dashscope", "", "insufficient_quota", 429, errors.RateLimited),
    ("dashscope", "", "data_inspection_failed", 400, errors.ContentFiltered),
    ("tencent", "native", "AuthFailure.SignatureExpire", 200, errors.AuthFailed),
    ("tencent", "native", "AuthFailure.NotSeenYet", 200, errors.AuthFailed),
    ("tencent", "native", "LimitExceeded", 200, errors.RateLimited),
    ("tencent", "native", "FailedOperation.EngineServerLimitExceeded", 200, errors.RateLimited),
    ("tencent", "native", "FailedOperation.EngineServerError", 200, errors.Overloaded),
    ("tencent", "native", "FailedOperation.ServiceStopArrears", 200, errors.QuotaExceeded),
    ("tencent", "native", "OperationDenied.TextIllegalDetected", 200, errors.ContentFiltered),
    ("tencent", "native", "InvalidParameterValue.Model", 200, errors.NotFound),
    ("tencent", "native", "InvalidParameterValue.Other", 200, errors.InvalidRequest),
    ("tencent", "native-lkeap", "RequestLimitExceeded", 200, errors.RateLimited),
    ("qianfan", "", "rpm_rate_limit_exceeded", 429, errors.RateLimited),
    ("qianfan", "", "system_unsafe", 403, errors.ContentFiltered),
    ("qianfan", "v1", "18", 200, errors.RateLimited),
    ("qianfan", "v1", "336100", 200, errors.Overloaded),
    ("qianfan", "v1", "336501", 200, errors.RateLimited),
    ("qianfan", "v1", "111", 200, errors.AuthFailed),
    ("modelarts", "", "ModelArts.81101", 429, errors.RateLimited),
    ("modelarts", "", "ModelArts.81103", 429, errors.RateLimited),
    ("modelarts", "", "ModelArts.81011", 403, errors.ContentFiltered),
    ("modelarts", "", "ModelArts.81005", 401, errors.QuotaExceeded),
    ("modelarts", "", "ModelArts.81003", 401, errors.AuthFailed),
    ("modelarts", "", "APIG.0203", 504, errors.TimedOut),
    ("pai_eas", "", None, 450, errors.Overloaded),
]


@pytest.mark.parametrize(("name", "api", "code", "status", "kind"), NAMED)
def test_a_code_has_its_name(name, api, code, status, kind):
    provider = registry.load("provider", name)
    way = provider.apis[api] if api else provider
    assert way.error(Fault(message="m", code=code), status) is kind


@pytest.mark.parametrize("code", ["Throttled", "AuthFailureX", ".AuthFailure", "Other.AuthFailure"])
def test_a_family_is_what_stands_before_a_dot(code):
    """The control: what only looks like a member is none, and its status decides."""
    way = registry.load("provider", "tencent").apis["native"]
    assert way.error(Fault(message="m", code=code), 200) is errors.ProviderBug
