"""Signatures of callbacks: Standard Webhooks (standardwebhooks.com) and the header that Meta's Cloud API sends."""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"


def headers(secret: str, callback_id: str, at: int, body: bytes) -> dict[str, str]:
    """What lets a receiver that knows the secret prove a callback. `at`: wall time of the attempt in whole seconds."""
    signed = f"{callback_id}.{at}.".encode() + body
    mine = base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()
    theirs = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"webhook-signature": f"v1,{mine}", "X-Hub-Signature-256": f"sha256={theirs}"}


def key_of(secret: str) -> bytes:
    """The key of a `whsec_…` secret is what its base64 holds; any other secret is its own key."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
