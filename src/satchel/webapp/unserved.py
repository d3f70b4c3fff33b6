"""Calls that On-Premises has and this node does not serve: told apart from addresses that nobody knows, so that no integrator is misled."""

UNSERVED = (
    "/v1/account",
    "/v1/certificates/external",
    "/v1/settings/account/two-step",
    "/v1/settings/backup",
    "/v1/settings/business/profile",
    "/v1/settings/profile",
    "/v1/settings/restore",
    "/v1/stickerpacks",
    "/v1/support",
)
"""Each with all that lies below it."""


def is_unserved(path: str) -> bool:
    """Whether the address is one of these calls."""
    return path.startswith(UNSERVED) and any(path == known or path.startswith(f"{known}/") for known in UNSERVED)
