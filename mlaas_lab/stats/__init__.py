"""Statistics on arrays of numbers: intervals, paired tests, groups, slices, agreement, when one may stop.

Pure numpy: nothing here knows what a record, a metric or a target is. Whatever draws at random takes a seed, so the
same numbers give the same answer. What cannot be known from the numbers at hand is None.
"""
