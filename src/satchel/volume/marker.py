"""The marker file of a volume in a folder: it tells the one we know from another's, and from the empty folder under a missing mount.

Blocks: the looks run in threads.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from satchel.domain.errors import VOLUME_MISSING, Later, too_many_files
from satchel.volume.part import Part
from satchel.volume.reading import FLAGS

MARKER = ".satchel-volume"


class Marker:
    """`root`: of the volume. Until `expect` was told an id, no volume is ours."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._id: str | None = None

    def expect(self, known_id: str | None) -> None:
        """Expect the volume with this id and change nothing on it."""
        self._id = known_id

    def found(self) -> str | None:
        """The id in the marker file; None where there is none."""
        try:
            fd = os.open(f"{self._root}/{MARKER}", FLAGS)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
                return None
            raise
        try:
            return _id_in(fd)
        finally:
            os.close(fd)

    def is_ours(self) -> bool:
        """Whether the volume is there and is the one we know; a marker that cannot be read, as on a dead NFS mount, is not."""
        try:
            return self._id is not None and self.found() == self._id
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise too_many_files() from error
            return False

    def is_there_without(self, key: str) -> bool:
        """Whether the volume is certainly there and this file certainly is not."""
        try:
            with self.held() as root:
                return not stat.S_ISREG(os.stat(key, dir_fd=root, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return True
        except (OSError, Later):
            return False

    @contextmanager
    def held(self) -> Iterator[int]:
        """The volume's open folder. Raises `Later` where it is not the one we know.

        Who looks a file up in it finds it where the marker was: a mount that comes and goes between two looks fools nobody.
        """
        with ExitStack() as opened:
            try:
                root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                opened.callback(os.close, root)
                marker = os.open(MARKER, FLAGS, dir_fd=root)
                opened.callback(os.close, marker)
                found = _id_in(marker)
            except OSError as error:
                raise (too_many_files() if error.errno in {errno.EMFILE, errno.ENFILE} else self.missing()) from error
            if self._id is None or found != self._id:
                raise self.missing()
            yield root

    def missing(self) -> Later:
        """What is said while the volume is not the one we know."""
        return Later(
            VOLUME_MISSING,
            f"The media volume is not at {self._root} (its {MARKER} is absent or another's): mount it; nothing is lost.",
            5.0,
        )

    def write(self, id_: str, part: Part) -> None:
        """Mark the volume. `part`: where the file is written before it has its name."""
        try:
            part.create()
            part.write([f"{id_}\n".encode()])
            part.publish(f"{self._root}/{MARKER}")
        except BaseException:
            part.discard()
            raise


def _id_in(marker: int) -> str | None:
    return os.read(marker, 100).decode("ascii", "replace").strip() or None
