"""Hosts: which of them are this machine and nothing else."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False
