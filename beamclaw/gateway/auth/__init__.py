"""Who somebody is and what they may do: credentials in, a :class:`Principal` out."""
