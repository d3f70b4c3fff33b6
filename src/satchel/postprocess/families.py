"""Which family of children works on which format, and what each family may use. Pure: both the parent and the child read it.

A family is one kind of child process. Its module is imported in the child at its start, before it gives up its rights, and nowhere else.
"""

from dataclasses import dataclass

from satchel.domain.recordings import FORMATS

MEBI = 1 << 20


@dataclass(frozen=True)
class Family:
    """`module`: a `Handler` (see `child`). `base` bytes and so many `per_pixel`: its address space.

    `wall`, `cpu`: seconds for one job; `glance`: seconds of wall time for one that is not to take long.
    `converts_once`: a child ends after a conversion, in which decoders have worked on a stranger's file for long.
    `environment`: variables for it alone.
    """

    name: str
    module: str
    wall: float
    cpu: int
    base: int
    glance: float = 60.0
    per_pixel: int = 0
    converts_once: bool = False
    environment: tuple[tuple[str, str], ...] = ()

    def memory(self, max_pixels: int) -> int:
        """Address space of a child, in bytes."""
        return self.base + self.per_pixel * max_pixels


PICTURES = Family("pictures", "satchel.postprocess.image", wall=60.0, cpu=30, base=512 * MEBI, per_pixel=8)
"""The dearest decode: a WebP, whose canvas the decoder holds four times, of half as many pixels as others may have."""

MALLOC = (
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", str(64 * MEBI)),
    ("MALLOC_TOP_PAD_", str(16 * MEBI)),
)
"""One arena for each thread of a codec would reserve 64 MiB of address space each. And a child that keeps up to 64 MiB for the next job
does not ask the kernel for every page again, which was a quarter of the cost of a strip.
"""

RECORDINGS = Family(
    "recordings",
    "satchel.postprocess.recording",
    wall=290.0,
    cpu=560,
    base=1536 * MEBI,
    converts_once=True,
    environment=MALLOC,
)

FAMILIES = {family.name: family for family in (PICTURES, RECORDINGS)}
OF_FORMAT = dict.fromkeys(("jpeg", "png", "webp"), PICTURES) | dict.fromkeys(FORMATS, RECORDINGS)
"""Files of every other format are named and not opened any further."""


def family_of(form: str) -> Family | None:
    """The children that look into files of this format; None where nobody does."""
    return OF_FORMAT.get(form)
