"""The lane table: ordered lines of work, leased by token. The items stand in their own tables (messages, preparations, callbacks).

The order of statements is the protocol: wake before the item is inserted, lock before a look, and the token is the fence.
Several lanes are locked in the order of the path (preparations, messages, callbacks) and by name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from satchel.db import Tx

PATIENT_AFTER = 3
"""From this claim in a row without a settled item a lane is run alone in its process and its lease grows: its head may kill its worker."""
LAST_CLAIM = 7
"""After so many claims in a row, five of them alone, the head of the lane is not tried any more."""
LONGEST_LEASE = 900.0
SUSPECT = f"claims >= {PATIENT_AFTER - 1}"
"""Written as in the partial index. `claims` counts what was not settled, so the next claim is one more."""


@dataclass(frozen=True)
class Claimed:
    """A lane that is ours while `token` stands in its row; `claims`: how often it was claimed since an item was settled."""

    name: str
    token: str
    claims: int

    def ttl(self, base: float) -> float:
        """Seconds a lease of this lane lasts."""
        return base if self.claims < PATIENT_AFTER else max(base, min(LONGEST_LEASE, base * 2.0 ** (self.claims - PATIENT_AFTER + 1)))

    @property
    def hopeless(self) -> bool:
        """Its head ended its worker each time, also when nothing else was in work there."""
        return self.claims > LAST_CLAIM


@dataclass(frozen=True)
class Asked:
    """Of a kind of lane: how many may be started (`most`), whether its items could end their worker, groups that do not count."""

    kind: str
    most: int
    risky: bool = False
    crowded: Sequence[str] = ()


@dataclass(frozen=True)
class Line:
    """What there is to do of a kind. `due`: lanes, counted up to the most, without those that must be run alone.

    `suspect`: one of those is due; `after`: seconds until the next lane is due, None when none is.
    """

    due: int
    suspect: bool
    after: float | None


def wake(tx: Tx, name: str, kind: str) -> None:
    """Make the lane due now, unless it is due already or leased (whoever holds it will look again). Locks its row."""
    tx.run(
        "INSERT INTO lane (name, kind, run_at, claims) VALUES (:name, :kind, :now, 0) "
        "ON CONFLICT (name) DO UPDATE SET run_at = excluded.run_at "
        "WHERE lane.lease IS NULL AND (lane.run_at IS NULL OR lane.run_at > excluded.run_at)",
        name=name,
        kind=kind,
    )
    tx.woke = True


def wake_all(tx: Tx, names: Iterable[str], kind: str) -> None:
    """Wake several lanes of a kind, in name order: two transactions that wake in opposite order would deadlock."""
    for name in sorted(set(names)):
        wake(tx, name, kind)


def group_of(name: str) -> str:
    """What a lane's name begins with, up to its last colon: of links, their server."""
    return name.rpartition(":")[0]


def survey(tx: Tx, asked: Sequence[Asked]) -> list[Line]:
    """What there is to do of some kinds of lane, in their order, in one statement: it is asked many times a second."""
    values: dict[str, str | int] = {}
    for n, one in enumerate(asked):
        values |= {f"kind{n}": one.kind, f"most{n}": one.most}
    told = " UNION ALL ".join(_told(n, one, values) for n, one in enumerate(asked))
    rows = tx.all(f"SELECT * FROM ({told}) AS told ORDER BY n", **values)
    return [Line(due, bool(suspect), after) for _, due, suspect, after in rows]


def _told(n: int, asked: Asked, values: dict[str, str | int]) -> str:
    """The row of one kind; what it binds beyond its kind and its most is added to `values`."""
    others, bound = _outside(asked.crowded, f"kind{n}_")
    values |= bound
    lanes = f"FROM lane WHERE kind = :kind{n} AND run_at"
    plain = f"AND NOT {SUSPECT}" if asked.risky else ""
    suspect = f"EXISTS (SELECT 1 {lanes} <= :now AND {SUSPECT})" if asked.risky else "1 = 0"
    due = f"SELECT count(*) FROM (SELECT 1 {lanes} <= :now {plain} {others} ORDER BY run_at LIMIT :most{n}) AS due"
    return f"SELECT {n} AS n, ({due}) AS due, {suspect} AS suspect, (SELECT min(run_at) - :now {lanes} > :now) AS later"


