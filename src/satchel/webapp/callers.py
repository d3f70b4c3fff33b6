"""Whose request it is: the peer, or the client that a trusted proxy names. For the brake on passwords, request rates and the log alone."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
CALLER = "satchel.caller"
"""Of the scope: the address, as the door has found it."""
FORWARDED = b"x-forwarded-for"
MOST_HOPS = 32
"""A client may write as many addresses into the header as it likes; we look at the last ones."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """What may be trusted: addresses and networks. Raises ValueError that names the text which is neither."""
    return tuple(ip_network(text) for text in texts)


class Callers:
    """`trusted`: proxies that put the address of whoever asks them last into X-Forwarded-For."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def address(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The rightmost address that is no trusted proxy's: what stands before it, anybody may have written.

        What is no address ends the search, and the proxy that passed it on counts; what comes out is an address in its one form.
        """
        if not self._trusted or (last := _read(peer)) is None or not self._trusts(last):
            return peer
        said = b",".join(value for name, value in headers if name == FORWARDED).decode("latin-1")
        for text in reversed(said.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
            if (before := _read(text)) is None:
                break
            last = before
            if not self._trusts(last):
                break
        return str(last)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(text: str) -> Address | None:
    """An address, perhaps with a port; one of IPv4 in IPv6's clothes is taken out of them. Zones are for links, and hold anything."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id is not None else address.ipv4_mapped or address
