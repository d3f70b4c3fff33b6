"""The streaming sidecar: a MAC for each 64 KiB of audio and video, so that a player can check and decrypt what it has."""

import hashlib
import hmac

MAC_BYTES, WINDOW, CHAINED = 10, 65_536, 16
"""Bytes of a MAC, of a window, and of the next one that the cipher chains to it."""


class Sidecar:
    """Takes the encrypted bytes in order, the blob's own MAC last. What is covered begins with the IV."""

    def __init__(self, mac_key: bytes, iv: bytes) -> None:
        self._mac_key, self._held = mac_key, bytearray(iv)
        self._macs: list[bytes] = []

    def update(self, sealed: bytes | memoryview) -> None:
        """The next bytes."""
        self._held += sealed
        start = 0
        with memoryview(self._held) as held:
            while len(held) - start >= WINDOW + CHAINED:
                self._add(held[start : start + WINDOW + CHAINED])
                start += WINDOW
        del self._held[:start]

    def digest(self) -> bytes:
        """All MACs; call it once, at the end."""
        for start in range(0, len(self._held), WINDOW):
            self._add(memoryview(self._held)[start : start + WINDOW + CHAINED])
        return b"".join(self._macs)

    def _add(self, window: memoryview) -> None:
        self._macs.append(hmac.digest(self._mac_key, window, hashlib.sha256)[:MAC_BYTES])
