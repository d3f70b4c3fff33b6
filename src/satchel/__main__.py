"""`python -m satchel` is the command `satchel`."""

from satchel.cli import main

main(prog_name="satchel")
