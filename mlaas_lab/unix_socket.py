"""Servers on a Unix socket, which a file's rights guard: how the address of one is written and read.

`http+unix://%2Ffolder%2Fsocket/v1`: the socket's path stands where a host would, percent-encoded, so that whatever
joins and parts addresses joins and parts these.
"""

import sys
from urllib.parse import quote, unquote, urlsplit

SCHEME = "http+unix"
HOST = "localhost"
"""What requests call such a server."""
LONGEST = 103 if sys.platform == "darwin" else 107
"""Bytes that the system takes as a socket's path."""


def address(path: str) -> str:
    """The address of what listens at `path`; paths of requests come behind it."""
    return f"{SCHEME}://{quote(path, safe='')}"


def socket_of(url: str) -> str | None:
    """The socket's path; None where `url` leads to a port."""
    parts = urlsplit(url)
    return unquote(parts.netloc) if parts.scheme == SCHEME else None


def over_http(url: str) -> str:
    """What is asked of the server, once one is connected to it; an address of a port stays as it is."""
    return url if socket_of(url) is None else urlsplit(url)._replace(scheme="http", netloc=HOST).geturl()


def shown(url: str) -> str:
    """The address as people read it."""
    path = socket_of(url)
    return url if path is None else f"unix:{path}"
