"""One flat script of several files: a host of widgets loads it from anywhere, and it imports nothing."""

from pathlib import Path

from mlaas_lab.view import widths

FOLDER = Path(__file__).parent
SHARED = "drawing"
"""What every live view draws with."""


def script(*names: str) -> str:
    """The script of a live view, the last name, with what it draws with and what else it needs before it."""
    return "".join(_text(f"{name}.js") for name in (SHARED, *names))


def style(name: str) -> str:
    """The style of a live view, after the one they share."""
    return _text(f"{SHARED}.css") + widths.style(".mlaas-live", "l") + _text(f"{name}.css")


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
