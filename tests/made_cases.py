"""What the review dashboard stands on, for its tests: two targets in two groups, as the command finds them."""

from made_records import duel, frame_of

from mlaas_lab import records
from mlaas_lab.commands import dashboard
from mlaas_lab.dashboard.app import Site
from mlaas_lab.lab import Lab

GROUPS = ("cards", "loans")


def table(folder, several=None, name="records"):
    """A table of records with groups."""
    import polars as pl

    path = folder / f"{name}.parquet"
    frame = frame_of(path, several or duel(usd="0.002"), run_id=name)
    groups = pl.Series([GROUPS[i // 2 % len(GROUPS)] for i in range(len(frame))])
    frame.with_columns(group=groups).write_parquet(path)
    assert records.read(path)["group"].n_unique() == len(GROUPS)
    return path


def case(lab: Lab, *paths, **options):
    return dashboard._case(dashboard.DashboardArgs(runs=tuple(map(str, paths)), **options), lab)


def site(lab: Lab, *paths, **options) -> Site:
    return Site(case=case(lab, *paths, **options), again=lambda: case(lab, *paths, **options))
