"""Generated images as a folder in the competition's layout."""
import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmsart.datasets.classes import CLASSES, COMPETITION_IMAGES
from mmsart.datasets.synthetic.generator import GeneratedImage, generate_image
from mmsart.datasets.train_csv import COLUMNS
from mmsart.utils import UserError, check_writable
from mmsart.utils.pictures import write_picture

SMALLEST_SIDE, LARGEST_SIDE = 32, 16_384  # pixels
_PARTS = ('train', 'test', 'train_semi_supervised')
_LIST = 'generated.txt'  # tells generated data from real ones, of the same layout


@dataclass(frozen=True)
class SamplePlan:
    """What a sample data set holds.

    Attributes:
        images: labelled images in ``train/``.
        seed: of all chance.
        size: (h, w) of the images in pixels.
        types: cell types, drawn in the competition's proportions.
        test: images in ``test/``.
        unlabelled: images in ``train_semi_supervised/``.
        dense: whether to add one labelled image of 790 cells (on 520 x 704; other sizes in
            proportion).
    """

    images: int
    seed: int = 0
    size: tuple[int, int] = (520, 704)
    types: tuple[str, ...] = CLASSES
    test: int = 3
    unlabelled: int = 4
    dense: bool = False

    def check(self) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            UserError: a number is out of range or a type unknown.
        """
        for name, least in (('images', 1), ('seed', 0), ('test', 0), ('unlabelled', 0)):
            if getattr(self, name) < least:
                raise UserError(f'{name}: found {getattr(self, name)}, expected at least {least}')
        if min(self.size) < SMALLEST_SIDE or max(self.size) > LARGEST_SIDE:
            raise UserError(f'size: found {self.size[0]} x {self.size[1]}, expected '
                            f'{SMALLEST_SIDE} to {LARGEST_SIDE} pixels each way')
        if not self.types or not set(self.types) <= set(CLASSES):
            raise UserError(f'types: found {" ".join(self.types)!r}, expected some of '
                            f'{" ".join(CLASSES)}')


def write_sample_dataset(folder: str | os.PathLike, plan: SamplePlan,
                         force: bool = False) -> dict[str, int]:
    """Generate a data set and write it in the competition's layout.

    Written are ``train.csv`` with its nine columns, ``sample_submission.csv`` and the folders
    ``train``, ``test`` and ``train_semi_supervised``, and ``generated.txt``, which lists all
    files. They are built beside the folder and put in place when complete.

    Args:
        folder: where to write; must not exist, or be empty.
        plan: what to generate.
        force: replace what is in the folder. Only a folder that holds nothing but the files that
            its ``generated.txt`` lists is replaced.

    Returns:
        Images a part, and ``'cells'``, the rows of ``train.csv``.

    Raises:
        UserError: the plan cannot be carried out, the folder is not empty or cannot be written.
    """
    plan.check()
    target = Path(folder).resolve()  # a link stays, what it points to is replaced
    _check_free(target, force)
    check_writable(target.parent)
    building = target.with_name(f'.{target.name}-{secrets.token_hex(4)}')
    building.mkdir()
    try:
        counts = _fill(building, plan)
        if target.exists():
            shutil.rmtree(target)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return counts


def _check_free(target: Path, force: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f'{target}: found a file, expected a folder or nothing')
    if not any(target.iterdir()):
        return
    if not force:
        raise UserError(f'{target}: the folder is not empty, expected an empty or no folder '
                        '(--force replaces generated data)')
    if not (target / _LIST).is_file():
        raise UserError(f'{target}: found no {_LIST}, as generated data have it, expected a folder '
                        'that may be replaced')
    known = (target / _LIST).read_text(errors='replace').splitlines()
    strange = sorted(set(_files(target)) - {*known, _LIST})
    if strange:
        raise UserError(f'{target}: holds {strange[0]}, which {_LIST} does not list; expected a '
                        'folder that may be replaced')


def _files(folder: Path) -> list[str]:
    """List all files, and links of any kind, below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                  if path.is_symlink() or not path.is_dir())


