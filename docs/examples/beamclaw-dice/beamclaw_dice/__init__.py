"""An example of a package with tools and a provider for BeamClaw."""
