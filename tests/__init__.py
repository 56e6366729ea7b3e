"""The tests: one folder per package, then what holds across both."""
