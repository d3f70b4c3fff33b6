"""What becomes of a file on its way out: judged by what it is sent as and what was found in it, under the operator's rules. Pure."""

import re
from dataclasses import dataclass, field
from typing import Literal

from satchel.domain.limits import ENCRYPTED_BYTES, largest_plain
from satchel.domain.media import IMAGE_FORMATS, Facts, judge_image

Policy = Literal["off", "refuse", "repair"]
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Rules:
    """What to do about a file that cannot go out as it is, by media type.

    `off`: look at nothing but the size; `refuse`: say why; `repair`: make of it what can. `background`: behind transparent pixels, #rrggbb.
    """

    image: Policy = "repair"
    sticker: Policy = "repair"
    audio: Policy = "repair"
    video: Policy = "repair"
    background: str = "#ffffff"

    def __post_init__(self) -> None:
        if not COLOUR.fullmatch(self.background):
            raise ValueError("background must be a colour such as #ffffff")

    def of(self, media_type: str) -> Policy:
        """For one media type; documents are never touched."""
        policy: Policy = "off" if media_type == "document" else getattr(self, media_type)
        return policy


@dataclass(frozen=True)
class Plan:
    """`action`: `keep` the original; `strip` it, which changes no pixel and no sound; `convert` it, decoded and encoded anew.

    `mime`: of the result; None keeps that of the upload. `most`: bytes the result may have. `why`: a sentence for each change.
    """

    media_type: str
    action: Literal["keep", "strip", "convert"]
    mime: str | None
    most: int
    why: tuple[str, ...] = field(default=())


def plan(facts: Facts, media_type: str, rules: Rules) -> Plan:
    """What to do. Raises `Fault(CONTENT_MISMATCH | TYPE_NOT_ACCEPTED)` for what cannot go out so, or may not by the rules."""
    most = largest_plain(ENCRYPTED_BYTES[media_type])
    if rules.of(media_type) == "off":
        return Plan(media_type, "keep", None, most)
    judge_image(facts)
    return Plan(media_type, "strip", IMAGE_FORMATS[facts.format], most)
