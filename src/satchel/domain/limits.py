"""The numbers of the media page and the contract, each with its unit. MB = 2^20, KB = 2^10 bytes."""

KB = 1 << 10
MB = 1 << 20
HOUR = 3600.0
DAY = 86_400.0

UPLOAD_BYTES = 100 * MB
ENCRYPTED_BYTES = {"audio": 16 * MB, "document": 100 * MB, "image": 5 * MB, "sticker": 100 * KB, "video": 16 * MB}
"""Ceilings after post-processing and encryption, by media type."""

CAPTION_CHARS, TEXT_CHARS = 1024, 4096
CALLBACK_LIFE = 30 * DAY
"""For how long callbacks that came to an end can be looked at and replayed, in seconds."""
CONTACTS_AT_ONCE = 1000
"""The most numbers of one request to /v1/contacts; ours, since nobody published one."""
CONTACT_LIFE = 7 * DAY
"""For how long it is remembered whether a number is on the network, in seconds."""

WAIT_FOR_ROOM = 600.0
WAIT_FOR_RENDITION = 300.0
WAIT_FOR_SENDER = 30.0
GIVE_UP_SENDING = DAY
GIVE_UP_CALLBACK = 7 * DAY
TOKEN_LIFE = 7 * DAY
TOKEN_LONGEST = 3650 * DAY
"""All in seconds: how long a send waits for room and for a decode, how long the phone that sent us media has to put it on the network
once more, how long a send and a callback are tried, how long a token lives,
and how long one that an operator makes by hand may live."""

WRONG_PASSWORDS, WRONG_WINDOW = 10, 60.0
"""Wrong passwords of one user from one address within so many seconds; the next one is refused unseen."""

RATES = {"/v1/messages": (50.0, 150)}
OTHER_RATES = (20.0, 60)
"""Where `webapp.rate_limits` is on: requests a second, and how many may come at once."""

BODY_IDLE, BODY_SLOWEST = 30.0, 1024
"""A body may stop for so many seconds, and must bring so many bytes a second once it has had that long."""

RESERVE_SHARE, RESERVE_BYTES, RESERVE_INODES = 0.03, 1 << 30, 10_000
"""How much of the volume uploads leave free: this share of it, at most so many bytes and so many inodes."""


def reserve(total: int) -> int:
    """Bytes of a volume of `total` bytes that uploads leave free; half of it is for what accepted messages need."""
    return min(int(total * RESERVE_SHARE), RESERVE_BYTES)


def reserve_inodes(total: int) -> int:
    """The same in inodes: a disk can run out of them first."""
    return min(int(total * RESERVE_SHARE), RESERVE_INODES)


def largest_plain(encrypted: int) -> int:
    """The most plain bytes whose encrypted blob has at most so many."""
    return (encrypted - 10) // 16 * 16 - 1


def encrypted_size(plain: int) -> int:
    """Bytes of the encrypted blob that `plain` bytes become: padded to 16, at least one byte of padding, 10 bytes of MAC."""
    return 16 * (plain // 16 + 1) + 10
