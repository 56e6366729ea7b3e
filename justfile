# The loop. Recipes find their programs in .venv first, then on PATH.

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

_default:
    @just --list --unsorted

# The whole truth before a commit: format, lint, types, imports, fast tests, docs
check:
    @scripts/check

# All tests but the live ones, or those named: just test tests/supervision -k strategies
test *what:
    @scripts/test {{ what }}

# Everything on demand, as large as it gets; docs/contributing.md gives each suite its minutes
test-full: test
    python -m tests.faults.matrix
    BEAMCLAW_CUTS_EVERY=1 pytest -q tests/faults/test_bad_provider.py -k cut_at_every_place
    BEAMCLAW_POINTS_SHARE=1 BEAMCLAW_EXAMPLES=1000 pytest -q tests/beamclaw/sessions/test_subagents_deaths.py
    python -m tests.faults.kill --rounds 200 --sessions 30
    python -m tests.faults.mutations
    python -m tests.simulation --seeds 0..20000 --jobs 2
    python -m tests.mutation

# Kill the node at every point of every scenario: just matrix --share 1/8 --seed 7
matrix *options:
    python -m tests.faults.matrix {{ options }}

# An hour of mixed load on the real program: does anything of it grow? just soak --minutes 10
soak *options:
    python -m tests.faults.soak {{ options }}

# Ten thousand faults by chance on the real program under load: just chaos --faults 500 --seed 7
chaos *options:
    python -m tests.faults.chaos {{ options }}

# Put right what a program can put right
fix:
    ruff check --fix --quiet . || true
    ruff format .

# Start the node in the foreground
run *options:
    python -m beamclaw run {{ options }}

# Print the supervision tree of the default configuration
tree:
    @python -m scripts.tree

# Measure, with the baseline in the same run
bench *what:
    python -m tests.benchmarks {{ what }}

# OpenClaw's own gateway beside ours, measured in one run
bench-openclaw *options:
    python -m tests.benchmarks openclaw {{ options }}

# Put deliberate faults into supervision, one after the other: each has to be found
faults *what:
    python -m tests.mutation {{ what }}

# Play random scenarios on Erlang and on supervision, and compare: just erlang --count 50000
erlang *options:
    python -m tests.differential {{ options }}

# Build the documentation; a warning is an error
docs:
    sphinx-build -q -n -W --keep-going -b html docs docs/_build/html
