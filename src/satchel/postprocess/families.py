"""Which family of children works on which format, and what each family may use. Pure: both the parent and the child read it.

A family is one kind of child process. Its module is imported in the child at its start, before it gives up its rights, and nowhere else.
"""

from dataclasses import dataclass

MEBI = 1 << 20


@dataclass(frozen=True)
class Family:
    """`module`: a `Handler` (see `child`). `wall`, `cpu`: seconds for one job; `base` bytes and so many `per_pixel`: its address space."""

    name: str
    module: str
    wall: float
    cpu: int
    base: int
    per_pixel: int = 0

    def memory(self, max_pixels: int) -> int:
        """Address space of a child, in bytes."""
        return self.base + self.per_pixel * max_pixels


PICTURES = Family("pictures", "satchel.postprocess.image", wall=60.0, cpu=30, base=512 * MEBI, per_pixel=8)
"""The dearest decode: a WebP, whose canvas the decoder holds four times, of half as many pixels as others may have."""

RECORDINGS = Family("recordings", "satchel.postprocess.recording", wall=290.0, cpu=560, base=1536 * MEBI)

FAMILIES = {family.name: family for family in (PICTURES, RECORDINGS)}
OF_FORMAT = dict.fromkeys(("jpeg", "png", "webp"), PICTURES)
"""Files of every other format are named and not opened any further."""


def family_of(form: str) -> Family | None:
    """The children that look into files of this format; None where nobody does."""
    return OF_FORMAT.get(form)
