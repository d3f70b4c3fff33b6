"""Telling the business: how many at once, what an endpoint that is away costs, signatures, and telling again. Against a real receiver."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

import pytest

from satchel.coreapp.kinds import Callbacks
from satchel.coreapp.leases import Leases
from satchel.coreapp.worker import Worker
from satchel.db import callbacks, endpoints, lanes
from satchel.db.callbacks import News
from satchel.domain import signatures
from satchel.domain.statuses import Status
from satchel.flows import Ports, application, replays, statuses
from satchel.flows import callbacks as telling

from ..egress.test_post import OK, Receiver, listening
from ..journeys.running import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
REFUSED = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver


async def told(ports: Ports, *contacts: str) -> None:
    for number, contact in enumerate(contacts):
        news = News(f"status:{contact}:{number}", contact, {"statuses": [{"id": contact, "n": number}]})
        await ports.db.write(partial(callbacks.put_down, news=[news], url_set=True))


async def running(ports: Ports) -> tuple[Worker, "asyncio.Task[None]"]:
    worker = Worker(ports.db, [Callbacks(ports)], "test.core.0", 30.0)
    return worker, asyncio.create_task(worker.run())


async def states(ports: Ports) -> list[str]:
    return [row[0] for row in await ports.db.read(lambda tx: tx.all("SELECT state FROM callback ORDER BY seq"))]


async def until_done(ports: Ports) -> None:
    worker, task = await running(ports)
    while "waiting" in await states(ports):  # noqa: ASYNC110 - rows send no notice to a test
        await asyncio.sleep(0.02)
    worker.stop()
    await task


async def may_another(ports: Ports) -> bool:
    """Whether a second worker would begin one more now."""
    kind = Callbacks(ports)
    claimed = await Leases(ports.db, 30.0).claim(kind.kind, "another/1", lambda tx, lane: kind.head(tx, lane.name), kind.room, None)
    return claimed is not None


async def test_no_more_are_on_their_way_than_is_set(ports: Ports) -> None:
    at_once = most = 0
    full, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while await one_body(reader):
            at_once += 1
            most = max(most, at_once)
            if at_once == 3:
                full.set()
            await go_on.wait()
            at_once -= 1
            writer.write(OK)
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await application.change(ports.db, {"webhooks": {"url": url, "max_concurrent_requests": 3}}, "admin")
    await told(ports, *(f"1202555{n:04}" for n in range(20)))
    done = asyncio.create_task(until_done(ports))
    await full.wait()
    assert not await may_another(ports)
    go_on.set()
    await done
    assert most == 3
    server.close()


@pytest.mark.parametrize(("before", "after"), [(24, 1), (1, 24)])
async def test_the_order_of_a_contact_outlives_a_change_of_how_many_go_at_once(ports: Ports, before: int, after: int) -> None:
    """What was put down before waits behind an answer of 500 while the setting changes; another contact is refused for ever."""
    taken: list[tuple[str, int]] = []
    refused, well = "12025559999", asyncio.Event()
    contacts = [one for one in (f"1202555{n:04}" for n in range(12)) if callbacks.lane_of(one) != callbacks.lane_of(refused)]

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while body := await one_body(reader):
            told = json.loads(body)["statuses"][0]
            fine = well.is_set() and told["recipient_id"] != refused
            if fine:
                taken.append((told["recipient_id"], int(told["timestamp"])))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if fine else REFUSED)
        writer.close()

    async def tell(n: int) -> None:
        for contact in [refused, *contacts]:
            status = Status(f"{contact}-{n}", contact, "delivered", n)
            await ports.db.write(partial(statuses.record, statuses=[status]))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    hooks = {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"}
    waits = {"callback_backoff_delay_ms": 200, "max_callback_backoff_delay_ms": 200}
    await application.change(ports.db, {"webhooks": {**hooks, "max_concurrent_requests": before}, **waits}, "admin")
    worker, task = await running(ports)
    for n in range(3):
        await tell(n)
    await application.change(ports.db, {"webhooks": {"max_concurrent_requests": after}}, "admin")
    for n in range(3, 6):
        await tell(n)
    well.set()
    while len(taken) < 6 * len(contacts):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    worker.stop()
    await task
    server.close()
    for contact in contacts:
        assert [n for one, n in taken if one == contact] == list(range(6))


async def one_body(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request; empty when nobody asks any more."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        return await reader.readexactly(next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_one_at_a_time_is_one_over_all_contacts(ports: Ports) -> None:
    at_once = most = 0
    numbers: list[int] = []
    others: list[bool] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while body := await one_body(reader):
            at_once += 1
            most = max(most, at_once)
            others.append(await may_another(ports))
            numbers.append(json.loads(body)["n"])
            at_once -= 1
            writer.write(OK)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    hooks = {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", "max_concurrent_requests": "1"}
    await application.change(ports.db, {"webhooks": hooks}, "admin")
    for n in range(12):
        news = News(f"status:{n}", f"1202555{n:04}", {"n": n})
        await ports.db.write(partial(callbacks.put_down, news=[news], url_set=True))
    await until_done(ports)
    server.close()
    assert (most, others) == (1, [False] * 12)
    assert numbers == list(range(12))  # each contact's line became due when its news came


async def test_an_endpoint_that_is_away_is_paused_and_everybody_is_told_when_it_is_back(ports: Ports) -> None:
    port = free_port()
    patch = {"webhooks": {"url": f"http://127.0.0.1:{port}/"}, "callback_backoff_delay_ms": 300, "max_callback_backoff_delay_ms": 600}
    await application.change(ports.db, patch, "admin")
    await told(ports, *(f"1202555{n:04}" for n in range(40)))
    worker, task = await running(ports)
    while not (await ports.db.read(endpoints.find)).failures:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert await ports.db.read(telling.room) == 0
    while (await ports.db.read(endpoints.find)).failures < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    attempts = await ports.db.read(lambda tx: tx.one("SELECT count(*) FROM attempt"))
    assert attempts is not None and attempts[0] <= 24 + 3  # those that were under way, then one probe for each pause
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", port)
    while "waiting" in await states(ports):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert (await ports.db.read(endpoints.find)).failures == 0
    assert len(receiver.bodies) == 40
    worker.stop()
    await task
    server.close()


async def test_thousands_that_wait_all_arrive_in_order_for_each_contact(ports: Ports) -> None:
    port, contacts, each = free_port(), [f"1202555{n:04}" for n in range(50)], 40
    patch = {"webhooks": {"url": f"http://127.0.0.1:{port}/"}, "callback_backoff_delay_ms": 100, "max_callback_backoff_delay_ms": 200}
    await application.change(ports.db, patch, "admin")
    for number in range(each):
        news = [News(f"status:{contact}:{number}", contact, {"c": contact, "n": number}) for contact in contacts]
        await ports.db.write(partial(callbacks.put_down, news=news, url_set=True))
    worker, task = await running(ports)
    while not (await ports.db.read(endpoints.find)).failures:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", port)
    while await ports.db.read(lambda tx: tx.one("SELECT 1 FROM callback WHERE state = 'waiting' LIMIT 1")):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    worker.stop()
    await task
    server.close()
    told = [json.loads(body) for body in receiver.bodies]
    for contact in contacts:
        assert [one["n"] for one in told if one["c"] == contact] == list(range(each))


async def test_refusals_hold_back_their_own_contact_only(ports: Ports, receiver: Receiver) -> None:
    receiver.answers = [REFUSED, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    await application.change(ports.db, {"webhooks": {"url": receiver.url}, "callback_backoff_delay_ms": 200}, "admin")
    await told(ports, "12025550111", "12025550111")
    await until_done(ports)
    assert [json.loads(body)["statuses"][0]["n"] for body in receiver.bodies] == [0, 0, 1]
    assert (await ports.db.read(endpoints.find)).failures == 0


async def test_a_body_that_is_hung_up_on_holds_back_its_own_contact_only(ports: Ports) -> None:
    """A receiver that dies of one body and lives on is no endpoint that is away."""

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
            if b"12025550111" not in await reader.readexactly(length):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(dies, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await application.change(ports.db, {"webhooks": {"url": url}, "callback_backoff_delay_ms": 3_600_000}, "admin")
    await told(ports, "12025550111")
    worker, task = await running(ports)
    while not await ports.db.read(lambda tx: tx.one("SELECT 1 FROM attempt")):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert (await ports.db.read(endpoints.find)).failures == 0
    await told(ports, "12025550112", "12025550113")
    while (await states(ports)).count("done") < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert await states(ports) == ["waiting", "done", "done"]
    attempts = await ports.db.read(lambda tx: tx.one("SELECT count(*) FROM attempt"))
    assert attempts is not None and attempts[0] == 3  # the success of others is no end of an outage: nobody is nudged
    worker.stop()
    await task
    server.close()


async def test_signatures_prove_body_and_time(ports: Ports, receiver: Receiver) -> None:
    secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"
    await application.change(ports.db, {"webhooks": {"url": receiver.url, "secret": secret}}, "admin")
    await told(ports, "12025550111")
    await until_done(ports)
    id_, at = receiver.header("webhook-id")[0], int(receiver.header("webhook-timestamp")[0])
    made = signatures.headers(secret, id_, at, receiver.bodies[0])
    assert receiver.header("webhook-signature") == [made["webhook-signature"]]
    assert receiver.header("x-hub-signature-256") == [made["X-Hub-Signature-256"]]
    assert receiver.header("content-type") == ["application/json"]


async def test_a_replay_has_the_first_id_and_says_what_it_is(ports: Ports, receiver: Receiver) -> None:
    await application.change(ports.db, {"webhooks": {"url": receiver.url}}, "admin")
    await told(ports, "12025550111")
    await until_done(ports)
    first = receiver.header("webhook-id")
    found = await ports.db.read(lambda tx: callbacks.newest(tx, None, None, 10))
    made = await replays.replay(ports, replays.Wanted(ids=(found[0].id,)))
    await until_done(ports)
    again = await replays.replay(ports, replays.Wanted(ids=tuple(made)))
    await until_done(ports)
    assert len(again) == 1
    assert [receiver.header("webhook-id", of=n) for n in range(3)] == [first] * 3
    assert [receiver.header("satchel-replay", of=n) for n in range(3)] == [[], ["1"], ["1"]]
    assert receiver.bodies[0] == receiver.bodies[1] == receiver.bodies[2]


async def test_a_replay_of_what_still_waits_is_an_attempt_now_with_whatever_stands_before_it(ports: Ports, receiver: Receiver) -> None:
    patient = {"callback_backoff_delay_ms": 600_000, "max_callback_backoff_delay_ms": 600_000}
    await application.change(ports.db, {"webhooks": {"url": receiver.url}, **patient}, "admin")
    receiver.answers = [REFUSED, OK]
    await told(ports, "12025550111", "12025550111")
    worker, task = await running(ports)
    while not (waiting := await put_off(ports)):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    second, first = await ports.db.read(lambda tx: callbacks.newest(tx, "waiting", None, 10))
    assert waiting == [first.id]
    assert await replays.replay(ports, replays.Wanted(ids=(second.id,))) == [second.id]
    while "waiting" in await states(ports):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    worker.stop()
    await task
    assert receiver.bodies == [first.body.encode(), first.body.encode(), second.body.encode()]
    assert await states(ports) == ["done", "done"]


async def put_off(ports: Ports) -> list[str]:
    found = await ports.db.read(lambda tx: callbacks.newest(tx, "waiting", None, 10))
    return [one.id for one in found if one.due_in and one.due_in > 60]


async def test_a_replay_waits_for_no_pause(ports: Ports) -> None:
    port = free_port()
    patient = {"callback_backoff_delay_ms": 600_000, "max_callback_backoff_delay_ms": 600_000}
    await application.change(ports.db, {"webhooks": {"url": f"http://127.0.0.1:{port}/"}, **patient}, "admin")
    await told(ports, "12025550111", "12025550112")
    worker, task = await running(ports)
    while len(waiting := await put_off(ports)) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert (await ports.db.read(endpoints.find)).paused_for > 60
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", port)
    await replays.replay(ports, replays.Wanted(ids=(waiting[0],)))
    while "waiting" in await states(ports):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    worker.stop()
    await task
    server.close()


async def test_what_nobody_took_can_be_told_elsewhere(ports: Ports, receiver: Receiver) -> None:
    await ports.db.write(lambda tx: callbacks.put_down(tx, [News("status:a:read", "12025550111", {"a": 1})], False))
    assert await states(ports) == ["unsent"]
    made = await replays.replay(ports, replays.Wanted(failed=True, to=receiver.url))
    await until_done(ports)
    assert (len(made), receiver.bodies) == (1, [b'{"a":1}'])
    assert await replays.replay(ports, replays.Wanted(failed=True, to=receiver.url)) == []


async def test_the_feed_follows_in_order_and_begins_where_it_is_told(ports: Ports) -> None:
    horizon = ports.db.dialect["settled"]
    await told(ports, "12025550111", "12025550112")
    start = await ports.db.read(lambda tx: callbacks.cursor(tx, horizon, 60.0))
    rows = await ports.db.read(lambda tx: callbacks.following(tx, horizon, start, 10))
    assert [row.wa_id for row in rows] == ["12025550111", "12025550112"]
    end = await ports.db.read(lambda tx: callbacks.cursor(tx, horizon, None))
    assert await ports.db.read(lambda tx: callbacks.following(tx, horizon, end, 10)) == []
    await told(ports, "12025550113")
    assert [row.wa_id for row in await ports.db.read(lambda tx: callbacks.following(tx, horizon, end, 10))] == ["12025550113"]


async def test_leases_of_every_process_count(ports: Ports) -> None:
    await told(ports, "12025550111")
    assert await ports.db.read(lambda tx: lanes.leased(tx, callbacks.KIND)) == 0
    await ports.db.write(lambda tx: lanes.claim(tx, callbacks.KIND, "another/1", 30.0))
    assert await ports.db.read(lambda tx: lanes.leased(tx, callbacks.KIND)) == 1
    assert await ports.db.read(telling.room) == 23
