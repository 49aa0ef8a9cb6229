"""One sample as a page shows it: the question, the reference, every target's answer with the words that differ.

All of it is text; a page puts it where text goes and nowhere else. Long texts are cut until the whole is asked for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlaas_lab.panels import _words as words
from mlaas_lab.schema import JSON
from mlaas_lab.view import Answer, Answers, Tone
from mlaas_lab.view.diff import against
from mlaas_lab.view.formats import count, number, seconds, usd
from mlaas_lab.view.markup import cut, glued, visible
from mlaas_lab.widgets.texts import plain

CHARS = 1200
"""Of a text in a page."""
WHOLE_CHARS = 50_000
"""Of a text that was asked for."""
REPEATS = 50
"""Records of one sample that are shown in whole."""

Row = Mapping[str, Any]


def card(rows: Sequence[Row], *, metrics: Sequence[str], mine: Sequence[int], whole: bool = False) -> JSON:
    """The records of one sample, by target and repeat, as JSON.

    Args:
        rows: at least one.
        metrics: whose scores are told.
        mine: places of the targets that were asked about.
        whole: every repeat and every text in full; else the first repeat, and texts are cut.
    """
    chars = WHOLE_CHARS if whole else CHARS
    shown = list(rows)[:REPEATS] if whole else _first_repeats(rows)
    first = shown[0]
    base = first.get("reference")
    prompt = _prompt(first.get("messages"))
    answers = []
    for row in shown:
        answers.append(_answer(row, base, metrics, chars) | {"mine": row["place"] in mine})
        base = _text(row) if base is None and row["error"] is None else base
    texts = [prompt, first.get("reference"), *(row.get("output") for row in shown)]
    return {
        "sample": first["sample"],
        "label": plain(f"Sample {first['sample_id']}", 200),
        "group": None if first.get("group") is None else plain(str(first["group"]), 200),
        "prompt": plain(prompt, chars),
        "reference": None if first.get("reference") is None else plain(first["reference"], chars),
        "answers": answers,
        "passages": _passages(first.get("contexts")) if whole else [],
        "more": not whole and (len(shown) < len(rows) or any(len(text or "") > chars for text in texts)),
    }


def mark(rows: Sequence[Row], metrics: Sequence[str]) -> Answers:
    """The same as part of a static page."""
    shown = _first_repeats(rows)
    first = shown[0]
    answers = [
        Answer(
            target=row["target"],
            text=None if row["error"] is not None else _text(row),
            error=_error(row),
            note=" · ".join([*(said for said, _ in _scores(row, metrics)), *_facts(row)]),
            tone=_tone(row, metrics),
        )
        for row in shown
    ]
    label = f"Sample {first['sample_id']}"
    return Answers(
        prompt=_prompt(first.get("messages")), answers=answers, reference=first.get("reference"), label=label
    )


def _first_repeats(rows: Sequence[Row]) -> list[Row]:
    """The first of each target; `rows` are ordered."""
    found: dict[int, Row] = {}
    for row in rows:
        found.setdefault(row["place"], row)
    return list(found.values())


def _answer(row: Row, base: str | None, metrics: Sequence[str], chars: int) -> dict[str, JSON]:
    text = _text(row)
    shown = plain(text, chars)
    same = base is None or row["error"] is not None
    pieces = [(shown, False)] if same else [(p.text, p.differs) for p in against(shown, plain(base or "", chars))]
    return {
        "target": visible(cut(row["target"])),
        "place": row["place"],
        "repeat": int(row["repeat"] or 0),
        "pieces": [[piece, differs] for piece, differs in pieces if piece],
        "error": plain(_error(row), 500),
        "scores": [[plain(said, 300), str(tone)] for said, tone in _scores(row, metrics)],
        "facts": [glued(fact) for fact in _facts(row)],
    }


def _text(row: Row) -> str:
    return row.get("output") or ""


def _error(row: Row) -> str:
    return "" if row["error"] is None else f"{row['error']}: {row.get('error_message') or 'no message'}"


def _scores(row: Row, metrics: Sequence[str]) -> list[tuple[str, Tone]]:
    if row["error"] is not None:
        return []
    return [(_score(row, metric), _tone(row, [metric])) for metric in metrics]


def _score(row: Row, metric: str) -> str:
    status, reason = row[f"{metric}_status"], row.get(f"{metric}_reason")
    if status == "ok":
        return f"{metric} {number(row[metric])}"
    return f"{metric}: {status or 'not scored'}{f' ({reason})' if reason else ''}"


def _tone(row: Row, metrics: Sequence[str]) -> Tone:
    """Full marks and no marks, for a share of which one end is best."""
    best = words.best(metrics[0]) if metrics and row["error"] is None else None
    if best is None or row[metrics[0]] not in (0.0, 1.0):
        return Tone.MILD
    return Tone.GOOD if row[metrics[0]] == best else Tone.BAD


def _facts(row: Row) -> list[str]:
    """What it took, as far as it is known."""
    cost = row.get("cost_usd")
    tokens, attempts = row.get("output_tokens"), row.get("attempts")
    return [
        *([seconds(row["latency_s"])] if row.get("latency_s") is not None else []),
        *([usd(cost)] if cost is not None else []),
        *([f"{count(tokens)} tokens"] if tokens is not None else []),
        *([f"{count(attempts)} attempts"] if attempts is not None and attempts > 1 else []),
        *(["from the cache"] if row.get("cached_at") is not None else []),
    ]


def _prompt(messages: str | None) -> str:
    """The turns that were sent, without the system prompt; a table from elsewhere may hold anything."""
    turns = _list(messages)
    if turns is None:
        return str(messages)
    said = [turn for turn in turns if turn.get("role") != "system"]
    if len(said) == 1:
        return str(said[0].get("content", ""))
    return "\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in said)


def _passages(contexts: str | None) -> list[list[str]]:
    """Source and text of what was retrieved and shown."""
    return [
        [plain(str(one.get("source") or "passage"), 200), plain(str(one.get("text") or ""), WHOLE_CHARS)]
        for one in _list(contexts) or []
    ]


def _list(text: str | None) -> list[dict[str, Any]] | None:
    try:
        found: JSON = json.loads(text or "[]")
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None
