"""What kind of file system a path lies on: SQLite's promises rest on locks that network ones do not always keep.

It looks at the mount table only; it knows nothing of stores.
"""

from pathlib import Path

import psutil

NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cephfs", "cifs", "davfs", "drvfs", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "virtiofs", "wekafs",
    }
)  # fmt: skip
"""Names that the mount table has for file systems whose other end may be another machine."""
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.lxcfs", "fuse.portal", "fuse.gvfsd-fuse"})
"""Mounted through FUSE without leaving the machine; the rest (sshfs, s3fs, rclone, …) is taken for a network."""


def filesystem(path: Path) -> str:
    """The type of file system that `path` is or would be created on, as the mount table says it (`ext4`, `nfs4`).

    Of mounts on mounts the longest prefix counts, and of several at one place the last. `unknown` if none fits.
    """
    place = _resolved(path)
    found, depth = "unknown", -1
    for mount in psutil.disk_partitions(all=True):
        at = Path(mount.mountpoint)
        if len(at.parts) >= depth and (place == at or at in place.parents):
            found, depth = mount.fstype, len(at.parts)
    return found.lower() or "unknown"


def is_network(kind: str) -> bool:
    """Whether a type of file system may be served by another machine."""
    return kind in NETWORK or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def _resolved(path: Path) -> Path:
    """Without links, so that a link from a local folder into a mount is seen as what it is."""
    return Path(path).expanduser().resolve()
