"""`fsck --repair` by a process that has no hour to wait: what is young counts as old, since nobody uploads any more.

`python -m tests.journeys.nemesis.cleaning DATA_DIR`
"""

import asyncio
import os
import sys
from pathlib import Path

from satchel import build, observe
from satchel.flows import fsck, reconcile
from satchel.flows.fsck import Asked
from satchel.settings import load


async def clean(data_dir: Path) -> None:
    """Twice, as an operator does: a file is missing for good when it was missed twice."""
    settings = load(data_dir, os.environ)
    async with build.at_work(settings) as ports:
        for _ in range(2):
            found = await fsck.check(ports, Asked(repair=True, remove_strays=True, many=True, apart=0.0))
    print(f"{found.problems} problems left, {found.strays} strays, {found.missing} missing, {found.lost} lost")


if __name__ == "__main__":
    observe.set_up()
    reconcile.SETTLED = 0.0
    asyncio.run(clean(Path(sys.argv[1])))
