"""Load on targets: when requests are sent, what they ask, and what the answers' times say.

A request has the time at which it was wanted, decided before the first was sent. Its latency counts from then, so a
request that had to wait for a target that stood still, or for ourselves, has waited (no coordinated omission).
"""
