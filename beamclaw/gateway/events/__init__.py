"""What happens in the node as clients are told of it: pure, from our values to theirs."""
