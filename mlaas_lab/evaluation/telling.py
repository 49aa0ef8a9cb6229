"""What a user is told of an evaluation that may stop: before it begins what that may cost, and then what became of it.

It knows the rule and numbers of samples.
"""

from collections.abc import Iterator, Sequence

from mlaas_lab.evaluation.stopping import Rule


def told(rule: Rule, places: Sequence[int]) -> Iterator[str]:
    """What a user should know before an evaluation begins that looks after so many samples each."""
    if rule.any_time:
        step = places[1] - places[0] if len(places) > 2 else rule.planned
        each = "sample" if step == 1 else f"{step:,} samples"
        yield (
            f"looks after every {each} whether {rule.metric} is decided, {len(places):,} times at most. The price: to"
            f" find what five looks at {rule.planned:,} samples find, it may take {rule.more_samples:,} samples more"
        )


def said(rule: Rule, asked: int, *, early: bool) -> Iterator[str]:
    """What a user should know of an evaluation that could stop."""
    if early and asked < rule.planned:
        price = f"; it might have taken {rule.more_samples:,} more than five looks do" if rule.any_time else ""
        yield (
            f"decided after {asked:,} of {rule.planned:,} samples{price};"
            " the estimate of a stopped test is too large on average"
        )
    elif asked == rule.planned:
        price = f"; about {rule.more_samples:,} more would find what five looks find" if rule.any_time else ""
        yield f"all {rule.planned:,} samples were asked: {rule.metric} was not decided before{price}"
