"""What is told of a file that nobody sends yet: what was found in it, what would be done and whether it could go out. Pure."""

from dataclasses import dataclass
from typing import Literal

from satchel.domain.errors import Fault
from satchel.domain.limits import ENCRYPTED_BYTES, encrypted_size
from satchel.domain.media import Facts, Rendered
from satchel.domain.pictures import PICTURES, READABLE, SIDE
from satchel.domain.plans import Plan, too_large

Verdict = Literal["ok", "changed", "refused"]
WITHOUT_METADATA = "what is no picture and no sound stays behind"


@dataclass(frozen=True)
class Action:
    """`do`: `strip` or `convert`, as in a `Plan`; `before`, `after`: mimes, of a conversion."""

    do: str
    why: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Report:
    """`declared`: the mime of the request. Sizes in bytes; `processed`: None where nothing can go out, for which `problem` says why."""

    verdict: Verdict
    declared: str
    media_type: str
    facts: Facts
    upload: int
    processed: int | None = None
    actions: tuple[Action, ...] = ()
    problem: Fault | None = None

    @property
    def encrypted(self) -> int | None:
        """Bytes of the encrypted blob."""
        return None if self.processed is None else encrypted_size(self.processed)


def type_of(facts: Facts) -> str:
    """The media type that content is sent as where nobody names one."""
    if facts.format in PICTURES:
        sticker = (facts.format, facts.width, facts.height) == ("webp", SIDE, SIDE)
        return "sticker" if sticker else "image"
    kinds = {stream.kind for stream in facts.streams} or {facts.mime.partition("/")[0]}
    return "video" if "video" in kinds else "audio" if "audio" in kinds else "document"


def report(facts: Facts, todo: Plan, upload: int, rendered: Rendered | None, declared: str) -> Report:
    """Of a file for which there is a plan. `rendered`: what was made of it. Raises `Fault(TOO_LARGE_TO_SEND)`."""
    processed = rendered.size if rendered else upload
    if encrypted_size(processed) > ENCRYPTED_BYTES[todo.media_type]:
        raise too_large(processed, todo.media_type)
    verdict: Verdict = "changed" if todo.action == "convert" else "ok"
    actions = _actions(facts, todo, upload, rendered) if rendered else ()
    return Report(verdict, declared, todo.media_type, facts, upload, processed, actions)


def detected(facts: Facts) -> dict[str, object]:
    """What was found, by the names of the report; without what nobody looked for or what there is none of."""
    picture = next((stream for stream in facts.streams if stream.kind == "video"), None)
    sound = next((stream for stream in facts.streams if stream.kind == "audio"), None)
    found = {
        "container": None if facts.format == "unknown" else facts.format,
        "codecs": [stream.codec for stream in facts.streams if stream.codec],
        "w": picture.width if picture else facts.width,
        "h": picture.height if picture else facts.height,
        "duration": round(facts.seconds, 3),
        "channels": sound.channels if sound else 0,
    }
    return {"mime": facts.mime, **{name: value for name, value in found.items() if value}, **_seen(facts)}


def _seen(facts: Facts) -> dict[str, object]:
    """What only a look into a picture tells: of one that was ruled out by its header, nothing is known of its pixels."""
    if facts.format not in READABLE or not facts.width:
        return {}
    return {"animated": facts.animated, **({} if facts.beyond else {"alpha": facts.transparent})}


def _actions(facts: Facts, todo: Plan, upload: int, rendered: Rendered) -> tuple[Action, ...]:
    if todo.action == "convert":
        return tuple(Action("convert", why, facts.mime, rendered.mime) for why in todo.why)
    return (Action("strip", WITHOUT_METADATA),) if rendered.size != upload else ()
