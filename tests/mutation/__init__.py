"""Deliberate faults in `supervision`, to see that our tests can fail.

    python -m tests.mutation                      every fault, by its marked tests
    python -m tests.mutation --item 43            those that break item 43
    python -m tests.mutation --fault window-one-too-many
    python -m tests.mutation --by differential    those that Erlang shows, by comparison

A fault (`fault`) is one small change of one file, as a person might make it by mistake;
the table is in `faults`. It is put into a copy of the package (`copies`), and tests that
prove the items it breaks have to be red (`items`), or the comparison with Erlang has to
find a difference (`erlang`). A fault that survives is a hole in the tests.
"""
