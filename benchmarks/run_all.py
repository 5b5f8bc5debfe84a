"""Run every benchmark and write docs/benchmarks.md.

Each runs in a process of its own. A benchmark that fails is named in the page and makes the exit
code 1; the others' rows are written nevertheless.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from common import Row, table

from mmsart.ops import are_compiled
from mmsart.utils import atomic_write

HERE = Path(__file__).parent
BENCHMARKS = ('input_pipeline', 'loader', 'dataset_start', 'mask_targets', 'training_iteration',
              'cpu_training', 'operators', 'prediction_to_rle', 'overlap_removal', 'metric',
              'predict', 'large_image', 'formats', 'app')
PACKAGES = ('torch', 'onedl-mmcv', 'onedl-mmdetection', 'numpy', 'opencv-python-headless',
            'opencv-python', 'pycocotools')


def main(argv: list[str] | None = None) -> int:
    """Run the chosen benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('names', nargs='*', help=f'some of: {" ".join(BENCHMARKS)}; default all')
    parser.add_argument('--rounds', type=int, default=7, help='timed pairs a row')
    parser.add_argument('--out', type=Path, default=HERE.parent / 'docs' / 'benchmarks.md')
    args = parser.parse_args(argv)
    unknown = set(args.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f'unknown benchmark {sorted(unknown)[0]}, expected {" ".join(BENCHMARKS)}')
    sections, failed = [], []
    for name in args.names or BENCHMARKS:
        print(f'{name} ...', flush=True)
        section = run_one(name, args.rounds)
        if section is None:
            failed.append(name)
            section = f'`python benchmarks/{name}.py` failed.'
        sections.append(f'## {name}\n{section}')
        print(section, flush=True)
    sections += kept_sections(args.out)
    with atomic_write(args.out) as path:
        path.write_text('\n\n'.join([head(), *sections]) + '\n', encoding='utf-8')
    print(f'written: {args.out}')
    return 1 if failed else 0


def kept_sections(page: Path) -> list[str]:
    """Read the sections that no benchmark writes, such as the minutes of the set-up."""
    text = page.read_text(encoding='utf-8') if page.is_file() else ''
    sections = [f'## {section.strip()}' for section in text.split('\n## ')[1:]]
    return [section for section in sections
            if section.splitlines()[0].removeprefix('## ') not in BENCHMARKS]


def run_one(name: str, rounds: int) -> str | None:
    """Run a benchmark in a process of its own.

    Args:
        name: of the module.
        rounds: timed pairs a row.

    Returns:
        Its section of the page; None if it failed, its messages then being on stderr.
    """
    path = HERE / f'{name}.py'
    done = subprocess.run([sys.executable, str(path), '--json', '--rounds', str(rounds)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    rows = [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    about = next(line for line in path.read_text(encoding='utf-8').splitlines() if line)
    return f'{about.strip(chr(34))} `python benchmarks/{name}.py`\n\n{table(rows)}'


def head() -> str:
    """Write what the page says before the tables."""
    versions = ', '.join(f'{name} {found}' for name in PACKAGES if (found := _version(name)))
    return f"""# Benchmarks

Written by `python benchmarks/run_all.py` on {machine()}; Python {platform.python_version()},
{versions}; mmcv's operators are {'compiled' if are_compiled() else 'in Python'}.

Stock is mmdet as released. Both ways run in turn in one process, on one thread and the same input;
times are medians of processor time, the ratio is the median of the ratios of paired runs. The
largest difference is between the two outputs; masks count as 1 if any pixel differs. Rows on a real
image need the competition's data (SARTORIUS_ROOT). Images a second are by the clock, with whatever
else the machine was doing."""


def machine() -> str:
    """Describe the processor in neutral words."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='ascii').splitlines() if info.is_file() else []
    model = next((line.split(':')[1].strip() for line in lines if line.startswith('model name')),
                 platform.processor())
    return f'{os.cpu_count()} cores of a CPU that calls itself {model}'


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None


if __name__ == '__main__':
    raise SystemExit(main())
