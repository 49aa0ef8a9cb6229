"""The cache of answers: what goes in comes out, and nothing that is wrong with it is anybody's error."""

import sqlite3
import threading

import pytest

from mlaas_lab.store.completions import NAME, Completions


@pytest.fixture
def notes():
    return []


@pytest.fixture
def cache(tmp_path, notes):
    """Opens the cache; closed at the end."""
    opened = []

    def cache(**more):
        found = Completions(tmp_path / "cache" / NAME, note=notes.append, busy_ms=50, **more)
        opened.append(found)
        return found

    yield cache
    for found in opened:
        found.close()


def key(n):
    return n.to_bytes(32, "big")


def filled(cache, n=10):
    found = cache()
    found.keep({key(i): b"answer %d" % i for i in range(n)})
    found.close()
    return found.path


def test_what_goes_in_comes_out(cache, notes):
    filled(cache, 2500)
    again = cache()
    found = again.find([key(i) for i in range(0, 5000, 2)])
    assert found == {key(i): b"answer %d" % i for i in range(0, 2500, 2)}
    again.keep({key(0): b"newer"})
    assert again.find([key(0)]) == {key(0): b"newer"}
    assert notes == []


def test_nobody_else_can_read_it(cache):
    path = filled(cache)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_oldest_go_first_and_the_file_stays_small(cache):
    limit = 400_000
    found = cache(limit_bytes=limit)
    for n in range(300):
        found.keep({key(10 * n + i): bytes(1000) for i in range(10)})
    assert found.path.stat().st_size < 1.2 * limit
    left = sorted(int.from_bytes(name, "big") for name in found.find([key(i) for i in range(3000)]))
    assert left == list(range(left[0], 3000)), "none but the oldest is gone"
    assert 200 < len(left) < 400


@pytest.mark.parametrize("damage", ["no database", "a page", "empty", "cut"])
def test_a_damaged_file_is_thrown_away_with_one_note(cache, notes, damage):
    path = filled(cache, 2000)
    data = path.read_bytes()
    spoilt = {
        "no database": b"something else entirely" * 100,
        "a page": data[:4096] + b"\xff" * (len(data) - 4096),
        "empty": b"",
        "cut": data[: len(data) // 2],
    }
    path.write_bytes(spoilt[damage])
    found = cache()
    assert set(found.find([key(i) for i in range(2000)]).values()) <= {b"answer %d" % i for i in range(2000)}
    found.keep({key(1): b"x"})
    found.close()
    if damage != "empty":
        assert len(notes) == 1
        assert "damaged" in notes[0]
        assert not path.exists()
    assert filled(cache) == path, "the next evaluation has one again"
    assert cache().find([key(3)]) == {key(3): b"answer 3"}


def test_an_altered_answer_is_none(cache, notes):
    path = filled(cache)
    path.write_bytes(path.read_bytes().replace(b"answer 3", b"answer 8"))
    found = cache().find([key(i) for i in range(10)])
    assert len(found) == 9
    assert key(3) not in found
    assert notes == []


def test_a_locked_file_is_done_without(cache, notes):
    path = filled(cache)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("pragma locking_mode=exclusive")  # with a log, readers are kept out by this alone
    other.execute("begin exclusive")
    found = cache()
    assert found.find([key(1)]) == {}
    found.keep({key(1): b"x"})
    found.keep({key(2): b"x"})
    other.execute("rollback")
    other.close()
    assert len(notes) == 1
    assert "locked" in notes[0]
    assert cache().find([key(1)]) == {key(1): b"answer 1"}


@pytest.mark.parametrize("place", ["a folder", "below a file"])
def test_a_place_that_cannot_be_written_is_done_without(tmp_path, notes, place):
    path = tmp_path / "place"
    if place == "a folder":
        path.mkdir()
    else:
        path.write_text("")
        path = path / NAME
    found = Completions(path, note=notes.append)
    found.keep({key(1): b"x"})
    assert found.find([key(1)]) == {}
    assert len(notes) == 1


def test_many_threads_and_connections(cache, notes):
    caches = [Completions(cache().path, note=notes.append) for _ in range(3)]

    def work(which):
        for n in range(20):
            caches[which].keep({key(1000 * which + n): b"%d %d" % (which, n)})
            caches[which].find([key(n) for n in range(50)])

    threads = [threading.Thread(target=work, args=(which,)) for which in range(3) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {key(1000 * which + n): b"%d %d" % (which, n) for which in range(3) for n in range(20)}
    assert caches[0].find(expected) == expected
    assert notes == []
    for one in caches:
        one.close()
