"""Which addresses a link may lead to: public ones, by the registries of IANA, and those that the operator opens.

The address is judged that is about to be dialled, so that neither a name that changes its answer nor an odd spelling gets past.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CLOSED_4 = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
        *("192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
GLOBAL_6 = IPv6Network("2000::/3")
CLOSED_6 = [IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")]
NAT64 = IPv6Network("64:ff9b::/96")
ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""The upper half of an interface id that carries an IPv4 address."""


class Guard:
    """`allow`: networks that are open, too. `nat64`: an operator's own prefix, whose addresses carry IPv4 ones; /96, None for none."""

    def __init__(self, allow: Sequence[str] = (), nat64: str | None = None) -> None:
        self._allow = networks(allow)
        own = [IPv6Network(nat64)] if nat64 else []
        if any(prefix.prefixlen != 96 for prefix in own):
            raise ValueError("nat64 must be a prefix of 96 bits, such as 2001:db8:64::/96")
        self._nat64 = [NAT64, *own]

    def admits(self, address: str) -> bool:
        """Whether this address may be dialled. Anything that is no address may not."""
        try:
            given = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        meant = self._unwrapped(given)
        return any(_in(one, network) for one in (given, meant) for network in self._allow) or _is_public(meant)

    def _unwrapped(self, address: Address) -> Address:
        """The IPv4 address that a translator would make of an IPv6 one."""
        if not isinstance(address, IPv6Address):
            return address
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if any(address in prefix for prefix in self._nat64):
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        return address


def networks(given: Sequence[str]) -> list[Network]:
    """Networks such as 10.0.0.0/8, or single addresses. Raises ValueError."""
    return [ip_network(text, strict=False) for text in given]


def _in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_4)
    carries_ipv4 = (int(address) >> 32) & 0xFFFF_FFFF in ISATAP
    return address in GLOBAL_6 and not any(address in network for network in CLOSED_6) and not carries_ipv4
