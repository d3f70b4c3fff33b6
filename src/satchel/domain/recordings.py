"""What becomes of a recording that is sent as audio or as a video: the rules of the media page, and what fits. Pure.

Bit rates are chosen here and not where they are used, so that a plan already knows what can never fit.
"""

from satchel.domain.errors import CONTENT_MISMATCH, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED, Fault
from satchel.domain.media import Facts, Stream, advice
from satchel.domain.plans import Plan, Policy, too_large

MP4 = {"mp4", "3gp", "quicktime"}
"""Formats of one container, which FFmpeg calls mov."""

FORMATS = MP4 | {"aac", "aiff", "amr", "asf", "avi", "caf", "flac", "flv", "matroska", "mp3", "ogg", "wav", "webm"}
"""Formats that are looked into."""

AAC, OPUS, H264 = "audio/mp4", "audio/ogg; codecs=opus", "video/mp4"
"""What is made: AAC in MP4, one channel of Opus in Ogg, H.264 with AAC in MP4."""

BARE = {"aac": ("aac", "audio/aac"), "amr_nb": ("amr", "audio/amr"), "amr_wb": ("amr", "audio/amr"), "mp3": ("mp3", "audio/mpeg")}
"""Sound that goes out untouched: by codec, the format it must lie in and the mime."""

FITS = 0.96
"""The share of a file that is sound and picture; the rest is the container, and what a coder takes more than it was given."""

SOUND_RATES = {AAC: (128_000, 96_000, 64_000, 48_000), OPUS: (64_000, 48_000, 32_000, 24_000, 16_000)}
LEAST_SOUND, BEST_SOUND = 48_000, 128_000
"""Bits a second of the sound in a video: on its own one eighth of what there is, within these."""

LINES = ((1080, 300_000), (720, 200_000), (480, 100_000))
"""Pixels of a picture's shorter side, and the fewest bits a second with which it is that large."""

YUV420 = {"yuv420p", "yuvj420p"}
"""Eight bits, one colour for four pixels; in the second the levels use the whole range."""

MAX_SIDE = 8192
"""Pixels: no phone plays a larger picture, and no child has the memory for one."""


def plan_recording(facts: Facts, media_type: str, policy: Policy, most: int) -> Plan:
    """What to do with a file sent as "audio" or "video" that may have `most` bytes. Raises `Fault`; see `plan`."""
    return (plan_audio if media_type == "audio" else plan_video)(facts, policy, most)


def plan_audio(facts: Facts, policy: Policy, most: int) -> Plan:
    """Keep what is accepted, strip MP4, convert the rest. Raises `Fault`; see `plan`."""
    sound = _sound_of(facts, "audio")
    if any(stream.kind == "video" for stream in facts.streams):
        raise Fault(CONTENT_MISMATCH, f"Sent as audio, found {_found(facts)}: send it as a video.")
    why = _audio_lacks(facts, sound)
    _judge(facts, "audio", why, policy, most)
    if not why and facts.size <= most:
        strip = facts.format in MP4
        return Plan("audio", "strip" if strip else "keep", AAC if strip else _mime(sound[0]), most)
    mime = OPUS if sound[0].codec == "opus" or not sound_rate(AAC, facts.seconds, most) else AAC
    if not sound_rate(mime, facts.seconds, most):
        raise _too_long(facts, "audio", most, SOUND_RATES[OPUS][-1])
    return Plan("audio", "convert", mime, most, _with_size(why, facts, most))


def plan_video(facts: Facts, policy: Policy, most: int) -> Plan:
    """Strip H.264 with AAC or no sound, convert the rest. Raises `Fault`; see `plan`."""
    pictures = [stream for stream in facts.streams if stream.kind == "video"]
    if not pictures:
        _sound_of(facts, "video")
        raise Fault(CONTENT_MISMATCH, f"Sent as video, found {_found(facts)} and no moving picture: send it as audio.")
    largest = max(max(stream.width, stream.height) for stream in pictures)
    if largest > MAX_SIDE:
        details = f"This {facts.mime} has a side of {largest} pixels; the limit is {MAX_SIDE}: send a smaller one, or a document."
        raise Fault(TYPE_NOT_ACCEPTED, details)
    why = _video_lacks(facts, pictures)
    _judge(facts, "video", why, policy, most)
    if not why and facts.size <= most:
        return Plan("video", "strip", H264, most)
    if not lines_of(picture_rate(facts.seconds, most)):
        raise _too_long(facts, "video", most, LINES[-1][1] + LEAST_SOUND)
    return Plan("video", "convert", H264, most, _with_size(why, facts, most))


