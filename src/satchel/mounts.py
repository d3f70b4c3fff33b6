"""Which file system a path lies on: network ones are slow in places where a local one never is, and lock and cache differently."""

from pathlib import Path

NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs"}


def kind_of(path: Path) -> str:
    """The kind of file system that holds the path, such as ext4; empty where it cannot be told."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    places = {str(place) for place in (path.absolute(), *path.absolute().parents)}
    at = max((mount for mount in mounts if mount[4] in places), key=lambda mount: len(mount[4]), default=None)
    return at[at.index("-") + 1] if at else ""


def network_kind(path: Path) -> str | None:
    """The kind of network file system that holds the path; None for a local one."""
    kind = kind_of(path)
    return kind if kind in NETWORK else None
