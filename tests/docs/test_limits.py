"""The page on limits: each number on it is the code's, each number of `domain/limits.py` is on it, and what changes one exists."""

import re
from pathlib import Path

from satchel import coreapp, egress, postprocess, settings, volume
from satchel.domain import application, limits, messages, pictures, recordings, retention, templates
from satchel.domain.quantities import shown_duration, shown_share, shown_size
from satchel.egress import fetching
from satchel.webapp import bodies, protocol
from satchel_sandbox import bubbles, compose, world

from .test_docs import ROOT, rows

PAGE = "docs/reference/limits.md"
OF_MESSAGES, OF_OTHERS = limits.RATES["/v1/messages"], limits.OTHER_RATES

FILES = {
    "an upload, and a file behind a link": shown_size(limits.UPLOAD_BYTES),
    **{f"{kind}, encrypted": shown_size(most) for kind, most in limits.ENCRYPTED_BYTES.items()},
    **{f"{kind} before encryption": f"{limits.largest_plain(most):,} bytes" for kind, most in limits.ENCRYPTED_BYTES.items()},
    "a picture, width × height": f"{postprocess.Config().max_pixels:,} pixels",
    "a sticker": f"{pictures.SIDE} × {pictures.SIDE} pixels",
    "a side of a video": f"{recordings.MAX_SIDE:,} pixels",
}
MESSAGES = {
    "caption": f"{limits.CAPTION_CHARS:,} characters",
    "text": f"{limits.TEXT_CHARS:,} characters",
    "a template's components": shown_size(templates.MOST_BYTES),
    "a link": f"{messages.LINK_CHARS:,} characters",
    "redirects of a link": f"{fetching.REDIRECTS}",
    "a link's fetch, in all": f"{fetching.TOTAL:g} s",
    "a link's server without a byte": f"{fetching.SILENCE:g} s",
    "`ttl`": shown_duration(messages.LONGEST_TTL),
    "a JSON body": shown_size(bodies.JSON_BYTES),
    "numbers in one request to `/v1/contacts`": f"{limits.CONTACTS_AT_ONCE:,}",
}
TIME = {
    "the network keeps an encrypted file, from each send": shown_duration(world.LIFE),
    "unused media are kept, where gc is on": shown_duration(retention.Rule().unused_for),
    "media are kept after a use, whatever gc is asked for": shown_duration(retention.SHORTEST),
    "a message waits for room on the volume": shown_duration(volume.Config().wait_for_room),
    "a message waits until its file is made ready": shown_duration(limits.WAIT_FOR_RENDITION),
    "a message is tried while the network is away": shown_duration(limits.GIVE_UP_SENDING),
    "the phone that sent us a file has time to put it on the network again": shown_duration(limits.WAIT_FOR_SENDER),
    "a callback is tried": shown_duration(limits.GIVE_UP_CALLBACK),
    "a callback that came to an end can be looked at and replayed": shown_duration(limits.CALLBACK_LIFE),
    "a token of a login": shown_duration(limits.TOKEN_LIFE),
    "a token made by hand, at the most": shown_duration(limits.TOKEN_LONGEST),
    "it is remembered whether a number is on the network": shown_duration(limits.CONTACT_LIFE),
    "another Coreapp takes over from one that died": shown_duration(coreapp.Config().lease_ttl),
    "a body may stop": shown_duration(limits.BODY_IDLE),
    "a head must have come": shown_duration(protocol.HEAD_SECONDS),
    "an attempt of a callback": shown_duration(egress.TIMEOUT),
}
RATES = {
    "wrong passwords of one user from one address": f"{limits.WRONG_PASSWORDS} in {limits.WRONG_WINDOW:g} s",
    "`/v1/messages`, where it is switched on": f"{OF_MESSAGES[0]:g} a second, {OF_MESSAGES[1]} at once",
    "everything else below `/v1`, where it is switched on": f"{OF_OTHERS[0]:g} a second, {OF_OTHERS[1]} at once",
    "callbacks at once, over all hosts": f"{application.CONCURRENT}",
    "a body's slowest pace": f"{limits.BODY_SLOWEST:,} bytes a second",
}
ROOM = {
    "it warns above": shown_share(volume.Config().high_water),
    "uploads leave free": f"{shown_share(limits.RESERVE_SHARE)}, at most {shown_size(limits.RESERVE_BYTES)} "
    f"and {limits.RESERVE_INODES:,} inodes",
    "what accepted messages need leaves free": "half of that",
}
PHONE = {
    "images in a row that become an [album](../explanation/albums.md)": f"{compose.ALBUM}",
    "a document's label on Android (a guess)": f"{bubbles.ANDROID_LABEL} characters",
}
UNITS = {"KB", "MB", "HOUR", "DAY", "WAIT_FOR_ROOM"}
"""No limits but what they are counted in, and one that is looked at through its setting."""


def table() -> list[list[str]]:
    return [row for row in rows(PAGE) if len(row) == 3 and row[0] != "what"]


def test_limits_are_those_of_the_code() -> None:
    assert {row[0]: row[1] for row in table()} == FILES | MESSAGES | TIME | RATES | ROOM | PHONE


def test_every_limit_of_the_code_is_on_the_page() -> None:
    used = set(re.findall(r"limits\.([A-Z_]+)", Path(__file__).read_text(encoding="utf-8")))
    assert {name for name in vars(limits) if name.isupper()} - UNITS == used


def test_what_changes_a_limit_exists() -> None:
    named = {row[2].strip("`") for row in table() if row[2]}
    application_settings = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    for name in named - set(settings.names()):
        command, _, option = name.rpartition(" ")
        commands = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
        assert f"| `{name}` |" in application_settings or (f"## {command}\n" in commands and f"- `{option}`" in commands), name
