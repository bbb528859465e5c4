"""Side-by-side timings of this kit and its peers: the same model, rows, sizes and batch, one table.

`make bench` runs `benchmarks.compare`, which runs every competitor in a process of its own, in alternating rounds: the
kit's in this environment, the peers' in `.venv-peers` (requirements-peers.lock). Each competitor is one function from a
`Workload` to a `Timing`. README.md says which file does what.
"""
