"""Personal data by its form: e-mail addresses, phone numbers, payment cards, bank accounts.

A count with lines, to look at; what it does not find may still be there. Cards and accounts are believed only with a
valid check digit. Every pattern is bounded, so that a hostile text costs no more than its length.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Form:
    """How one kind of personal data is written."""

    pattern: re.Pattern[str]
    valid: Callable[[str], bool]
    """Decides over what the pattern found."""


def kinds_in(text: str) -> Iterator[str]:
    """The kinds of personal data in `text`, each once."""
    # Most texts hold neither sign, and are done with here.
    if "@" not in text and not DIGIT.search(text):
        return
    for kind, form in FORMS.items():
        if any(form.valid(match[0]) for match in form.pattern.finditer(text)):
            yield kind


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign in "0123456789")


def _is_card(text: str) -> bool:
    """Luhn's check over 13 to 19 digits (ISO/IEC 7812-1, annex B)."""
    digits = _digits(text)
    doubled = [int(sign) * (2 if index % 2 else 1) for index, sign in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """Remainder 1 modulo 97 (ISO 13616)."""
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _is_phone(text: str) -> bool:
    """8 to 15 digits (ITU-T E.164), and no date, address of a host or card."""
    return 8 <= len(_digits(text)) <= 15 and not NO_PHONE.fullmatch(text) and not _is_card(text)


DIGIT = re.compile(r"[0-9]")
NO_PHONE = re.compile(
    r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{1,3}(\.\d{1,3}){3}|\d{4}-\d{4}"
)
FORMS = {
    "email": Form(
        pattern=re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
        valid=lambda _: True,
    ),
    "phone": Form(
        # A plain run of digits is an order number as often as a phone: it takes a +, brackets or separators.
        pattern=re.compile(
            r"(?<![\w.,-])"
            r"(?:\+\d{7,15}|\+?(?:\(\d{1,5}\)|\d{1,5})(?:[ ./-]{1,2}(?:\(\d{1,4}\)|\d{2,7})){1,6})"
            r"(?![\w-])",
            re.ASCII,
        ),
        valid=_is_phone,
    ),
    "card": Form(pattern=re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])", re.ASCII), valid=_is_card),
    "iban": Form(pattern=re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), valid=_is_iban),
}
