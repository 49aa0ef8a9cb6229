"""How long all panels take over a large table of records, what memory they need, and how large their page is.

    python tests/benchmarks/panels.py [--rows 100000 1000000 10000000] [--groups 5] [--keep FOLDER]

A child process makes each table as an evaluation writes it: 4 targets, two metrics, prompts, answers, timelines, costs.
Another scans the file and computes every panel, as a report does; its peak memory is that of the whole process, imports
included. A third computes one panel after another, to show where the time goes. CPU is over all cores, and says the
same on a busy machine. The bootstrap of 5,000 pairs is timed beside it. Exit code 1 if a promise breaks.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlaas_lab import panels, records
from mlaas_lab.stats import paired
from mlaas_lab.view import View, to_html

TARGETS = (
    ("openai/small", "openai", None, 0.61, 0.35, 0.00004),
    ("bedrock/large?region=eu-west-1", "bedrock", "eu-west-1", 0.66, 0.80, 0.00031),
    ("bedrock/large?region=us-east-1", "bedrock", "us-east-1", 0.65, 0.55, 0.00031),
    ("tuned", None, None, 0.64, 0.12, None),
)
"""Name, provider, region, share of right answers, median latency in seconds, dollars for a call."""
PART = 250_000
"""Rows made at once."""
SECONDS = {1_000_000: 1.0, 10_000_000: 6.0}
"""Rows → what all panels together may take."""
MOST_BYTES = 2_000_000_000
PAIRS = 5_000


def make(path: Path, rows: int, groups: int) -> None:
    """A table of `rows` records at `path`, in parts, so that making it needs little memory either."""
    samples = rows // len(TARGETS)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts = []
        for index in range(len(TARGETS)):
            for first in range(0, samples, PART):
                part = Path(folder) / f"{len(parts)}.parquet"
                _part(index, first, min(PART, samples - first), groups).write_parquet(part, compression="zstd")
                parts.append(part)
        pl.scan_parquet(parts).sink_parquet(path, compression="zstd", compression_level=1, statistics=False)


def _part(index: int, first: int, n: int, groups: int) -> pl.DataFrame:
    name, provider, region, share, median_s, usd = TARGETS[index]
    own = np.random.default_rng([index, first])
    same = np.random.default_rng([99, first])
    hard, number, kind = same.random(n), np.arange(first, first + n), same.integers(groups, size=n)
    right = hard + own.normal(0, 0.15, n) < share
    f1 = np.where(right, 1.0, np.round(own.integers(0, 12, n) / own.integers(12, 30, n), 6))
    failed, retried = own.random(n) < 0.005, own.random(n) < 0.01
    at = 1.79e9 + number / 50 + own.random(n)
    took = median_s * np.exp(own.normal(0, 0.5, n))
    words = same.integers(6, 40, n)
    base = pl.DataFrame(
        {"number": number, "kind": kind, "right": right, "f1": f1, "failed": failed, "retried": retried}
    )
    base = base.with_columns(at=pl.Series(at), took=pl.Series(took), words=pl.Series(words))
    shape = records.schema(("exact_match", "token_f1"))
    filled = base.select(_columns(name, index, provider, region, usd))
    return filled.with_columns(
        pl.lit(None, kind).alias(c) for c, kind in shape.items() if c not in filled.columns
    ).select(pl.col(c).cast(kind) for c, kind in shape.items())


def _columns(name: str, index: int, provider: str | None, region: str | None, usd: float | None) -> list[pl.Expr]:
    answered = ~pl.col("failed")
    ended = pl.col("at") + pl.col("took")
    one = '{"started_at":{},"connected_at":{},"first_byte_at":{},"first_token_at":null,"ended_at":{},"status":{},"error":{}}'
    once = _filled(one, "at", "at", ended, ended, "200", "null")
    limited = _filled(one, "at", "at", "at", "at", "429", '"rate_limited"')
    twice = pl.concat_str(limited, pl.lit(","), once)
    never = _filled(one, "at", "at", "null", ended, "null", '"timed_out"')
    said = pl.concat_str(
        pl.lit("The answer to question "),
        pl.col("number"),
        pl.lit(" is in section "),
        pl.col("words"),
        pl.lit(" of the handbook on cards"),
    )
    mine = (
        pl.when("right")
        .then(said)
        .otherwise(pl.concat_str(said, pl.lit(f", says {name}, and on page "), pl.col("words") * 7))
    )
    scored = pl.when(answered)
    status = scored.then(pl.lit("ok")).otherwise(pl.lit("timeout"))
    reason = scored.then(None).otherwise(pl.lit("timed_out"))
    return [
        pl.lit("3f9a01bc").alias("run_id"),
        pl.lit(name).alias("target"),
        pl.lit(index).alias("target_index"),
        pl.lit(provider, pl.String).alias("provider"),
        pl.lit(region, pl.String).alias("region"),
        ((pl.col("number") + 10**9) * 2_654_435_761 % 2**53).cast(pl.String).alias("sample_id"),
        pl.col("number").alias("sample_index"),
        pl.lit(0).alias("repeat"),
        pl.concat_str(pl.lit("kind "), "kind").alias("group"),
        pl.concat_str(
            pl.lit(
                '[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"What is the answer to question '
            ),
            "number",
            pl.lit(', and where in the handbook does it stand?"}]'),
        ).alias("messages"),
        said.alias("reference"),
        scored.then(mine).alias("output"),
        scored.then(pl.lit("stop")).alias("finish_reason"),
        scored.then(pl.lit("m-2026-11")).alias("model"),
        scored.then(pl.concat_str(pl.lit("req_"), pl.col("number") * 7919 + index)).alias("request_id"),
        pl.when("failed").then(pl.lit("timed_out")).alias("error"),
        pl.when("failed").then(pl.lit("no answer within 60 s")).alias("error_message"),
        pl.col("at").alias("started_at"),
        ended.alias("ended_at"),
        scored.then("took").alias("latency_s"),
        pl.col("took").alias("wall_s"),
        (1 + pl.col("retried").cast(pl.Int32)).alias("attempts"),
        pl.concat_str(
            pl.lit("["), pl.when("failed").then(never).when("retried").then(twice).otherwise(once), pl.lit("]")
        ).alias("timeline"),
        pl.concat_str(
            pl.lit("["), pl.when("failed").then(never).when("retried").then(limited).otherwise(pl.lit("")), pl.lit("]")
        ).alias("failures"),
        (pl.lit(40) + pl.col("words")).alias("input_tokens"),
        scored.then(pl.col("words")).alias("output_tokens"),
        scored.then(pl.lit(usd, pl.Float64) * (1 + pl.col("words") // 10) / 2).round(6).alias("cost_usd"),
        pl.lit("genai-prices" if usd else None, pl.String).alias("price_source"),
        pl.lit("2026-11-01" if usd else None, pl.String).alias("price_date"),
        scored.then(pl.col("right").cast(pl.Float64)).alias("exact_match"),
        status.alias("exact_match_status"),
        reason.alias("exact_match_reason"),
        scored.then(pl.col("f1")).alias("token_f1"),
        status.alias("token_f1_status"),
        reason.alias("token_f1_reason"),
    ]


def _filled(shape: str, *values: str | pl.Expr) -> pl.Expr:
    """`shape` with its empty braces filled: a column's name, an expression, or text as it stands."""
    pieces = shape.split("{}")
    parts: list[pl.Expr] = [pl.lit(pieces[0])]
    for value, piece in zip(values, pieces[1:], strict=True):
        known = value if isinstance(value, pl.Expr) else pl.col(value) if value == "at" else pl.lit(value)
        parts += [known.cast(pl.String), pl.lit(piece)]
    return pl.concat_str(parts)


