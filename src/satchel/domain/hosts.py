"""How callbacks and health name an instance of a host."""


def node_of(id_: str) -> str:
    """`<host>:<container>`, as On-Premises has it; a host's name may have dots itself."""
    host, *instance = id_.rsplit(".", 3)
    return f"{host}:{'.'.join(instance)}"
