"""What launcher and reapers have to agree about."""

# Seconds that commands get to end in order when the node, or the launcher, is gone.
LAST_SECONDS = 1.5
# What could not be ended by force is tried again after these seconds, so many times;
# then it is given up, and said to be stuck.
FORCED_AGAIN_SECONDS = 0.2
FORCED_MOST = 25
# Open files that come with an order, at most.
TAKE_FILES = 3
