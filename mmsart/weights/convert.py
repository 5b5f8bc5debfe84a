"""Writing imported weights as a file for mmdet."""
from collections.abc import Mapping
from typing import Any

from torch import save

from mmsart.utils import UserError, atomic_write, check_target
from mmsart.weights.importer import ImportedWeights, import_checkpoint
from mmsart.weights.matching import match_weights, model_shapes
from mmsart.weights.package import find_package_weights
from mmsart.weights.resolve import PACKAGE_SCHEME, REMOTE, UnreachableError, choose_source, fetch


def import_source(spec: str) -> ImportedWeights:
    """Read weights from wherever ``load_from`` may name them.

    Args:
        spec: a path, ``package://NAME``, a URL, or a name that stands for one.

    Returns:
        The weights in mmdet's naming.

    Raises:
        UserError: they cannot be had, or are in no known format.
    """
    source = choose_source(spec)
    if source.startswith(PACKAGE_SCHEME):
        return import_checkpoint(find_package_weights(source.removeprefix(PACKAGE_SCHEME)))
    if REMOTE.match(source):
        try:
            return import_checkpoint(fetch(source))
        except UnreachableError as error:
            raise UserError(str(error)) from error
    return import_checkpoint(source)


def convert_checkpoint(
    spec: str, out: str, model: Mapping[str, Any] | None = None, all_names: bool = False,
) -> list[str]:
    """Convert a checkpoint to mmdet's naming.

    Args:
        spec: see :func:`import_source`.
        out: file to write; complete or not there.
        model: config of a model; only the weights that fit it are written.
        all_names: report every name.

    Returns:
        Lines that say what was done.

    Raises:
        UserError: the source cannot be used, nothing in it fits the model, or `out` cannot be
            written or is the source.
    """
    check_target(out, others=[spec])
    imported = import_source(spec)
    weights = imported.state_dict
    lines = [f'read: {len(weights)} weights from a checkpoint of {imported.source}']
    if model is not None:
        weights, report = match_weights(model_shapes(model), imported, spec)
        lines = report.lines(all_names)
    elif imported.ignored:
        lines.append(f'without a place in mmdet: {len(imported.ignored)} '
                     f'({", ".join(imported.ignored[:None if all_names else 3])})')
    with atomic_write(out) as temporary:
        save({'state_dict': weights, 'meta': {'source': imported.source}}, temporary)
    return lines + [f'written: {out}']
