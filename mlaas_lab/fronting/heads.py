"""The head of a request, read strictly (RFC 9112): what two servers could read differently is refused, never mended.

What goes on to the server is written anew: who asks, by what key and for which host is no business of the next hop.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlaas_lab.fronting.refusals import Refused

MOST_HEAD = 32_768
"""Bytes of a head."""
MOST_FIELDS = 100
MOST_BODY = 64 * 2**20
"""Bytes of a body: some images, or the longest prompt there is."""
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
"""A name, and a value on one line."""
_START = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.([0-9])")
_SIZE = re.compile(rb"[0-9]{1,15}")
ONCE = frozenset(
    b"host content-length transfer-encoding authorization x-api-key origin sec-fetch-site connection expect".split()
)
"""What the front reads itself; sent twice, it would be a question which one counts."""
DROPPED = frozenset(
    b"keep-alive te trailer upgrade http2-settings api-key cookie referer forwarded x-real-ip x-original-url"
    b" x-rewrite-url".split()
)
BEGINNINGS = (b"x-forwarded-", b"sec-", b"proxy-", b"access-control-")
"""What is for this hop alone, or says to the next one who is asking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a request says before its body."""

    method: bytes
    path: bytes
    query: bytes
    """With its question mark."""
    fields: Mapping[bytes, bytes]
    """Those of ONCE, by lower-case name."""
    passed: bytes
    """Lines for the server."""
    length: int
    """Bytes of the body."""
    closes: bool
    """The connection ends with the answer."""


def read(head: bytes) -> Head:
    """The head in `head`, which ends before its empty line.

    Raises:
        Refused: if anything in it is not plain.
    """
    start, *lines = head.split(b"\r\n")
    found = _START.fullmatch(start)
    if found is None:
        raise bad("the first line is no request")
    if found[3] != b"1":
        raise Refused(505, "only HTTP/1.1 is spoken here.", code="http_version")
    fields, passed = _fields(lines)
    path, mark, query = found[2].partition(b"?")
    if b"host" not in fields:
        raise bad("there is no Host")
    tokens = [token.strip().lower() for token in fields.get(b"connection", b"").split(b",")]
    return Head(
        method=found[1],
        path=path,
        query=mark + query,
        fields=fields,
        passed=b"".join(b"%s\r\n" % line for name, line in passed if name not in tokens),
        length=_length(found[1], fields),
        closes=b"close" in tokens,
    )


def bad(what: str) -> Refused:
    """A request that cannot be read in one way only."""
    return Refused(400, f"this is no request that can be passed on: {what}.", code="bad_request")


def _fields(lines: list[bytes]) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    if len(lines) > MOST_FIELDS:
        raise Refused(431, f"more than {MOST_FIELDS} headers.", code="headers_too_large")
    fields: dict[bytes, bytes] = {}
    passed = []
    for line in lines:
        found = FIELD.fullmatch(line)
        if found is None:
            raise bad("a header is not NAME: VALUE on one line")
        name = found[1].lower()
        if name in ONCE:
            if name in fields:
                raise bad(f"{name.decode()} is there twice")
            fields[name] = found[2].rstrip(b" \t")
        elif name not in DROPPED and not name.startswith(BEGINNINGS):
            passed.append((name, line))
    return fields, passed


def _length(method: bytes, fields: Mapping[bytes, bytes]) -> int:
    size = fields.get(b"content-length")
    if b"transfer-encoding" in fields:
        if size is not None:
            raise bad("Content-Length and Transfer-Encoding are both there")
        raise Refused(411, "the body must come with a Content-Length, not in chunks.", code="length_required")
    if size is None:
        if method == b"POST":
            raise Refused(411, "the body must come with a Content-Length.", code="length_required")
        return 0
    if _SIZE.fullmatch(size) is None:
        raise bad("Content-Length is no number")
    if int(size) > MOST_BODY:
        raise Refused(413, f"the body has more than {MOST_BODY // 2**20} MiB.", code="request_too_large")
    if int(size) and method != b"POST":
        raise bad(f"{method.decode()} has a body")
    return int(size)
