"""The binary event stream is read as botocore reads it, and nothing that is broken passes."""

import struct
import uuid
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.wires import Faulted
from mlaas_lab.wires._eventstream import Events, Messages
from mlaas_lab.wires._json import MOST_BYTES

NUMBERS = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q"}


def value(kind, given):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], given)
    if kind in (6, 7):
        data = given.encode() if kind == 7 else given
        return struct.pack("!H", len(data)) + data
    return given if kind == 9 else b""


def message(headers, payload=b""):
    """A message as AWS documents it; `headers` are name → (type, value)."""
    head = b"".join(
        bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value(kind, given)
        for name, (kind, given) in headers.items()
    )
    data = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    data += struct.pack("!I", crc32(data)) + head + payload
    return data + struct.pack("!I", crc32(data))


def text(**headers):
    return {":" + name.replace("_", "-"): (7, word) for name, word in headers.items()}


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES = st.one_of(
    st.sampled_from([(0, True), (1, False)]),
    *(st.tuples(st.just(kind), integers(bits)) for kind, bits in ((2, 8), (3, 16), (4, 32), (5, 64), (8, 64))),
    st.tuples(st.just(6), st.binary(max_size=40)),
    st.tuples(st.just(7), st.text(max_size=40)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
MESSAGES = st.lists(
    st.tuples(st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=5), st.binary(max_size=300)),
    max_size=4,
)


@given(MESSAGES, st.lists(st.integers(0, 2000), max_size=6))
def test_messages_are_botocores(messages, cuts):
    data = b"".join(message(headers, payload) for headers, payload in messages)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    theirs, ours, found = EventStreamBuffer(), Messages(), []
    for start, end in pairwise(edges):
        theirs.add_data(data[start:end])
        found.extend(ours.feed(data[start:end]))
    assert found == [(one.headers, one.payload) for one in theirs]
    assert found == [({name: v for name, (_, v) in headers.items()}, payload) for headers, payload in messages]
    assert ours.pending_bytes == 0


HEADERS = {
    **text(event_type="x", message_type="event"),
    "n": (4, -7),
    "id": (9, uuid.UUID(int=7).bytes),
    "t": (0, True),
}
TWO = message(HEADERS, "Grüße".encode()) + message(text(event_type="y"), b"{}")


def test_every_split():
    whole = Messages().feed(TWO)
    assert [payload for _, payload in whole] == ["Grüße".encode(), b"{}"]
    for at in range(len(TWO) + 1):
        reader = Messages()
        assert reader.feed(TWO[:at]) + reader.feed(TWO[at:]) == whole
    reader = Messages()
    assert [one for i in range(len(TWO)) for one in reader.feed(TWO[i : i + 1])] == whole


def test_every_flipped_bit_is_noticed():
    one = message(HEADERS, b"payload")
    for at in range(len(one)):
        for bit in range(8):
            broken = one[:at] + bytes([one[at] ^ 1 << bit]) + one[at + 1 :]
            with pytest.raises(ProviderBug, match="checksum"):
                Messages().feed(broken + bytes(64))


def test_without_the_checksums_a_flipped_bit_would_pass(monkeypatch):
    """The control."""
    monkeypatch.setattr("mlaas_lab.wires._eventstream.crc32", lambda data: 0)
    one = message({}, b"payload")
    forged = one[:8] + bytes(4) + one[12:-4].replace(b"p", b"P") + bytes(4)
    assert Messages().feed(forged) == [({}, b"Payload")]


@pytest.mark.parametrize(
    "head",
    [b"\x05ab", b"\x01a\x63", b"\x01a\x07\x00\x09ab", b"\x01a\x04\x00", b"\x01\xff\x00", b"\x01a\x07\x00\x01\xff"],
)
def test_broken_headers_are_the_vendors_bug(head):
    data = struct.pack("!II", 16 + len(head), len(head))
    data += struct.pack("!I", crc32(data)) + head
    with pytest.raises(ProviderBug, match="headers"):
        Messages().feed(data + struct.pack("!I", crc32(data)))


@pytest.mark.parametrize("sizes", [(MOST_BYTES + 1, 0), (0, 0), (15, 0), (20, 5), (20, 2**32 - 1)])
def test_lengths_that_cannot_be(sizes):
    data = struct.pack("!II", *sizes)
    with pytest.raises(ProviderBug, match="cannot have"):
        Messages().feed(data + struct.pack("!I", crc32(data)))


def test_errors_in_the_stream():
    stream = message(text(message_type="exception", exception_type="throttlingException"), b'{"message":"slow"}')
    with pytest.raises(Faulted) as caught:
        Events().feed(stream)
    assert (caught.value.fault.code, caught.value.fault.message) == ("ThrottlingException", "slow")
    stream = message(text(message_type="error", error_code="InternalFailure", error_message="it broke"))
    with pytest.raises(Faulted) as caught:
        Events().feed(stream)
    assert (caught.value.fault.code, caught.value.fault.message) == ("InternalFailure", "it broke")


@pytest.mark.parametrize("body", [b"<html>no</html>", b"HTTP", b"[1]", b"{}", b'{"half'])
def test_text_is_no_stream(body):
    for at in range(len(body)):
        events = Events()
        assert events.feed(body[:at]) + events.feed(body[at:]) == []
        with pytest.raises(ProviderBug, match="not a stream of events"):
            events.close()


def test_an_error_in_one_piece():
    events = Events()
    events.feed(b'{"mess')
    events.feed(b'age": "no", "code": "X"}')
    with pytest.raises(Faulted, match="no"):
        events.close()


def test_what_ends_within_a_message_is_truncated():
    for at in range(1, len(TWO)):
        events = Events()
        if len(events.feed(TWO[:at])) == 1 and at == len(message(HEADERS, "Grüße".encode())):
            events.close()
            continue
        with pytest.raises(Truncated):
            events.close()
