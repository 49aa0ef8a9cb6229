"""The simulated power failure does what a power failure may do, and no more."""

import pytest
from faults.disk import Call, Disk
from faults.power import crashes, sync_boundaries

OLD, NEW = b"o" * 2048, b"n" * 2048


@pytest.fixture
def disk():
    """One file, safe; its number stands for it in the log."""
    with Disk({"file": OLD}) as disk:
        yield disk


def inode(disk):
    return disk.inodes["file"].number


def contents(disk, point, *, name="file", seeds=60):
    """What that file may hold after a crash there."""
    return {crash.files.get(name) for seed in range(seeds) for crash in crashes(disk, {point}, seed)}


def write(disk, data, offset=0):
    disk.log.append(Call(kind="write", name="file", inode=inode(disk), offset=offset, data=data))


def sync(disk):
    disk.log.append(Call(kind="sync", name="file", inode=inode(disk)))


def test_what_was_synced_is_there(disk):
    write(disk, NEW)
    sync(disk)
    assert contents(disk, 2) == {NEW}


def test_what_was_not_is_old_new_or_torn_at_sectors(disk):
    write(disk, NEW)
    found = contents(disk, 1)
    assert {OLD, NEW} < found
    sectors = {bytes(text[at : at + 512]) for text in found for at in range(0, 2048, 512)}
    assert sectors == {OLD[:512], NEW[:512]}, "no sector is half written"


def test_a_later_write_may_survive_an_earlier_one(disk):
    write(disk, b"1" * 512, 0)
    write(disk, b"2" * 512, 512)
    found = {(text[:1], text[512:513]) for text in contents(disk, 2)}
    assert found == {(b"o", b"o"), (b"1", b"o"), (b"o", b"2"), (b"1", b"2")}


def test_a_hole_before_a_write_is_zeros(disk):
    write(disk, NEW, 4096)
    assert OLD + bytes(2048) + NEW in contents(disk, 1)


def test_a_truncation_may_not_have_happened(disk):
    disk.log.append(Call(kind="truncate", name="file", inode=inode(disk), offset=0))
    assert contents(disk, 1) == {OLD, b""}


def test_a_name_that_was_dropped_may_come_back_until_the_folder_is_synced(disk):
    disk.log.append(Call(kind="unlink", name="file"))
    assert contents(disk, 1) == {OLD, None}
    disk.log.append(Call(kind="sync_folder"))
    assert contents(disk, 2) == {None}


def test_names_change_in_order(disk):
    disk.log += [Call(kind="unlink", name="file"), Call(kind="link", name="other", inode=99)]
    names = {frozenset(crash.files) for seed in range(60) for crash in crashes(disk, {2}, seed)}
    assert names == {frozenset({"file"}), frozenset(), frozenset({"other"})}


def test_the_same_seed_is_the_same_crash(disk):
    write(disk, NEW)
    assert [list(crashes(disk, {0, 1}, 7))] == [list(crashes(disk, {0, 1}, 7))]


def test_notes_are_what_came_before(disk):
    disk.note("first")
    sync(disk)
    disk.note("second")
    assert [crash.notes for crash in crashes(disk, {0, 1, 3}, 0)] == [(), ("first",), ("first", "second")]
    assert sync_boundaries(disk) == [0, 1, 2, 3]
