"""Texts that nearly repeat another: MinHash finds the candidates, Jaccard's index of their shingles decides.

Time grows with the number of characters, not of pairs: a text is compared only with those that share a band of its
signature (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4). A text longer than
`SKETCH` shingles stands with the `SKETCH` of them whose hashes are smallest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SHINGLE = 4
"""Characters in a shingle."""
SKETCH = 128
"""Most shingles kept of a text; the error of Jaccard's index at 0.8 is then about 0.035."""
BANDS, ROWS = 12, 4
"""A pair at 0.8 shares a band with probability 1 - (1 - 0.8**4)**12 = 0.998."""
THRESHOLD = 0.8
CHUNK_CHARACTERS = 2_000_000
HASH_BITS = 40

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Text `index` nearly repeats text `of`."""

    index: int
    of: int
    jaccard: float


def repeats(texts: Sequence[str], *, others: Sequence[str] | None = None) -> list[Pair]:
    """Each text that nearly repeats an earlier one, or, with `others`, one of those.

    Args:
        texts: without case and punctuation, as `Chat.asked`.
        others: the other file's texts; `of` then counts in them.
    """
    known = 0 if others is None else len(others)
    everything = [*(others or ()), *texts]
    if len(everything) < 2:
        return []
    starts, shingles = _sketches(everything)
    signatures = _signatures(starts, shingles)
    found: dict[int, Pair] = {}
    for index, of in _candidates(signatures, known if others is not None else None):
        if index in found:
            continue
        jaccard = _jaccard(shingles[starts[index] : starts[index + 1]], shingles[starts[of] : starts[of + 1]])
        if jaccard >= THRESHOLD:
            found[index] = Pair(index=index - known, of=of, jaccard=jaccard)
    return [found[index] for index in sorted(found)]


def _sketches(texts: Sequence[str]) -> tuple[Ints, Hashes]:
    """Where each text's hashes start, and all of them, sorted within a text."""
    counts: list[Ints] = []
    parts: list[Hashes] = []
    for chunk in _chunks(texts):
        count, hashes = _sketch(chunk)
        counts.append(count)
        parts.append(hashes)
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.concatenate(parts)


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        # Spaces around a text make shingles of its first and last word, and of a text shorter than a shingle.
        padded = f" {text} ".ljust(SHINGLE)
        chunk.append(padded)
        size += len(padded)
        if size > CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _sketch(texts: list[str]) -> tuple[Ints, Hashes]:
    lengths = np.array([len(text) for text in texts])  # (N,)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)  # (C,)
    hashes = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * np.uint64(1_000_003) + codes[offset : len(codes) - SHINGLE + 1 + offset]
    hashes = _mixed(hashes) >> np.uint64(64 - HASH_BITS)
    owner = np.repeat(np.arange(len(texts)), lengths)  # (C,)
    inside = owner[: len(hashes)] == owner[SHINGLE - 1 :]
    kept = inside & (hashes <= _ceilings(lengths)[owner[: len(hashes)]])
    keys = _distinct((owner[: len(hashes)][kept].astype(np.uint64) << np.uint64(HASH_BITS)) | hashes[kept])
    owners = (keys >> np.uint64(HASH_BITS)).astype(np.int64)
    counts = np.bincount(owners, minlength=len(texts))
    rank = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.minimum(counts, SKETCH), keys[rank < SKETCH] & np.uint64(2**HASH_BITS - 1)


def _ceilings(lengths: Ints) -> Hashes:
    """The largest hash worth sorting: of a long text four times as many stay as its sketch will hold."""
    share = np.minimum(1.0, 4 * SKETCH / lengths)
    ceilings: Hashes = (share * (2**HASH_BITS - 1)).astype(np.uint64)
    return ceilings


def _signatures(starts: Ints, shingles: Hashes) -> npt.NDArray[np.uint32]:
    """MinHash of each text: (N, BANDS * ROWS)."""
    generator = np.random.default_rng(0)
    size = BANDS * ROWS
    signatures = np.empty((len(starts) - 1, size), dtype=np.uint32)
    for column, (a, b) in enumerate(generator.integers(1, 2**63, size=(size, 2), dtype=np.uint64)):
        hashed = ((shingles * (a | np.uint64(1)) + b) >> np.uint64(32)).astype(np.uint32)
        signatures[:, column] = np.minimum.reduceat(hashed, starts[:-1])
    return signatures


def _candidates(signatures: npt.NDArray[np.uint32], known: int | None) -> Iterator[tuple[int, int]]:
    """Pairs (later, earlier) that share a band: each text with the first of its bucket and with the one before it."""
    pairs: list[npt.NDArray[np.int64]] = []
    for band in range(BANDS):
        rows = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS]).astype(np.uint64)
        keys = np.zeros(len(rows), dtype=np.uint64)
        for column in range(ROWS):
            keys = _mixed(keys ^ rows[:, column])
        order = np.argsort(keys, kind="stable")
        fresh = np.concatenate([[True], keys[order][1:] != keys[order][:-1]])
        place = np.arange(len(order))
        first = order[np.maximum.accumulate(np.where(fresh, place, 0))]
        before = order[np.maximum(place - 1, 0)] if known is None else _last_known(order, fresh, known)
        pairs += [np.stack([order, earlier], axis=1)[~fresh & (order != earlier)] for earlier in (first, before)]
    coded = np.concatenate(pairs)
    unique = np.stack(np.divmod(_distinct(coded[:, 0] * len(signatures) + coded[:, 1]), len(signatures)), axis=1)
    if known is not None:
        unique = unique[(unique[:, 0] >= known) & (unique[:, 1] < known)]
    alike = np.mean(signatures[unique[:, 0]] == signatures[unique[:, 1]], axis=1)
    likely = unique[alike >= THRESHOLD - 0.25]
    yield from zip(likely[:, 0].tolist(), likely[:, 1].tolist(), strict=True)


def _last_known(order: Ints, fresh: npt.NDArray[np.bool_], known: int) -> Ints:
    """For each place, the last text of the other file in its bucket so far, or the bucket's first text."""
    place = np.arange(len(order))
    return order[np.maximum.accumulate(np.where(fresh | (order < known), place, 0))]


def _distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sorted, each once; several times faster here than `np.unique`, which hashes first."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _jaccard(a: Hashes, b: Hashes) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def _mixed(values: Any) -> Any:
    """SplitMix64's finalizer (Steele, Lea, Flood 2014): every bit of the input moves half of the output's."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
