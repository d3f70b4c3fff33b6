"""Phones: their rows. What reaches them is `delivery.py`, what a person does with one `actions.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import Refusal
from .magic import habits
from .store import Tx

ANY_CHAT = "*"
FICTION = "1202555"
_FREE = range(111, 200)  # below lie the numbers of magic.py
_COLUMNS = "number, name, system, locale, timezone, online, auto_download, read_receipts, blocked, chat"


@dataclass(frozen=True)
class Phone:
    """`chat`: the business whose chat is open, ANY_CHAT = the first that will write, None = no chat is open."""

    number: str
    name: str
    system: str
    locale: str
    timezone: str
    online: bool
    auto_download: bool
    read_receipts: bool
    blocked: bool
    chat: str | None

    def reads(self, business: str) -> bool:
        """Whether what this business sends is read as soon as it arrives."""
        return habits(self.number).reads or self.chat in (business, ANY_CHAT)


def find(tx: Tx, number: str) -> Phone | None:
    row = tx.execute(f"SELECT {_COLUMNS} FROM phone WHERE number = ?", (number,)).fetchone()
    return _phone(row) if row else None


def get(tx: Tx, number: str) -> Phone:
    """The phone of a number. Whoever is named for the first time gets one, for the asking."""
    return find(tx, number) or add(tx, number)


def add(tx: Tx, number: str) -> Phone:
    """A new phone as its number says, else an Android phone that is online and fetches everything."""
    usual = habits(number)
    if not usual.on_network:
        raise Refusal(404, "not_on_network", f"Nobody uses the network under the number {number}.")
    values = (number, number, "android", "en", "UTC", usual.comes_online, True, usual.read_receipts, usual.blocked, None)
    tx.execute(f"INSERT INTO phone ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return Phone(*values)


def free_number(tx: Tx) -> str:
    """A number of the fiction range that no phone has."""
    taken = {number for (number,) in tx.execute("SELECT number FROM phone WHERE number LIKE ?", (FICTION + "%",))}
    found = next((number for number in (f"{FICTION}{last:04}" for last in _FREE) if number not in taken), None)
    if found is None:
        raise Refusal(409, "no_number", "Every number of the fiction range has a phone: name a number, or delete a phone.")
    return found


def change(tx: Tx, number: str, changes: Mapping[str, object]) -> Phone:
    """Set columns. `changes` has names of columns only, whoever calls has seen to that."""
    get(tx, number)
    for column, value in changes.items():
        tx.execute(f'UPDATE phone SET "{column}" = ? WHERE number = ?', (value, number))
    return get(tx, number)


def listing(tx: Tx) -> list[tuple[Phone, int, int]]:
    """Every phone, how many messages it has and how many wait for it on the server."""
    counted = (
        "SELECT phone, count(*) FILTER (WHERE state NOT IN ('server', 'lost')) AS has, count(*) FILTER (WHERE state = 'server') AS waits"
        " FROM message GROUP BY phone"
    )
    columns = ", ".join(f"phone.{column}" for column in _COLUMNS.split(", "))
    rows = tx.execute(
        f"SELECT ifnull(has, 0), ifnull(waits, 0), {columns} FROM phone LEFT JOIN ({counted}) AS m ON m.phone = number ORDER BY number"
    )
    return [(_phone(row), has, waits) for has, waits, *row in rows]


def forget(tx: Tx, number: str) -> None:
    """No phone has this number any more; its messages, keys included, are lost. Their ids stay known: nothing is delivered twice."""
    if find(tx, number) is None:
        raise unknown(number)
    tx.execute("DELETE FROM phone WHERE number = ?", (number,))
    tx.execute("DELETE FROM visit WHERE phone = ?", (number,))
    tx.execute(
        "UPDATE message SET state = 'lost', reason = 'the phone was deleted', due = NULL, file = NULL, envelope = x'' WHERE phone = ?",
        (number,),
    )


def unknown(number: str) -> Refusal:
    return Refusal(404, "unknown_phone", f"There is no phone {number}: add it, or send it something.")


def _phone(row: tuple[object, ...] | list[object]) -> Phone:
    number, name, system, locale, timezone, online, auto_download, receipts, blocked, chat = row
    told = (str(number), str(name), str(system), str(locale), str(timezone))
    return Phone(*told, bool(online), bool(auto_download), bool(receipts), bool(blocked), None if chat is None else str(chat))