def _fill(folder: Path, plan: SamplePlan) -> dict[str, int]:
    """Generate all images and tables into a folder."""
    rows: list[dict[str, object]] = []
    counts = {}
    for part, number in zip(_PARTS, (plan.images, plan.test, plan.unlabelled), strict=True):
        (folder / part).mkdir()
        fields = _plan_fields(plan, part, number)
        for index, (field, frame, cell_type) in enumerate(fields):
            key = _PARTS.index(part)
            sample = generate_image(
                cell_type, np.random.default_rng([plan.seed, key, field]), *plan.size,
                frame_rng=np.random.default_rng([plan.seed, key, field, 1 + frame]))
            rows += _write(folder, part, sample, plan, index, field, frame)
        counts[part] = number
    if plan.dense:
        share = plan.size[0] * plan.size[1] / (520 * 704)
        sample = generate_image('shsy5y', np.random.default_rng([plan.seed, 3]), *plan.size,
                                num_cells=max(1, round(790 * share)))
        rows += _write(folder, 'train', sample, plan, plan.images, plan.images, 0)
        counts['train'] += 1
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / 'train.csv', index=False)
    _write_submission(folder)
    (folder / _LIST).write_text('\n'.join(_files(folder)) + '\n')
    return {**counts, 'cells': len(rows)}


def _plan_fields(plan: SamplePlan, part: str, number: int) -> list[tuple[int, int, str]]:
    """Plan fields of view and their frames.

    Returns:
        For each image the field's index, the frame in it and the cell type. Types come in the
        competition's proportions, each at least once where there are images enough.
    """
    rng = np.random.default_rng([plan.seed, _PARTS.index(part), 2 ** 31])
    shares = _shares(plan.types, number)
    images = []
    field = 0
    for cell_type, left in zip(plan.types, shares, strict=True):
        while left:
            frames = min(left, int(rng.integers(1, 4)))
            images += [(field, frame, cell_type) for frame in range(frames)]
            left -= frames
            field += 1
    return images


def _shares(types: Sequence[str], number: int) -> list[int]:
    """Share images out among the types by largest remainders, one each to begin with."""
    weights = np.array([COMPETITION_IMAGES[name] for name in types], float)
    base = np.full(len(types), int(number >= len(types)))
    exact = (number - base.sum()) * weights / weights.sum()
    shares = base + np.floor(exact).astype(int)
    rest = np.argsort(np.floor(exact) - exact, kind='stable')[:number - shares.sum()]
    shares[rest] += 1
    return shares.tolist()


def _write(folder: Path, part: str, sample: GeneratedImage, plan: SamplePlan, index: int,
           field: int, frame: int) -> list[dict[str, object]]:
    """Write one image; return the table's rows of it, none for images without labels."""
    image_id = hashlib.sha256(f'{plan.seed} {part} {index}'.encode()).hexdigest()[:12]
    write_picture(folder / part / f'{image_id}.png', sample.image)
    if part != 'train':
        return []
    hours = 4 * frame + field % 4
    well = f'{"ABCDEFGH"[field % 8]}{1 + field // 8 % 12}-{1 + field % 3}'
    return [dict(
        id=image_id,
        annotation=text,
        width=plan.size[1],
        height=plan.size[0],
        cell_type=sample.cell_type,
        plate_time=f'{hours:02d}h30m00s',
        sample_date=f'2020-{1 + field % 12:02d}-{1 + field % 28:02d}',
        sample_id=f'{sample.cell_type}[generated]_{well}_Vessel-{field}_Ph_1',
        elapsed_timedelta=f'0 days {hours:02d}:30:00',
    ) for text in sample.texts()]


def _write_submission(folder: Path) -> None:
    """Write the example submission: two pixels that do not touch for each test image."""
    names = sorted(path.stem for path in (folder / 'test').glob('*.png'))
    pd.DataFrame(dict(id=names, predicted=['1 1 6 1'] * len(names))).to_csv(
        folder / 'sample_submission.csv', index=False)
