"""What the words of a scenario mean in `supervision`; one module per family."""
