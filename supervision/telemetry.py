"""Events for whoever wants to know: attach a function that is called with each one.

>>> detach = attach(print)
>>> emit("shop.opened", {}, {"by": "ada"})
Event(name='shop.opened', measurements={}, metadata={'by': 'ada'})
>>> detach()
"""

from ._telemetry import Event, Handler, attach, emit

__all__ = ["Event", "Handler", "attach", "emit"]
