"""How many threads torch uses, and how they wait for each other."""
import os
import time
from pathlib import Path

# GNU's OpenMP, which torch's wheels for Linux bring, goes by the second; others go by the first.
BRIEF_WAITS = {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000'}


def wait_briefly() -> None:
    """Let OpenMP's threads sleep when a wait gets long, unless the environment says how to wait.

    By default they spin for some milliseconds. With as many threads as cores, beside other work,
    most of a step is then spent waiting for a thread that the others keep from running. Those that
    sleep at once (`OMP_WAIT_POLICY=PASSIVE` alone) lose a fifth of an otherwise quiet machine; a
    thousand turns are about as fast as spinning there: `benchmarks/busy_machine.py`. Has to come
    before torch is imported, whose OpenMP reads the variables once.
    """
    if not any(name in os.environ for name in BRIEF_WAITS):
        os.environ.update(BRIEF_WAITS)


def leave_busy_cores(seconds: float = 0.2) -> None:
    """Let OpenMP use the cores that are idle now, if the environment does not say how many.

    A step of several threads takes as long as the one that others hold up most: with two threads
    on two cores, beside other work, several times as long as with one. Without other work torch's
    own choice stays. Has to come before torch is imported; `torch.set_num_threads` would start
    threads in the workers of data loaders, too, which do not block signals.

    Args:
        seconds: how long to look; this process has to do nothing meanwhile.
    """
    if 'OMP_NUM_THREADS' in os.environ:
        return
    cores = len(os.sched_getaffinity(0))
    idle = idle_cores(seconds)
    if idle is not None and idle < cores - 0.5:
        os.environ['OMP_NUM_THREADS'] = str(max(1, round(idle)))


def idle_cores(seconds: float) -> float | None:
    """Measure how many of the cores that this process may use are idle.

    Args:
        seconds: how long to look.

    Returns:
        Their number, parts of a core counted; None where the system does not say.
    """
    before = _idle_times()
    time.sleep(seconds)
    after = _idle_times()
    # The time that a core waits for disks may decrease (proc(5)).
    shares = [min(1.0, max(0.0, (after[core][0] - idle) / (after[core][1] - total)))
              for core, (idle, total) in before.items()
              if core in after and after[core][1] > total]
    return sum(shares) if shares else None


def _idle_times() -> dict[int, tuple[int, int]]:
    """Read the idle and the whole time of each core, in ticks (proc(5))."""
    try:
        lines = Path('/proc/stat').read_text().splitlines()
    except OSError:
        return {}
    allowed = os.sched_getaffinity(0)
    found = {}
    for line in lines:
        name, *counts = line.split()
        if name.startswith('cpu') and name[3:].isdigit() and int(name[3:]) in allowed:
            ticks = [int(count) for count in counts[:8]]  # those behind are counted in these, too
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found
