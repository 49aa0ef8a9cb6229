"""What every wire's stream must stand: the same answer however its bytes are split, inside a character too."""

from collections.abc import Callable
from typing import Any

from mlaas_lab.wires import Wire


def reading(wire: Wire) -> Callable[..., tuple[Any, ...]]:
    """Reads chunks: the text, the finish reason, the usage, the model."""

    def read(*chunks: bytes, stream: bool = True) -> tuple[Any, ...]:
        reader = wire.reader(stream)
        got = "".join(delta.text for chunk in chunks for delta in reader.feed(chunk))
        ending = reader.close()
        return got + ending.text, ending.finish_reason, ending.usage, ending.model

    return read


def same_at_every_split(read: Callable[..., Any], stream: bytes, expected: Any) -> None:
    """Whole, byte by byte, and in two at every place."""
    assert read(stream) == expected
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == expected
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == expected


def same_in_three_around_a_character(read: Callable[..., Any], stream: bytes, expected: Any) -> None:
    """In three at every two places around a character of four bytes."""
    at = stream.index("🙂".encode())
    for i in range(at - 3, at + 5):
        for j in range(i, at + 6):
            assert read(stream[:i], stream[i:j], stream[j:]) == expected
