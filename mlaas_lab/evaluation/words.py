"""The words of a text, in any script: letters and figures count, case and punctuation do not.

For English these are the tokens of the reference implementation of ROUGE. Of Chinese and Japanese, which put no
spaces between words, each sign is one.
"""

import re
import unicodedata

SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Han."""
_WORD = re.compile(rf"[{SIGNS}]|[^\W_{SIGNS}]+")


def words(text: str) -> list[str]:
    """All words of `text` in their order, in one spelling (Unicode NFKC, case folded)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
