"""The one EXIF tag that changes how a picture looks, its orientation: found, and written alone. Nothing else of EXIF is read here."""

import struct

ORIENTATION, SHORT = 0x0112, 3
ENTRY_BYTES = 12


def orientation(tiff: bytes) -> int | None:
    """The valid orientation (1 to 8), if any, that EXIF data hold in their first directory. `tiff`: the data from their TIFF header on."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return None
    count = min(struct.unpack_from(order + "H", tiff, start)[0], (len(tiff) - start - 2) // ENTRY_BYTES)
    for number in range(count):
        tag, kind, values, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + number * ENTRY_BYTES)
        if tag == ORIENTATION:
            return int(value) if kind == SHORT and values == 1 and 1 <= value <= 8 else None
    return None


def minimal(value: int) -> bytes:
    """EXIF data, from their TIFF header on, whose only tag is this orientation: 26 bytes."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, SHORT, 1, value, 0, 0)
