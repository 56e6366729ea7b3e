"""A disk that fails when told, and one whose power is cut."""
