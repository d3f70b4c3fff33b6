"""The same world for tests that are coroutines: whatever waits is awaited, and runs in threads so that the loop goes on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from satchel.client.aio import AsyncMediaNode, Threads
from satchel.testing.chat import Chat, Wanted
from satchel.testing.phones import OnPhone, Phone
from satchel.testing.receiver import Callback
from satchel.testing.world import Expected

if TYPE_CHECKING:
    from satchel.testing.world import World


class AsyncWorld:
    """What the fixture `whatsapp_async` gives; names and meaning are those of `World`."""

    def __init__(self, world: "World") -> None:
        self._world, self._threads = world, Threads()
        self.url, self.token = world.url, world.token
        self.media = AsyncMediaNode(world.media, self._threads)
        self.advance = self._threads.awaited(world.clock.advance)

    @property
    def webhooks(self) -> list[Callback]:
        """The callbacks of this test by now, in order of arrival."""
        return self._world.webhooks

    async def phone(self, number: str | None = None, **given: Any) -> "AsyncPhone":
        """As `World.phone`."""
        return AsyncPhone(await self._threads.awaited(self._world.phone)(number, **given), self._threads)

    @asynccontextmanager
    async def expect_webhook(self, kind: str, timeout: float = 5.0, **fields: Any) -> AsyncIterator[Expected]:
        """As `World.expect_webhook`."""
        expected = Expected(self._world, kind, fields, timeout)
        yield expected
        await self._threads.awaited(expected.wait)()

    def close(self) -> None:
        """Calls under way come to their end."""
        self._threads.close()


class AsyncPhone:
    """One phone. `number`: its digits."""

    def __init__(self, phone: Phone, threads: Threads) -> None:
        self._phone, self._threads, self.number = phone, threads, phone.number
        self.online, self.offline = threads.awaited(phone.online), threads.awaited(phone.offline)
        self.settle, self.send, self.react = threads.awaited(phone.settle), threads.awaited(phone.send), threads.awaited(phone.react)

    async def wait_for(self, type_: str | None = None, timeout: float = 5.0, *, text: str | None = None) -> "AsyncOnPhone":
        """As `Phone.wait_for`."""
        return AsyncOnPhone(await self._threads.awaited(self._phone.wait_for)(type_, timeout, text=text), self._threads)

    @asynccontextmanager
    async def opened(self, timeout: float = 5.0) -> AsyncIterator["AsyncChat"]:
        """As `Phone.opened`."""
        visit = self._phone.opened(timeout)
        chat = await self._threads.awaited(visit.__enter__)()
        try:
            yield AsyncChat(chat, self._threads)
        finally:
            await self._threads.awaited(visit.__exit__)(None, None, None)


class AsyncChat:
    """What one sees between `open` and `leave`."""

    def __init__(self, chat: Chat, threads: Threads) -> None:
        self._expect = threads.awaited(chat.expect)

    async def expect(self, wanted: Sequence[Wanted], timeout: float = 2.0) -> None:
        """As `Chat.expect`."""
        await self._expect(wanted, timeout)


class AsyncOnPhone:
    """A message on a phone. What it said is known; its state, bytes and media id are asked for."""

    def __init__(self, message: OnPhone, threads: Threads) -> None:
        self._message, self._threads = message, threads
        self.id, self.type, self.caption, self.text = message.id, message.type, message.caption, message.text

    async def state(self) -> str | None:
        """As `OnPhone.state`."""
        return await self._threads.awaited(lambda: self._message.state)()

    async def bytes(self) -> bytes:
        """As `OnPhone.bytes`."""
        return await self._threads.awaited(lambda: self._message.bytes)()

    async def media_id(self) -> str | None:
        """As `OnPhone.media_id`."""
        return await self._threads.awaited(lambda: self._message.media_id)()

    async def download(self, timeout: float = 10.0) -> Self:
        """As `OnPhone.download`."""
        await self._threads.awaited(self._message.download)(timeout)
        return self

    async def forget(self) -> Self:
        """As `OnPhone.forget`."""
        await self._threads.awaited(self._message.forget)()
        return self
