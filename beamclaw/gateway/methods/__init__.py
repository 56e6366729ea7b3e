"""What clients of the gateway can ask for: one function for each method.

A method stands beside its scope and its parameters (:func:`~._method.method`); one
module for each family, all of them in :mod:`~beamclaw.gateway.methods.table`.
"""
