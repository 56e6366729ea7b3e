"""The node as a service of systemd: its unit, and what it is told while it runs.

``notifying`` has the protocol, ``server`` the process that speaks it, ``unit`` the file
that ``beamclaw service`` writes. Nothing of it is loaded where no service manager listens.
"""
