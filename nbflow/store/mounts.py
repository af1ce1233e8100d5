"""Is a folder on a network mount? There SQLite's write-ahead log and memory maps cannot be trusted."""

import os
import re
from pathlib import Path
from typing import Final

__all__ = ["network_mount"]

_NETWORK: Final = re.compile(
    r"9p|afs|beegfs|ceph|cifs|davfs|fakeowner|fuse(\..+)?|glusterfs|gpfs|grpcfuse|lustre|ncpfs|nfs4?|osxfs|panfs"
    r"|prl_fs|pvfs2|smb3|smbfs|vboxsf|virtiofs"
)
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def network_mount(folder: Path, mounts: str | None = None) -> str:
    """The kind of network file system that a folder is on, `""` if it is local or nobody can tell.

    Args:
        folder: Need not exist yet.
        mounts: Text in the form of `/proc/self/mountinfo`, which is read if it is None.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return ""
    path = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # of two mounts on one point the later one is seen
            best, kind = point, right.split(" ", 1)[0]
    return kind if _NETWORK.fullmatch(kind) else ""
