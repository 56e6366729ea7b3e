"""How providers do, by day: :mod:`.figures` counts, :mod:`.server` keeps it."""