def leased(tx: Tx, kind: str) -> int:
    """How many lanes of this kind somebody works on, whoever it is."""
    row = tx.one("SELECT count(*) FROM lane WHERE kind = :kind AND lease IS NOT NULL AND run_at > :now", kind=kind)
    return 0 if row is None else int(row[0])


def claim(tx: Tx, kind: str, token: str, ttl: float, alone: bool | None = False, crowded: Sequence[str] = ()) -> Claimed | None:
    """Lease the lane that has been due longest. `alone`: one of those that must be, or one of the others; None for any.

    `crowded`: groups that none is taken of.
    """
    which = "" if alone is None else f"AND {SUSPECT}" if alone else f"AND NOT {SUSPECT}"
    others, values = _outside(crowded)
    row = tx.one(
        "UPDATE lane SET lease = :token, run_at = :now + :ttl, claims = claims + 1 WHERE name = (SELECT name FROM lane "
        f"WHERE kind = :kind AND run_at <= :now {which} {others} ORDER BY run_at LIMIT 1 {{skip_locked}}) "
        "RETURNING name, claims",
        kind=kind,
        token=token,
        ttl=ttl,
        **values,
    )
    return None if row is None else Claimed(row[0], token, row[1])


def take(tx: Tx, name: str, kind: str, token: str, ttl: float) -> Claimed | None:
    """Lease this one lane, whether or not it is due or there is one yet; None while somebody else has it. Release it as due."""
    row = tx.one(
        "INSERT INTO lane (name, kind, run_at, lease, claims) VALUES (:name, :kind, :now + :ttl, :token, 0) ON CONFLICT (name) "
        "DO UPDATE SET lease = excluded.lease, run_at = excluded.run_at WHERE lane.lease IS NULL OR lane.run_at <= :now RETURNING claims",
        name=name,
        kind=kind,
        token=token,
        ttl=ttl,
    )
    return None if row is None else Claimed(name, token, row[0])


def _outside(groups: Sequence[str], prefix: str = "") -> tuple[str, dict[str, str]]:
    """A condition for lanes that belong to none of some groups, and its values, whose names begin with `prefix`."""
    names = {f"{prefix}group{n}": f"{group}:" for n, group in enumerate(groups)}
    return "".join(f" AND substr(name, 1, {len(group)}) <> :{key}" for key, group in names.items()), names


def fence(tx: Tx, lane: Claimed) -> bool:
    """Lock the lane's row; False when the lease is no longer ours."""
    return tx.one("SELECT 1 FROM lane WHERE name = :name AND lease = :token {for_update}", name=lane.name, token=lane.token) is not None


def settled(tx: Tx, lane: Claimed) -> None:
    """An item of the lane comes to an end or is put off in order: forget earlier claims, and what it was parked on."""
    tx.run("UPDATE lane SET claims = 1, parked_on = NULL WHERE name = :name AND (claims <> 1 OR parked_on IS NOT NULL)", name=lane.name)


def survived(tx: Tx, name: str) -> None:
    """A claim came to nothing and its worker lives: it does not count."""
    tx.run("UPDATE lane SET claims = claims - 1 WHERE name = :name AND claims > 0", name=name)


def hand_back(tx: Tx, lane: Claimed) -> None:
    """The worker stops in the middle of an item: the lane is due at once, and the claim does not count."""
    tx.run(
        "UPDATE lane SET lease = NULL, run_at = :now, claims = claims - 1 WHERE name = :name AND lease = :token",
        name=lane.name,
        token=lane.token,
    )
    tx.woke = True


def hand_over(tx: Tx, name: str, kind: str) -> None:
    """A lane that is ours goes on as one of another kind, which has slots of its own."""
    tx.run("UPDATE lane SET kind = :kind WHERE name = :name", name=name, kind=kind)


def park(tx: Tx, name: str, on: str) -> None:
    """The head of a lane that is ours waits for something; the lane is then released for when it gives up."""
    tx.run("UPDATE lane SET parked_on = :on WHERE name = :name", name=name, on=on)


