"""How much a repos file may hold, and a container."""

MAX_ENTRIES = 500
"""Services: far above what one Docker host runs; keeps a mistaken or hostile file from costing
much."""

MAX_ENVIRONMENTS = 20
"""As above: each is worked out at every reading of the file, so that none is wrong unseen."""

MAX_PROCESSES = 1024
"""Processes and threads of one program: of its uid, where it has one of its own (the kernel counts
RLIMIT_NPROC by uid over all containers), else of its container. 16 times what the runner and a
program with 50 threads have (measured: 13 idle)."""

CONTAINER_PROCESSES = 1152
"""Processes and threads of a container of ours: a program may have all of its own, and the runner
beside it (14 threads) and an `iac exec` still start."""
