"""The whole node on a virtual clock, with everything around it played from a seed."""
