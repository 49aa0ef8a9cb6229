"""Labels in answers: which class a text names, whatever signs stand around it. It knows texts and no metric."""

import re

_AROUND = "\"'`*#“”‘’«»„()[]{}<>.,:;!?。 \t"
_BETWEEN = re.compile(r"[\s_-]+")
LONGEST_SHOWN = 80
"""Characters of a label in a reason or a table."""
ARROW = " → "
"""Between the label of the reference and that of the answer."""


def label(text: str) -> str:
    """The label a text gives: its first line that is not empty, in one spelling."""
    lines = text.strip().splitlines()
    line = lines[0].strip() if lines else ""
    # A label of nothing but signs stays as it is.
    return _BETWEEN.sub(" ", line.strip(_AROUND).casefold()).strip() or line


def labels_of(option: str) -> frozenset[str]:
    """The labels that `yes/no` names, in that spelling.

    Raises:
        ValueError: if they are fewer than two.
    """
    known = frozenset(label(name) for name in option.split("/") if name.strip())
    if len(known) < 2:
        raise ValueError(f"labels is {option!r}, expected at least two, as in labels=yes/no")
    return known


def taken(want: str, got: str) -> str:
    """What a record says of an answer with label `got` where `want` was right."""
    return ARROW.join(name.replace(ARROW.strip(), "->")[:LONGEST_SHOWN] for name in (want, got))
