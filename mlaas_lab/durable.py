"""What must still be there after a power failure."""

import os
from pathlib import Path


def settle(path: Path) -> None:
    """Have a file on the disk, or the names in a folder, whoever wrote them: a rename is one of these."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
