"""Signatures of callbacks, against the published example of Standard Webhooks and against the definition of the other header."""

import hashlib
import hmac

from satchel.domain import signatures

SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
BODY = b'{"event_type":"ping","data":{"success":true}}'


def test_the_published_example_comes_out() -> None:
    made = signatures.headers(SECRET, "msg_loFOjxBNrRLzqYUf", 1731705121, BODY)
    assert made["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_the_other_header_is_keyed_with_the_secret_as_it_stands() -> None:
    made = signatures.headers("sixteen-or-longer", "cb_1", 1, BODY)
    assert made["X-Hub-Signature-256"] == "sha256=" + hmac.new(b"sixteen-or-longer", BODY, hashlib.sha256).hexdigest()


def test_a_secret_that_only_looks_like_base64_is_its_own_key() -> None:
    assert signatures.key_of("whsec_not base64!") == b"whsec_not base64!"
