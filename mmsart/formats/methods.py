"""How results were made, beside them: program, model, thresholds and how files were read."""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mmsart.formats.names import METHODS_FILE
from mmsart.utils import UserError, atomic_write, read_json

SHOWN_DIGITS = 12
"""Of a SHA-256, in a sentence."""
VOTES = dict(relabel='All cells of an image got one type, by a vote.',
             drop='Cells of other types than the one that an image got by a vote were dropped.')
"""What a setting of ``vote`` does."""
UNITS = dict(pixel_size=' um')
"""Of options of reading."""


def now() -> str:
    """Return the time, with its zone, to the second, as ISO 8601 writes it."""
    return datetime.now().astimezone().isoformat(timespec='seconds')


def describe_method(model: Mapping[str, Any], settings: Mapping[str, Any], read: Mapping[str, Any],
                    changed: Sequence[str] = ()) -> dict[str, Any]:
    """Put together how images were looked at.

    Args:
        model: ``mmsart`` (version), ``model``, ``inference`` and the source of the settings, see
            :func:`mmsart.apis.methods.describe_model`; empty where nobody knows.
        settings: complete ones of post-processing.
        read: options of :class:`~mmsart.imaging.read_options.ReadOptions`.
        changed: names of settings that a hand has changed.

    Returns:
        Plain data, as JSON gives it back: first ``text``, the same in sentences.
    """
    postprocessing = dict(model.get('postprocessing', {}), changed_by_hand=changed,
                          settings=settings)
    method = dict(model, postprocessing=postprocessing, reading=read)
    return json.loads(json.dumps(dict(text=method_text(method), **method)))


def write_methods(folder: str | os.PathLike,
                  methods: Iterable[tuple[Mapping[str, Any], Sequence[str]]]) -> Path:
    """Write how the results in a folder were made.

    What was made in one way is told once. Where the file says all of it already, it stays.

    Args:
        folder: of the results.
        methods: of :func:`describe_method`, each with the stems of its images.

    Returns:
        The file.

    Raises:
        UserError: the file that is there is not one of this function.
    """
    grouped: dict[str, dict[str, Any]] = {}
    for method, stems in methods:
        group = grouped.setdefault(json.dumps(method), dict(method, images=[]))
        group['images'] += stems
    groups, path = list(grouped.values()), Path(folder) / METHODS_FILE
    if not path.is_file() or read_methods(folder) != groups:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dict(written=now(), methods=groups), indent=2) + '\n')
    return path


def read_methods(folder: str | os.PathLike) -> list[dict[str, Any]]:
    """Read how the results in a folder were made.

    Args:
        folder: of the results.

    Returns:
        What :func:`describe_method` gave, each with the stems of its ``images``; nothing where
        there is no file.

    Raises:
        UserError: the file is malformed.
    """
    path = Path(folder) / METHODS_FILE
    if not path.is_file():
        return []
    found = read_json(path, 'how results were made')
    methods = found.get('methods') if isinstance(found, dict) else None
    if not isinstance(methods, list) or not all(
            isinstance(each, dict) and isinstance(each.get('text'), str)
            and isinstance(each.get('images'), list) for each in methods):
        raise UserError(f'{path}: found no list of methods, each with text and images, expected '
                        'what mmsart predict has written')
    return methods


def method_text(method: Mapping[str, Any]) -> str:
    """Say in sentences how images were looked at.

    Args:
        method: of :func:`describe_method`, with or without its text.
    """
    return ' '.join([*_model_sentences(method), *_threshold_sentences(method['postprocessing']),
                     *_reading_sentences(method['reading'])])


def _model_sentences(method: Mapping[str, Any]) -> Iterable[str]:
    if 'model' not in method:
        yield 'Cells were found by a version of mmsart that kept no note of its model.'
        return
    model, inference = method['model'], method['inference']
    yield (f'Cells were found by mmsart {method["mmsart"]} with the model {model["name"]} (SHA-256 '
           f'of the weights {model["weights_sha256"][:SHOWN_DIGITS]}...), computed in '
           f'{inference["precision"]} on {inference["device"]}.')
    if members := model.get('members'):
        named = ', '.join(f'{each["name"]} (SHA-256 {each["weights_sha256"][:SHOWN_DIGITS]}..., '
                          f'share {each["share"]:g})' for each in members)
        yield f'The model is an ensemble of {len(members)}: {named}.'
    views, tiles = inference['views'], inference['tiles']
    mirrored = sum(bool(view.get('flip')) for view in views)
    looks = f'in {len(views)} views, {mirrored} of them mirrored' if len(views) > 1 else 'once'
    (height, width), (high, wide) = tiles['size_px'], tiles['largest_px']
    yield (f'Each image was analysed {looks}; images larger than {high} x {wide} px were cut into '
           f'tiles of {height} x {width} px that overlap by {tiles["overlap_px"]} px.')


def _threshold_sentences(postprocessing: Mapping[str, Any]) -> Iterable[str]:
    settings = postprocessing['settings']
    limits = [f'their score was at least {_by_class(settings["score_thr"], "{:g}")}']
    for name, words in (('min_area', 'at least'), ('max_area', 'at most')):
        if any(settings[name].values()):
            limits.append(f'their area {words} {_by_class(settings[name], "{:,} px")}')
    changed = postprocessing['changed_by_hand']
    by_hand = f' ({", ".join(changed)}: set by hand)' if changed else ''
    yield f'Detections were counted as cells if {" and ".join(limits)}{by_hand}.'
    if len(settings['score_thr']) > 1 and settings['vote'] in VOTES:
        yield VOTES[settings['vote']]


def _reading_sentences(read: Mapping[str, Any]) -> Iterable[str]:
    given = [f'{name.replace("_", " ")} {value}{UNITS.get(name, "")}'
             for name, value in read.items() if value is not None]
    if given:
        yield f'Files were read with {", ".join(given)}.'


def _by_class(values: Mapping[str, float | None], form: str) -> str:
    """Name the value of each class that has one, or the one of all."""
    if len(set(values.values())) == 1:
        return form.format(next(iter(values.values())))
    return ', '.join(f'{form.format(value)} ({name})' for name, value in values.items() if value)
