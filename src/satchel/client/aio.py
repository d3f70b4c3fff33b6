"""`AsyncSatchel`: the same calls, awaited. Each runs in a thread of the client's own, so that the loop never waits for the node."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from satchel.client.node import ApplicationSettings, Contacts, MediaNode, Message, Messages, Satchel, Sending, Webhooks

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 16
"""Calls under way at once; more wait for their turn."""


class Threads:
    """Runs calls that block."""

    def __init__(self, count: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(count, "satchel-client")

    def awaited(self, call: Callable[P, T]) -> Callable[P, Awaitable[T]]:
        """The same call, to be awaited."""

        async def run(*args: P.args, **given: P.kwargs) -> T:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **given))

        return run

    def listed(self, call: Callable[P, Iterator[T]]) -> Callable[P, Awaitable[list[T]]]:
        """All of an iterator at once."""

        def whole(*args: P.args, **given: P.kwargs) -> list[T]:
            return list(call(*args, **given))

        return self.awaited(whole)

    def sent(self, call: Callable[P, Message]) -> "Callable[P, Awaitable[AsyncMessage]]":
        """A call that gives a message, whose own calls are awaited, too."""

        def run(*args: P.args, **given: P.kwargs) -> AsyncMessage:
            return AsyncMessage(call(*args, **given), self)

        return self.awaited(run)

    def close(self) -> None:
        """Calls under way come to their end; nothing more is begun."""
        self._pool.shutdown(wait=False)


class AsyncSatchel:
    """A node; takes what `Satchel` takes. For use in an `async with`."""

    def __init__(self, url: str, **given: Any) -> None:
        self._node, self._threads = Satchel(url, **given), Threads()
        self.url = self._node.url
        self.media = AsyncMediaNode(self._node.media, self._threads)
        self.send = AsyncSending(self._node.send, self._threads)
        self.messages = AsyncMessages(self._node.messages, self._threads)
        self.webhooks = AsyncWebhooks(self._node.webhooks, self._threads)
        self.contacts = AsyncContacts(self._node.contacts, self._threads)
        self.settings = AsyncApplicationSettings(self._node.settings, self._threads)

    async def close(self) -> None:
        """Log out, if it was we who logged in."""
        await self._threads.awaited(self._node.close)()
        self._threads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class AsyncMessage:
    """A message that was accepted."""

    def __init__(self, message: Message, threads: Threads) -> None:
        self.id = message.id
        self.info = threads.awaited(message.info)
        self._wait = threads.awaited(message.wait)

    async def wait(self, status: str = "delivered", timeout: float = 10.0) -> Self:
        """As `Message.wait`."""
        await self._wait(status, timeout)
        return self


class AsyncMediaNode:
    """As `MediaNode`; `list` gives all at once."""

    def __init__(self, node: MediaNode, threads: Threads) -> None:
        self.upload, self.get = threads.awaited(node.upload), threads.awaited(node.get)
        self.delete, self.info = threads.awaited(node.delete), threads.awaited(node.info)
        self.list = threads.listed(node.list)


class AsyncSending:
    """As `Sending`; what it gives is waited for with `await`."""

    def __init__(self, sending: Sending, threads: Threads) -> None:
        self.text, self.image, self.video = threads.sent(sending.text), threads.sent(sending.image), threads.sent(sending.video)
        self.audio, self.document = threads.sent(sending.audio), threads.sent(sending.document)
        self.sticker = threads.sent(sending.sticker)


class AsyncMessages:
    """As `Messages`; `list` gives all at once."""

    def __init__(self, messages: Messages, threads: Threads) -> None:
        self.list = threads.listed(messages.list)
        self.get, self.retry = threads.sent(messages.get), threads.sent(messages.retry)


class AsyncWebhooks:
    """As `Webhooks`."""

    def __init__(self, webhooks: Webhooks, threads: Threads) -> None:
        self.list, self.get = threads.awaited(webhooks.list), threads.awaited(webhooks.get)
        self.replay, self.test = threads.awaited(webhooks.replay), threads.awaited(webhooks.test)


class AsyncContacts:
    """As `Contacts`."""

    def __init__(self, contacts: Contacts, threads: Threads) -> None:
        self.check = threads.awaited(contacts.check)


class AsyncApplicationSettings:
    """As `ApplicationSettings`."""

    def __init__(self, settings: ApplicationSettings, threads: Threads) -> None:
        self.get, self.change, self.reset = threads.awaited(settings.get), threads.awaited(settings.change), threads.awaited(settings.reset)
