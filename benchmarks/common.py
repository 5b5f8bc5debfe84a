"""What all benchmarks share: paired timing, peak memory, and one form of result.

A benchmark module has a function ``measure(args) -> list[Row]`` and ends in
``raise SystemExit(run(measure, __doc__))``.
"""
import argparse
import dataclasses
import json
import multiprocessing
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import torch

import mmsart  # noqa: F401  before mmdet: mmcv's operators may be in Python

Measure = Callable[[argparse.Namespace], list['Row']]


@dataclasses.dataclass
class Row:
    """One line of a benchmark's table.

    Attributes:
        what: the step and its input.
        stock: median of the stock way; None where there is none to compare with.
        ours: median of ours.
        unit: of both; times in ms or s, memory in MB, throughput in 'images/s'.
        ratio: median of the ratios of paired rounds, in favour of ours; None without stock.
        difference: largest absolute difference of the outputs, None where not compared.
        bar: what was to be reached, and whether it was.
    """

    what: str
    stock: float | None
    ours: float
    unit: str = 'ms'
    ratio: float | None = None
    difference: float | None = None
    bar: str = ''


def compare(what: str, stock: Callable[[], Any], ours: Callable[[], Any], rounds: int = 7,
            ours_per_round: int = 1, difference: float | None = None) -> Row:
    """Time two ways of doing the same, in turn, in one process.

    Args:
        what: the step and its input.
        stock: the stock way.
        ours: our way.
        rounds: pairs to time, after a warm-up of each.
        ours_per_round: how often ours runs in a round, for steps too short to time alone.
        difference: largest absolute difference of the outputs, computed by the caller.

    Returns:
        Medians in ms, and the median of the rounds' ratios.
    """
    stock()
    ours()
    stock_times, our_times = [], []
    for _ in range(rounds):
        stock_times.append(_time(stock, 1))
        our_times.append(_time(ours, ours_per_round))
    ratio = statistics.median(a / b for a, b in zip(stock_times, our_times, strict=True))
    return Row(what, statistics.median(stock_times), statistics.median(our_times), 'ms', ratio,
               difference)


def time_alone(what: str, ours: Callable[[], Any], rounds: int = 7) -> Row:
    """Time one function, median in ms after a warm-up."""
    ours()
    return Row(what, None, statistics.median(_time(ours, 1) for _ in range(rounds)))


def judge(wanted: str, met: bool) -> str:
    """Word a bar and whether it was met."""
    return f'{wanted}: {"met" if met else "MISSED"}'


def traced_peak(function: Callable[[], Any]) -> float:
    """Measure the most memory that Python and numpy hold for a call, in MB (torch not counted)."""
    tracemalloc.start()
    result = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return peak / 1e6


def rss_peak(function: Callable[[], Any]) -> float:
    """Measure by how much a call raises the peak of resident memory, in MB, in a forked child."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_rss_peak, args=(function, sender))
    child.start()
    sender.close()
    peak = receiver.recv()
    child.join()
    return peak


def run(measure: Measure, description: str | None, argv: Sequence[str] | None = None) -> int:
    """Run a benchmark as a command and print its table, or JSON for `run_all.py`.

    Args:
        measure: takes the parsed arguments (``rounds``), gives the rows.
        description: the module's docstring.
        argv: the command line, `sys.argv` if None.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument('--rounds', type=int, default=7, help='timed pairs a row')
    parser.add_argument('--json', action='store_true', help='print rows as JSON')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # the same for both ways, and steadier
    cv2.setNumThreads(1)
    rows = measure(args)
    if args.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        print(table(rows))
    return 0


def table(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table with aligned columns."""
    head = ['', 'stock', 'ours', 'ratio', 'largest difference', 'bar']
    cells = [head] + [[
        row.what,
        '' if row.stock is None else f'{row.stock:,.4g} {row.unit}',
        f'{row.ours:,.4g} {row.unit}',
        '' if row.ratio is None else f'{row.ratio:,.1f} x',
        '' if row.difference is None else f'{row.difference:.2g}',
        row.bar] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    cells.insert(1, ['-' * width for width in widths])
    return '\n'.join(
        '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + ' |' for line in cells)


def _time(function: Callable[[], Any], repeats: int) -> float:
    """Time a call in ms of processor time, what it takes to free the result included.

    With one thread that is the time on the clock of a quiet machine, and on a busy one it still
    is, where the clock would count the others' work as well.
    """
    begin = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - begin) * 1e3 / repeats


def _send_rss_peak(function: Callable[[], Any], sender: Any) -> None:
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
        file.write('5')  # resets the kernel's record of the peak
    before = _status('VmRSS')
    result = function()
    sender.send((_status('VmHWM') - before) / 1e3)
    del result


def _status(key: str) -> float:
    """Read a memory figure of this process in kB."""
    with open('/proc/self/status', encoding='ascii') as file:
        return next(float(line.split()[1]) for line in file if line.startswith(key + ':'))
