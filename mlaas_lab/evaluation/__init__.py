"""Asking targets, scoring what they say, and telling whether one is better.

`run` asks, `metrics` score, `summary` draws conclusions from records alone. How a target is reached is inference's
business; how a comparison is computed is that of stats.
"""
