"""Where the numbers come from: data, base, adapters, prompts, prices with source and date, versions, command lines."""

from hashlib import sha256

import orjson
import polars as pl

from mlaas_lab import report
from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.view import Code, Column, Table, View
from mlaas_lab.view.formats import count, usd

MOST_PROMPTS = 8
"""System prompts in full; there are seldom more than two."""
SYSTEM = r'^\[\s*\{\s*"role"\s*:\s*"system"\s*,\s*"content"\s*:\s*("(?:[^"\\]|\\.)*")'
"""The first message's words as JSON, where it is the system's; to parse each record's messages takes a second."""
DIGEST = 12
"""Characters of a hash that are shown beside a prompt."""


def _build(cut: Cut) -> list[View]:
    said = cut.case.provenance
    return [*_models(cut), *_prices(cut), *_prompts(cut), report.repeated(said)]


def _models(cut: Cut) -> list[View]:
    """Each target, the model that says it answered, and what an adapter was made of."""
    known = [name for name in ("provider", "region") if name in cut.frame.columns]
    models = pl.col("model").drop_nulls().unique(maintain_order=True) if "model" in cut.frame.columns else pl.lit(None)
    found = cut.frame.group_by("target", *known, maintain_order=True).agg(n=pl.len(), models=models)
    rows = [
        (row["target"], *(row[name] for name in known), ", ".join(row["models"] or ()) or None, row["n"])
        for row in found.iter_rows(named=True)
    ]
    heads: list[Column | str] = ["Target", *(name.capitalize() for name in known), "Said to be"]
    heads.append(Column(title="Records", align="right", format=count))
    children = [report.told(origin) for origin in cut.case.made_of]
    return [View(title="Targets", table=Table(columns=heads, rows=rows), children=children)]


def _prices(cut: Cut) -> list[View]:
    columns = {"cost_usd", "price_source", "price_date"}
    if not columns <= set(cut.frame.columns):
        return []
    table = (
        cut.frame.filter(pl.col("cost_usd").is_not_null() | pl.col("error").is_null())
        .group_by("target", "price_source", "price_date", maintain_order=True)
        .agg(n=pl.len(), priced=pl.col("cost_usd").count(), usd=pl.col("cost_usd").sum())
    )
    rows = [
        (row["target"], row["price_source"], row["price_date"], row["n"], row["usd"] if row["priced"] else None)
        for row in table.iter_rows(named=True)
    ]
    heads: list[Column | str] = [
        "Target",
        "Source of the price",
        "Valid on",
        Column(title="Answers", align="right", format=count),
        Column(title="Cost", align="right", format=usd),
    ]
    unpriced = any(row[-1] is None for row in rows)
    notes = ["Unpriced is not free: of these targets nobody knows a price."] if unpriced else []
    return [View(title="Prices", table=Table(columns=heads, rows=rows), notes=notes)] if rows else []


def _prompts(cut: Cut) -> list[View]:
    """The system prompts, with how many records were asked with each."""
    if "messages" not in cut.frame.columns:
        return []
    found = (
        cut.frame.lazy()
        .select(prompt=pl.col("messages").str.extract(SYSTEM))
        .group_by("prompt")
        .agg(n=pl.len())
        .sort("n", "prompt", descending=[True, False])
        .collect()
    )
    children = [_prompt(*row) for row in found.head(MOST_PROMPTS).iter_rows()]
    left = len(found) - len(children)
    return [View(title="System prompts", children=children, notes=[f"{count(left)} more."] if left else [])]


def _prompt(said: str | None, n: int) -> View:
    if said is None:
        return View(title="", notes=[f"{count(n)} records were asked without one."])
    prompt = orjson.loads(said)
    digest = sha256(orjson.dumps(prompt)).hexdigest()[:DIGEST]
    return View(title="", marks=[Code(text=prompt, label=f"{count(n)} records · {digest}")])


page = Page(name="provenance", title="Provenance", build=_build)