def unpark(tx: Tx, on: str, limit: int) -> list[str]:
    """Wake lanes that are parked on something, `limit` at the most, and lock them; those that are leased are only told."""
    names = [
        row[0] for row in tx.all("SELECT name FROM lane WHERE parked_on = :on ORDER BY name LIMIT :limit {for_update}", on=on, limit=limit)
    ]
    for name in names:
        tx.run("UPDATE lane SET parked_on = NULL, run_at = CASE WHEN lease IS NULL THEN :now ELSE run_at END WHERE name = :name", name=name)
    tx.woke = tx.woke or bool(names)
    return names


def parked(tx: Tx, on: str) -> bool:
    """Whether a lane waits for something."""
    return tx.one("SELECT 1 FROM lane WHERE parked_on = :on LIMIT 1", on=on) is not None


def release(tx: Tx, lane: Claimed, after: float | None) -> None:
    """Give the lane back; due in `after` seconds, or not at all (None). Its claim ended in order and does not count."""
    tx.run(
        "UPDATE lane SET lease = NULL, claims = CASE WHEN claims > 0 THEN claims - 1 ELSE 0 END, "
        "run_at = :now + CAST(:after AS double precision) WHERE name = :name AND lease = :token",
        name=lane.name,
        token=lane.token,
        after=after,
    )
    tx.woke = tx.woke or after is not None


def extend(tx: Tx, lane: Claimed, ttl: float) -> bool:
    """Renew the lease; False when it was lost."""
    return (
        tx.run("UPDATE lane SET run_at = :now + :ttl WHERE name = :name AND lease = :token", name=lane.name, token=lane.token, ttl=ttl) == 1
    )


def left_by(tx: Tx, worker: str) -> list[str]:
    """Lanes that an earlier life of this worker still holds. Those that killed it repeatedly stay leased."""
    prefix = f"{worker}/"
    rows = tx.all(
        "SELECT name FROM lane WHERE substr(lease, 1, :length) = :prefix AND claims < :patient ORDER BY name",
        length=len(prefix),
        prefix=prefix,
        patient=PATIENT_AFTER,
    )
    return [row[0] for row in rows]


def free(tx: Tx, name: str, worker: str) -> None:
    """Give back a lane that an earlier life of this worker held."""
    prefix = f"{worker}/"
    tx.run(
        "UPDATE lane SET lease = NULL, run_at = :now WHERE name = :name AND substr(lease, 1, :length) = :prefix",
        name=name,
        length=len(prefix),
        prefix=prefix,
    )
    tx.woke = True


def take_back(tx: Tx, kind: str) -> None:
    """Lanes of this kind are nobody's any more, also while somebody works on their heads: he learns that he lost them.

    For lanes whose items have all come to an end: they sleep until something wakes them.
    """
    for (name,) in tx.all("SELECT name FROM lane WHERE kind = :kind AND lease IS NOT NULL ORDER BY name {for_update}", kind=kind):
        tx.run("UPDATE lane SET lease = NULL, run_at = NULL, claims = 0 WHERE name = :name", name=name)


def again(tx: Tx, table: str, item_id: str, after: float) -> bool:
    """Another try of an item in `table` in `after` seconds; False when it was finished before."""
    statement = f"UPDATE {table} SET attempts = attempts + 1, not_before = :now + :after WHERE id = :id AND state = 'waiting'"
    return tx.run(statement, id=item_id, after=after) == 1


def wait(tx: Tx, table: str, item_id: str, after: float) -> bool:
    """Not before `after` seconds from now, and not counted as a try; False when it was finished before."""
    return tx.run(f"UPDATE {table} SET not_before = :now + :after WHERE id = :id AND state = 'waiting'", id=item_id, after=after) == 1


def asleep(tx: Tx, table: str) -> list[str]:
    """Lanes with unfinished items in `table` that nobody would ever claim. There should be none."""
    rows = tx.all(
        f"SELECT DISTINCT item.lane FROM {table} AS item LEFT JOIN lane ON lane.name = item.lane "
        "WHERE item.state = 'waiting' AND lane.run_at IS NULL ORDER BY item.lane"
    )
    return [row[0] for row in rows]
