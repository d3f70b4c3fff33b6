"""What a person does with a phone: switch it, open a chat, read, play, fetch and forget media. One function per action."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from . import conversation, delivery, messages, phone, sending
from .bodies import Action as Said
from .errors import Refusal, invalid
from .magic import habits
from .messages import Message
from .network import Network
from .phone import Phone
from .store import Tx

Result = Message | None
Action = Callable[[Network, str, str | None], Awaitable[Result]]


async def act(network: Network, number: str, do: str, message: str | None, to: str | None = None) -> Result:
    """Do it; the message it was about, if it was about one. `to`: the number that something is forwarded to."""
    if do == "forward":
        return await _forward(network, number, message, to)
    action = ACTIONS.get(do)
    if action is None:
        raise invalid(f"The action {do!r} is unknown: use {', '.join([*ACTIONS, *SENDING, 'forward'])}.")
    if message is not None and do not in ABOUT_A_MESSAGE:
        raise invalid(f"The action {do} concerns the whole phone: leave the message out.")
    done = await action(network, number, message)
    network.outbox.wake()
    network.bells.ring(number)
    return done


async def send(network: Network, number: str, said: Said) -> Message:
    """What a person sends from a phone: a message of their own, or an emoji under one."""
    done = await SENDING[said.do](network, number, said)
    network.outbox.wake()
    network.bells.ring(number)
    return done


async def _forward(network: Network, number: str, message: str | None, to: str | None) -> Result:
    if message is None or to is None:
        raise invalid("Forwarding needs a message (its id or latest) and the member to, a phone number.")
    sent = await network.forward(number, message, to)
    network.bells.ring(sent.phone)
    return sent


async def switch(network: Network, number: str, online: bool) -> None:
    """What waits on the server comes when the phone is back, in its order."""
    if online and not habits(number).comes_online:
        raise Refusal(409, "never_online", f"The number {number} stands for a phone that never comes online.")
    now = network.clock.now()

    def run(tx: Tx) -> None:
        phone.change(tx, number, {"online": online})
        delivery.release(tx, number, now) if online else delivery.hold(tx, number)

    await network.store.write(run)
    async with network.agenda.lock:
        await network.agenda.catch_up()
    network.resending.wake()


async def _online(network: Network, number: str, _: str | None) -> Result:
    await switch(network, number, True)
    return None


async def _offline(network: Network, number: str, _: str | None) -> Result:
    await switch(network, number, False)
    return None


async def _block(network: Network, number: str, _: str | None) -> Result:
    await network.store.write(lambda tx: phone.change(tx, number, {"blocked": True}))
    return None


async def _unblock(network: Network, number: str, _: str | None) -> Result:
    await network.store.write(lambda tx: phone.change(tx, number, {"blocked": False}))
    return None


async def _open(network: Network, number: str, _: str | None) -> Result:
    """The chat with whoever wrote last, or will write first: all of it is read, and what comes while it is open."""

    def run(tx: Tx) -> None:
        owner = _awake(tx, number)
        _read_all(tx, owner, conversation.enter(tx, owner), network.clock.now())

    await network.store.write(run)
    return None


async def _leave(network: Network, number: str, _: str | None) -> Result:
    await network.store.write(lambda tx: conversation.leave(tx, number))
    return None


async def _read(network: Network, number: str, message: str | None) -> Result:
    """One message, or all: as a glance at the notification does, without opening the chat."""

    def run(tx: Tx) -> Result:
        owner, now = _awake(tx, number), network.clock.now()
        if message is None:
            _read_all(tx, owner, None, now)
            return None
        return _read_one(tx, owner, messages.one(tx, number, message), now)

    return await network.store.write(run)


async def _play(network: Network, number: str, message: str | None) -> Result:
    """One audio or video, the newest message unless told otherwise; playing is reading, too."""

    def run(tx: Tx) -> Result:
        owner, now = _awake(tx, number), network.clock.now()
        found = messages.one(tx, number, message or "latest")
        if found.envelope.media is None or found.envelope.media.type not in ("audio", "video"):
            raise Refusal(
                409, "not_playable", f"The message {found.id!r} is of type {found.envelope.type}: only audio and video are played."
            )
        if found.state != "downloaded":
            raise Refusal(409, "not_downloaded", f"The media of message {found.id!r} is {found.state}: download it first.")
        _read_one(tx, owner, found, now)
        tx.execute("UPDATE message SET played_at = ifnull(played_at, ?) WHERE seq = ?", (now, found.seq))
        return messages.one(tx, number, found.id)

    return await network.store.write(run)


async def _download(network: Network, number: str, message: str | None) -> Result:
    """One message's media, or that of all which the phone does not have."""

    def run(tx: Tx) -> tuple[list[Message], Result]:
        _awake(tx, number)
        missing = messages.of_state(tx, number, "not_downloaded", "unavailable", "queued")
        asked = messages.one(tx, number, message) if message else None
        if asked and asked.envelope.media is None:
            raise Refusal(404, "no_media", f"The message {asked.id!r} is of type {asked.envelope.type} and has no media.")
        wanted = [one for one in missing if (asked is None or one.seq == asked.seq) and (one.state != "queued" or one.due is not None)]
        for one in wanted:
            messages.queue(tx, one.seq)
            tx.execute("UPDATE message SET asks = 0 WHERE seq = ?", (one.seq,))
        wanted = [replace(one, asks=0) for one in wanted]
        return wanted, messages.one(tx, number, asked.id) if asked else None

    wanted, found = await network.store.write(run)
    for one in wanted:
        network.downloads.fetch(one, network.clock.now())
    return found


async def _forget(network: Network, number: str, message: str | None) -> Result:
    """The phone's own copy of one message's media, or of all."""

    def run(tx: Tx) -> tuple[list[str], Result]:
        phone.get(tx, number)
        asked = messages.one(tx, number, message) if message else None
        kept = messages.of_state(tx, number, "downloaded")
        gone = [one for one in kept if asked is None or one.seq == asked.seq]
        for one in gone:
            tx.execute("UPDATE message SET state = 'not_downloaded' WHERE seq = ?", (one.seq,))
        return [one.file for one in gone if one.file], messages.one(tx, number, asked.id) if asked else None

    files, found = await network.store.write(run)
    await network.downloads.drop(files)
    return found


def _awake(tx: Tx, number: str) -> Phone:
    """The phone, if anything can be done with it that the network hears of."""
    owner = phone.get(tx, number)
    if not owner.online:
        raise Refusal(409, "offline", f"The phone {number} is offline: bring it online first.")
    return owner


def _read_all(tx: Tx, owner: Phone, business: str | None, now: float) -> None:
    for message in messages.unread(tx, owner.number, business):
        delivery.read(tx, owner, message, now)


def _read_one(tx: Tx, owner: Phone, message: Message, now: float) -> Message:
    if message.read_at is None:
        delivery.read(tx, owner, message, now)
    return messages.one(tx, owner.number, message.id)


ACTIONS: dict[str, Action] = {
    "open": _open,
    "leave": _leave,
    "download": _download,
    "forget": _forget,
    "read": _read,
    "play": _play,
    "offline": _offline,
    "online": _online,
    "block": _block,
    "unblock": _unblock,
}
SENDING: dict[str, Callable[[Network, str, Said], Awaitable[Message]]] = {"send": sending.send, "react": sending.react}
ABOUT_A_MESSAGE = ("download", "forget", "read", "play")
