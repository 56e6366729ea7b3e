"""Random scenarios, played by real Erlang/OTP and by `supervision`, and compared.

    python -m tests.differential --seed 7 --count 2000
    python -m tests.differential --seed 7 --scenario 123
    python -m tests.mutation --by differential

A scenario is plain data (`scenario`), made from a seed and a number (`generate`), played
by `difftest.erl` (`erlang`) and by `play`; what the two wrote down is brought into one
form and compared (`compare`), and a scenario that differs is made small (`shrink`).
"""
