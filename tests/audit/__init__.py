"""The auditor: judges from what everybody around the node saw, and knows none of its code."""
