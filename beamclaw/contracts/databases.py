"""Which files of a data folder are the node's databases, by their names in it."""

import re
from pathlib import Path
from typing import Final

NODE: Final = "node.db"
LEDGER: Final = "ledger.db"
_DATABASE: Final = re.compile(r"node\.db|tenants/[A-Za-z0-9_-]+/ledger\.db")


def ledger_of(tenant: str) -> str:
    """The name of a tenant's ledger."""
    return f"tenants/{tenant}/{LEDGER}"


def is_database(name: str) -> bool:
    """Whether a file of this name in the folder is one of the node's databases."""
    return _DATABASE.fullmatch(name) is not None


def databases_in(data: Path) -> list[str]:
    """The databases of the data folder *data*: ``node.db`` last.

    In this order they are copied: the owner epoch in ``node.db`` must not be behind the
    one that a ledger was written under.
    """
    tenants = sorted(path.parent.name for path in data.glob(ledger_of("*")))
    own = [NODE] if (data / NODE).exists() else []
    return [*filter(is_database, map(ledger_of, tenants)), *own]
