"""What becomes of a file on its way out: judged by what it is sent as and what was found in it, under the operator's rules. Pure."""

import re
from dataclasses import dataclass, field
from typing import Literal

from satchel.domain.errors import TOO_LARGE_TO_SEND, Fault
from satchel.domain.limits import ENCRYPTED_BYTES, MB, encrypted_size, largest_plain
from satchel.domain.media import Facts

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
    `background`: behind transparent pixels of an image, #rrggbb.
    """

    media_type: str
    action: Literal["keep", "strip", "convert"]
    mime: str | None
    most: int
    why: tuple[str, ...] = field(default=())
    background: str = "#ffffff"


def plan(facts: Facts, media_type: str, rules: Rules) -> Plan:
    """What to do. Raises `Fault(CONTENT_MISMATCH | TYPE_NOT_ACCEPTED)` for what cannot go out so, or may not by the rules,
    and `Fault(TOO_LARGE_TO_SEND)` for what is over the ceiling and may not be repaired.
    """
    from satchel.domain.pictures import plan_image, plan_sticker  # it needs `Plan`
    from satchel.domain.recordings import plan_recording

    policy, most = rules.of(media_type), largest_plain(ENCRYPTED_BYTES[media_type])
    if policy == "off":
        if facts.size > most:
            raise too_large(facts.size, media_type)
        return Plan(media_type, "keep", None, most)
    match media_type:
        case "image":
            return plan_image(facts, policy, most, rules.background)
        case "sticker":
            return plan_sticker(facts, policy, most)
        case _:
            return plan_recording(facts, media_type, policy, most)


def takes_long(facts: Facts, todo: Plan) -> bool:
    """Whether carrying it out may take minutes: sound and film encoded anew, as they are, too, where a strip is not enough."""
    recording = todo.media_type in ("audio", "video")
    return recording and (todo.action == "convert" or (todo.action == "strip" and facts.size > todo.most))


def too_large(plain: int, media_type: str) -> Fault:
    """What so many plain bytes are over the ceiling by, measured where it counts: on the encrypted blob."""
    size, ceiling = encrypted_size(plain), ENCRYPTED_BYTES[media_type]
    return Fault(
        TOO_LARGE_TO_SEND,
        f"{size} bytes ({size / MB:.2f} MiB) after post-processing and encryption; the limit for {media_type} is "
        f"{ceiling} bytes ({ceiling / MB:.4g} MiB). Send a smaller file.",
    )
