"""The simulated network: a media server, message intake and phones, in one process of its own.

It shares no code with `satchel`: only docs/reference/sandbox-wire.md and the vectors in wire/*.json.
It is not a model of load or of the real network's timing.
"""
