"""`satchel sandbox`: the simulated network and its phones. The commands are in the modules beside this one."""

import rich_click as click

from satchel.cli import sandbox_network, sandbox_phones, sandbox_sending, sandbox_show


@click.group()
def sandbox() -> None:
    """The simulated network: its phones, its clock, and what goes wrong in it."""


for command in (sandbox_network.status, sandbox_network.reset, sandbox_network.clock, sandbox_network.chaos):
    sandbox.add_command(command)


@sandbox.group()
def phone() -> None:
    """Simulated phones."""


for command in (*sandbox_phones.COMMANDS, *sandbox_sending.COMMANDS, sandbox_show.show):
    phone.add_command(command)
