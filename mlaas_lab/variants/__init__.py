"""Variants: a target that is told more than the question, by its own words.

    support?prompt=brief.txt        a system prompt, or a template around the question
    support?shots=3@train.jsonl     examples before the question
    support?retrieve=handbook/      passages beside the question, by the words they share or `by=meaning`

They compose with any target and with each other. Nothing here knows how a target is reached, or what an evaluation is.
"""

from mlaas_lab.variants.variant import Shown, Variant, of
from mlaas_lab.variants.words import WORDS, bare, named

__all__ = ["WORDS", "Shown", "Variant", "bare", "named", "of"]
