"""A key is read when a request leaves, and blanked wherever text is shown."""

import pytest

from mlaas_lab.errors import AuthFailed
from mlaas_lab.signing import Request, bearer, blanked, key

REQUEST = Request(url="https://h/v1", headers={}, body=b"{}")


def test_bearer(monkeypatch):
    sign = bearer("A_KEY")
    monkeypatch.setenv("A_KEY", " secret\n")
    assert sign.headers(REQUEST, key) == {"Authorization": "Bearer secret"}
    monkeypatch.setenv("A_KEY", "rotated")
    assert sign.headers(REQUEST, key) == {"Authorization": "Bearer rotated"}
    assert "rotated" not in repr(sign)


@pytest.mark.parametrize("value", [None, "", "  ", "a\nX-Evil: 1", "schlüssel"])
def test_no_key(monkeypatch, value):
    monkeypatch.delenv("A_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("A_KEY", value)
    with pytest.raises(AuthFailed) as caught:
        key("A_KEY")
    assert "A_KEY" in str(caught.value)
    assert not (value or "").strip() or value not in str(caught.value)


def test_blanked():
    assert blanked("token t-12 for secret", ["secret", "", "k", "t-12"]) == "token *** for ***"
