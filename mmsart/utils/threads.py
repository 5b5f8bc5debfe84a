"""How torch's threads wait for each other."""
import os


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, if the environment does not say otherwise.

    By default they spin. With as many threads as cores, beside other work, most of a step is then
    spent waiting for a thread that the others keep from running: `benchmarks/busy_machine.py`.
    Has to come before torch is imported, whose OpenMP reads the variable once.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