def sound_rate(mime: str, seconds: float, most: int) -> int:
    """Bits a second with which so many seconds of sound alone fit; 0 where none does."""
    return next((rate for rate in SOUND_RATES[mime] if rate * seconds <= most * 8 * FITS), 0)


def sound_share(seconds: float, most: int) -> int:
    """Bits a second for the sound of a video."""
    return int(min(BEST_SOUND, max(LEAST_SOUND, most * FITS / max(seconds, 1))))


def picture_rate(seconds: float, most: int) -> int:
    """Bits a second that are left for the picture of a video; not more than 0 where nothing is."""
    return int(most * 8 * FITS / max(seconds, 1)) - sound_share(seconds, most)


def lines_of(rate: int) -> int:
    """Pixels the shorter side of a picture may have with so many bits a second; 0 where it is not worth looking at."""
    return next((lines for lines, least in LINES if rate >= least), 0)


def shown_time(seconds: float) -> str:
    """For people: `2 h 05 min`, `3 min 20 s`, `4.5 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def _audio_lacks(facts: Facts, sound: list[Stream]) -> list[str]:
    first = sound[0]
    why = [f"{len(sound)} audio streams; audio must have one"] if len(sound) > 1 else []
    if facts.format == "ogg" and first.codec == "opus":
        return why + ([f"{first.channels} channels of Opus; audio/ogg must have one"] if first.channels != 1 else [])
    if (first.codec == "aac" and facts.format in MP4) or BARE.get(first.codec, ("", ""))[0] == facts.format:
        return why
    return [*why, f"{facts.mime} with {first.codec}; audio must be AAC, MP4 with AAC, AMR, MP3 or Ogg with Opus"]


def _video_lacks(facts: Facts, pictures: list[Stream]) -> list[str]:
    sound = [stream for stream in facts.streams if stream.kind == "audio"]
    first, why = pictures[0], []
    if facts.format not in MP4:
        why.append(f"{facts.mime}; videos must be video/mp4 or video/3gpp")
    if len(pictures) > 1:
        why.append(f"{len(pictures)} video streams; videos must have one")
    if first.codec != "h264" or first.pixels not in YUV420:
        pixels = f" with {first.pixels} pixels" if first.codec == "h264" and first.pixels else ""
        why.append(f"a picture in {first.codec}{pixels}; videos must be in h264 with yuv420p pixels")
    if len(sound) > 1:
        why.append(f"{len(sound)} audio streams; videos must have one or none")
    if sound and sound[0].codec != "aac":
        why.append(f"sound in {sound[0].codec}; the sound of videos must be in aac")
    return why


def _sound_of(facts: Facts, media_type: str) -> list[Stream]:
    """The audio streams. Raises `Fault` for a file that has neither picture nor sound."""
    sound = [stream for stream in facts.streams if stream.kind == "audio"]
    if facts.format not in FORMATS:
        found = facts.mime if facts.format != "unknown" else "no known file type"
        raise Fault(CONTENT_MISMATCH, f"Sent as {media_type}, found {found}: {advice(facts.mime, media_type)}.")
    if not any(stream.kind in {"audio", "video"} for stream in facts.streams):
        details = f"Sent as {media_type}, found {facts.mime} without sound or moving picture: send it as a document."
        raise Fault(CONTENT_MISMATCH, details)
    return sound


def _judge(facts: Facts, media_type: str, why: list[str], policy: Policy, most: int) -> None:
    """Raise `Fault` where the policy wants no repair."""
    if policy == "repair" or (not why and facts.size <= most):
        return
    if not why:
        raise too_large(facts.size, media_type)
    article = "an audio" if media_type == "audio" else "a video"
    details = f"This {facts.mime} cannot go out as {article}: {'; '.join(why)}. Convert it, or send it as a document."
    raise Fault(TYPE_NOT_ACCEPTED, details)


def _with_size(why: list[str], facts: Facts, most: int) -> tuple[str, ...]:
    return (*why, f"{facts.size} bytes; at most {most} may go out") if facts.size > most else tuple(why)


def _too_long(facts: Facts, media_type: str, most: int, rate: int) -> Fault:
    fits = most * 8 * FITS / rate
    return Fault(
        TOO_LARGE_TO_SEND,
        f"This {facts.mime} lasts {shown_time(facts.seconds)}; at most {shown_time(fits)} of {media_type} fit into the {most} bytes that "
        "may go out. Send a shorter one, or send it as a document.",
    )


def _found(facts: Facts) -> str:
    return f"{facts.mime} with {' and '.join(f'{stream.kind} in {stream.codec}' for stream in facts.streams[:4])}"


def _mime(sound: Stream) -> str:
    return OPUS if sound.codec == "opus" else BARE[sound.codec][1]
