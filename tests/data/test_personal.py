"""Personal data by its form; numbers that only look like it; hostile texts cost no more than their length."""

import time

import pytest

from mlaas_lab.data.personal import kinds_in


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to anna.lee+shop@mail.example.co.uk today", ["email"]),
        ("(anna@example.com)", ["email"]),
        ("anna@localhost", []),
        ("@anna and a@b", []),
        ("call +49 30 901820", ["phone"]),
        ("call +4930901820.", ["phone"]),
        ("call (212) 555-0187 now", ["phone"]),
        ("call 212-555-0187", ["phone"]),
        ("tel. 030/9018 2000", ["phone"]),
        ("order 4930901820", []),
        ("order 12-34", []),
        ("on 2024-11-22", []),
        ("on 22.11.2024", []),
        ("from 2019-2024", []),
        ("host 192.168.10.12", []),
        ("it costs 1,250.00 or 12.50", []),
        ("card 4111 1111 1111 1111", ["card"]),
        ("card 4111111111111111", ["card"]),
        ("card 4111 1111 1111 1112", []),
        ("number 0000000000000000", []),
        ("account DE89 3704 0044 0532 0130 00", ["iban"]),
        ("account DE89370400440532013000", ["iban"]),
        ("account GB29NWBK60161331926819", ["iban"]),
        ("account DE89370400440532013001", []),
        ("anna@example.com, +49 30 901820", ["email", "phone"]),
        ("nothing here", []),
    ],
)
def test_forms(text: str, kinds: list[str]) -> None:
    assert list(kinds_in(text)) == kinds


@pytest.mark.parametrize("piece", ["a", "a@", "a.", "1", "1 ", "+1-", "(1)", "DE89 ", "@a.", "1.1.", "A1", "é"])
def test_hostile_texts(piece: str) -> None:
    start = time.process_time()
    list(kinds_in(piece * (200_000 // len(piece)) + "@1"))
    assert time.process_time() - start < 5
