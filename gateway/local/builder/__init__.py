"""The Builder Service of one machine: the real one's REST contract, and real builds behind it.

The contract is design's upstreams.md, quirks included: what the gateway has to cope with in production it meets
here too. app.py is the HTTP, builds.py carries a task through its phases, toolchain.py makes the artifact.
"""
