"""Opening a store: damage is found, places are named, and what a disk refuses is said with what to do."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import apsw
import psutil
import pytest
from faults.disk import Disk, failure
from faults.standin import StandIn
from made_jobs import made

from mlaas_lab.errors import StoreError
from mlaas_lab.store import Store, connection, failures, filesystem
from mlaas_lab.store.connection import journal_mode


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite3"


def filled(path: Path, jobs: int = 60) -> None:
    store = Store(path)
    for n in range(jobs):
        store.add(made(str(n), spec={"text": "x" * 3000}))
    store.close()


def flipped(path: Path, page: int) -> None:
    """Harm one page, as a bad sector does."""
    content = bytearray(path.read_bytes())
    content[page * 4096 : page * 4096 + 64] = bytes(64)
    path.write_bytes(content)


def test_every_harmed_page_is_found_at_open(path):
    filled(path)
    whole, found = path.read_bytes(), list[str]()
    pages = range(1, len(whole) // 4096, 3)
    for page in pages:
        path.write_bytes(whole)
        flipped(path, page)
        try:
            Store(path).close()
        except StoreError as error:
            found.append(str(error))
    assert all(str(path) in said and "damaged" in said and "move it" in said for said in found)
    # The rest are pages of overflowing text, whose content SQLite does not know.
    assert len(found) > len(pages) // 3


def test_a_store_that_does_not_look_is_caught(path, monkeypatch):
    filled(path)
    flipped(path, len(path.read_bytes()) // 4096 // 2)
    with pytest.raises(StoreError, match="damaged"):
        Store(path)
    monkeypatch.setattr(connection, "CHECKED_BYTES", -1)
    Store(path).close()


def test_the_copy_to_go_back_to_is_named(path):
    path.write_bytes(b"not a database, but long enough to be one" * 200)
    path.with_name("store.sqlite3.v2.bak").write_bytes(b"")
    with pytest.raises(StoreError, match=r"put store\.sqlite3\.v2\.bak in its place"):
        Store(path)


@pytest.mark.parametrize("name", ["with space", "ünïcödé 实验", "quo'te\"s", "per%cent?x=1#y", ":memory:", "-dash"])
def test_odd_paths_are_paths(tmp_path, name):
    path = tmp_path / name / "store.sqlite3"
    store = Store(path)
    store.add(made())
    store.close()
    again = Store(path)
    assert [job.id for job in again.jobs()] == ["a"]
    again.close()
    assert path.is_file()


MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/local", "xfs"), ("/mnt/a b", "fuse.sshfs"), ("/mnt/a b", "cifs")]


@pytest.fixture
def mounts(monkeypatch):
    """A machine with those mounts."""
    found = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in MOUNTS]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_which: found)


@pytest.mark.parametrize(
    ("place", "kind", "network"),
    [
        ("/data/x", "ext4", False),
        ("/home/me/.local/share/mlaas_lab/store.sqlite3", "nfs4", True),
        ("/home/local/x", "xfs", False),
        ("/home/localhost/x", "nfs4", True),
        ("/mnt/a b/x", "cifs", True),
    ],
)
def test_the_mount_that_a_path_is_on(mounts, place, kind, network):
    assert filesystem.filesystem(Path(place)) == kind
    assert filesystem.is_network(kind) == network


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
        "afs",
        "fuse.sshfs",
        "fuse.s3fs",
    ],
)
def test_network_file_systems_are_known(kind):
    assert filesystem.is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "hfs", "ntfs", "unknown", "fuse.fuse-overlayfs"]
)
def test_local_file_systems_are_too(kind):
    assert not filesystem.is_network(kind)


def test_this_folder_is_on_some_file_system(tmp_path):
    assert filesystem.filesystem(tmp_path / "not" / "yet") != "unknown"


def test_no_log_on_a_network(path, monkeypatch):
    monkeypatch.setattr(connection, "filesystem", lambda _path: "nfs4")
    monkeypatch.setattr(connection, "sqlite3", StandIn(None))
    assert journal_mode((3, 54, 1)) == "wal"
    assert journal_mode((3, 54, 1), network=True) == "truncate"
    store = Store(path)
    assert store._db.read("pragma journal_mode")[0][0] == "truncate"
    store.close()


def test_doctor_names_a_network_file_system(lab, monkeypatch):
    from mlaas_lab.commands import doctor

    places = {check.name: check for check in doctor.command.run(doctor.Doctor(), lab).checks}
    assert "network file" not in places["store"].detail
    monkeypatch.setattr(doctor, "filesystem", lambda _path: "nfs4")
    check = {check.name: check for check in doctor.command.run(doctor.Doctor(), lab).checks}["store"]
    assert "nfs4" in check.detail
    assert "a network file system" in check.detail
    assert "MLAAS_DATA_DIR" in check.fix


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """Less of something than this process had."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_no_room_left_is_temporary_and_says_how_much_is_needed(path):
    """A limit on the size of files stands for a full disk: the operating system refuses the write."""
    filled(path, 5)
    store = Store(path)

    def fill() -> None:
        for n in range(1000):
            store.add(made(f"more{n}", spec={"text": "x" * 3000}))

    with limited(resource.RLIMIT_FSIZE, path.stat().st_size + 8192), pytest.raises(StoreError) as caught:
        fill()
    assert caught.value.temporary
    assert f"{failures.ROOM_BYTES:,} bytes are needed" in caught.value.message
    assert str(path) in caught.value.message
    known = len(store.jobs())
    store.add(made("afterwards"))
    store.close()
    again = Store(path)
    assert len(again.jobs()) == known + 1
    again.close()


def test_too_many_open_files_are_named(path):
    store = Store(path)
    store.add(made("before"))
    opened = []
    with limited(resource.RLIMIT_NOFILE, 64):
        with suppress(OSError):
            while True:
                opened.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises(StoreError, match="too many files open") as caught:
            Store(path.with_name("other.sqlite3"))
        for handle in opened:
            os.close(handle)
    assert caught.value.temporary
    store.add(made("after"))
    store.close()


def test_a_folder_that_cannot_be_written_is_named(path, monkeypatch):
    """For root no folder is read-only, so the disk says it."""

    def read_only(call: str, name: str) -> None:
        if (call == "open" and name.endswith("-journal")) or call == "write":
            raise failure(apsw.CantOpenError, apsw.SQLITE_CANTOPEN)

    refusal = OSError(errno.EROFS, os.strerror(errno.EROFS))
    monkeypatch.setattr(failures, "_probed", lambda _folder: refusal)
    with Disk() as disk:
        monkeypatch.setattr(connection, "sqlite3", StandIn(disk, version="3.40.1"))
        disk.before = read_only
        with pytest.raises(StoreError, match="cannot be written") as caught:
            Store(path)
    assert not caught.value.temporary
    assert "MLAAS_DATA_DIR" in str(caught.value)


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Not a directory|File exists") as caught:
        Store(tmp_path / "file" / "store.sqlite3")
    assert not caught.value.temporary
