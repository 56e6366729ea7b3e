"""What somebody tries who means no good, and that each of it has a test.

`book` is the list, `surfaces` finds what nobody has said who may use it. The tests
themselves stand where the guard is; those here are about all surfaces at once.
"""
