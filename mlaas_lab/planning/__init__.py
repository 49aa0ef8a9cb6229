"""A month of traffic before it comes: what each target would bill, how long answers would take, who is cheaper when.

It stands on records of load tests and evaluations and on dated prices; it asks nobody and draws nothing. What it had to
assume is said beside the figures, and what no record and no list says is None.
"""