def measure(path: Path) -> None:
    """All panels of the table at `path` as a report draws them: seconds, and what the process needed. Prints JSON."""
    panels.panels()
    start_bytes = _peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    views = panels.draw(pl.scan_parquet(path))
    took = time.perf_counter() - wall, time.process_time() - cpu
    peak = _peak_bytes()
    began = time.perf_counter()
    html = to_html(View(title="All", children=views)).encode()
    drawn_s = time.perf_counter() - began
    print(json.dumps({"all": took, "bytes": len(html), "drawn_s": drawn_s, "peak": peak, "start": start_bytes}))


def measure_each(path: Path) -> None:
    """The panels of the table at `path` one after another: seconds of each. Prints JSON."""
    from mlaas_lab.evaluation.sharing import sharing
    from mlaas_lab.evaluation.summary import summarized

    frame = pl.scan_parquet(path)
    columns = set(frame.collect_schema().names())
    took: dict[str, tuple[float, float]] = {}

    def timed(name: str, build: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        build()
        took[name] = time.perf_counter() - wall, time.process_time() - cpu

    with sharing():
        timed("scores and verdicts", lambda: summarized(frame))
        for name, panel in panels.panels().items():
            if panel.needs <= columns:
                timed(name, lambda panel=panel: panel.build(frame))
    print(json.dumps(took))


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def paired_tests() -> list[tuple[str, float]]:
    """Seconds of one interval and one test, for numbers that are all different."""
    out = []
    drawn, limits = ("10,000-fold paired bootstrap", "10,000 sign flips"), ("its limit", "their limit")
    for n, even, names in ((PAIRS, math.inf, drawn), (PAIRS, paired.EVEN, limits), (250_000, paired.EVEN, limits)):
        paired.EVEN = even
        differences = np.random.default_rng(n).normal(0.02, 1, n)
        asks = partial(paired.difference_limits, share=False), paired.sign_flip
        for name, ask in zip(names, asks, strict=True):
            began = time.perf_counter()
            ask(differences)
            out.append((f"{name}, {n:,} pairs", time.perf_counter() - began))
    return out


def child(*words: str) -> str:
    """What this file prints in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return done.stdout


def show(results: dict[int, dict[str, Any]]) -> int:
    """The table, and how many promises broke."""
    sizes = list(results)
    print(f"{'seconds, one after another':<34}" + "".join(f"{f'{rows:,} records':>22}" for rows in sizes))
    for name in results[sizes[0]]["each"]:
        cells = [f"{wall:.2f} ({cpu:.2f} CPU)" for wall, cpu in (results[rows]["each"][name] for rows in sizes)]
        print(f"{name:<34}" + "".join(f"{cell:>22}" for cell in cells))
    lines = {
        "all panels, as a report has them": [
            f"{wall:.2f} ({cpu:.2f} CPU)" for wall, cpu in (one["all"] for one in results.values())
        ],
        "drawn as HTML": [f"{one['drawn_s']:.2f}" for one in results.values()],
        "peak memory of the process": [f"{one['peak'] / 1e6:,.0f} MB" for one in results.values()],
        "of it, before it read anything": [f"{one['start'] / 1e6:,.0f} MB" for one in results.values()],
        "the page": [f"{one['bytes']:,} bytes" for one in results.values()],
    }
    for name, cells in lines.items():
        print(f"{name:<34}" + "".join(f"{cell:>22}" for cell in cells))
    slow = [rows for rows in sizes if results[rows]["all"][0] > SECONDS.get(rows, math.inf)]
    large = [rows for rows in sizes if results[rows]["peak"] > MOST_BYTES]
    sizes_html = [one["bytes"] for one in results.values()]
    grown = max(sizes_html) > 1.1 * min(sizes_html)
    for rows in slow:
        print(f"{rows:,} records took longer than {SECONDS[rows]:g} s")
    for rows in large:
        print(f"{rows:,} records need more than {MOST_BYTES / 1e9:g} GB")
    if grown:
        print("the page grows with the table")
    return len(slow) + len(large) + grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder whose tables are used again, and made where they are missing")
    parser.add_argument("--make", nargs=3, metavar=("PATH", "ROWS", "GROUPS"), help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure-each", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(Path(args.make[0]), int(args.make[1]), int(args.make[2]))
        return 0
    if args.measure:
        measure(args.measure)
        return 0
    if args.measure_each:
        measure_each(args.measure_each)
        return 0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(TARGETS)} targets, 2 metrics\n")
    results: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            path = (args.keep or Path(folder)) / f"{rows}-{args.groups}.parquet"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                child("--make", str(path), str(rows), str(args.groups))
            results[rows] = json.loads(child("--measure", str(path)))
            results[rows]["each"] = json.loads(child("--measure-each", str(path)))
    broken = show(results)
    print()
    for name, took_s in paired_tests():
        print(f"{name:<60}{took_s:8.3f} s")
        broken += name.startswith("10,000-fold") and took_s > 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
