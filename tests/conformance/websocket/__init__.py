"""What the gateway makes of WebSocket's frames, as a table of cases.

The groups are those of Autobahn's test suite, which every implementation of RFC 6455 is
held against; the cases are written anew, for a server that takes text alone.
"""
