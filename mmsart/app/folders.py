"""Folders on this computer that the page may look into, and no others."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsart.apis.batch_records import results_in, without_results
from mmsart.imaging.inputs import find_inputs
from mmsart.imaging.readers import IMAGE_SUFFIXES
from mmsart.utils import UserError, missing, readable

MOST_SHOWN = 500


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        path: of the folder.
        parent: the folder above, or None at a root.
        folders: names of its subfolders, the first :data:`MOST_SHOWN`.
        more: number of the other ones.
        images: names of its images.
    """

    path: str
    parent: str | None
    folders: list[str]
    more: int
    images: list[str]


class Folders:
    """Folders below some roots; neither ``..`` nor a link leads out of them.

    A browser knows paths as :func:`~mmsart.utils.readable` writes them.

    Args:
        roots: folders.

    Raises:
        MissingFileError: a root is no folder.
    """

    def __init__(self, roots: Sequence[str | Path]) -> None:
        self.roots = [Path(root).expanduser().resolve() for root in roots]
        for root in self.roots:
            if not root.is_dir():
                raise missing(root, 'a folder of images', 'folder')

    def inside(self, path: str | Path) -> Path:
        """Follow a path and check that it stays inside.

        Args:
            path: a folder or file.

        Returns:
            Where it leads, without links.

        Raises:
            UserError: it leads out of every root; whether it exists there is not told.
        """
        try:
            real = Path(path).expanduser().resolve()
        except (OSError, ValueError, RuntimeError):
            real = None
        if real is None or not any(real.is_relative_to(root) for root in self.roots):
            raise UserError(f'{path}: found a path outside the folders that this page may read, '
                            f'expected one in {", ".join(map(str, self.roots))}')
        return real

    def look(self, path: str | Path, find: str = '') -> Listing:
        """List a folder.

        Args:
            path: the folder.
            find: what the names of its subfolders are to hold, in small or large letters.

        Raises:
            UserError: it is outside, or cannot be read.
        """
        folder = self._folder(path)
        folders, images = [], []
        try:
            results = results_in(folder)
            for entry in sorted(folder.iterdir(), key=lambda each: each.name.lower()):
                if entry.name.startswith('.') or not self._admits(entry):
                    continue
                if entry.is_dir():
                    name = readable(entry.name)
                    if find.casefold() in name.casefold():
                        folders.append(name)
                elif (entry.suffix.lower() in IMAGE_SUFFIXES
                      and os.path.realpath(entry) not in results):
                    images.append(readable(entry.name))
        except PermissionError as error:
            raise UserError(f'{path}: found a folder that may not be read, expected one that '
                            'may') from error
        return Listing(
            readable(str(folder)), None if folder in self.roots else readable(str(folder.parent)),
            folders[:MOST_SHOWN], len(folders[MOST_SHOWN:]), images)

    def images(self, path: str | Path, recursive: bool) -> list[tuple[Path, str]]:
        """List the images of a folder.

        Args:
            path: the folder.
            recursive: also look into folders in it.

        Returns:
            Files and what they go by: their path below the folder. Results of ``mmsart predict``
            and of this page are left out.

        Raises:
            UserError: it is outside, or holds no image.
        """
        folder = self._folder(path)
        found = without_results(find_inputs([folder], recursive))
        admitted = [(each.path, each.name) for each in found if self._admits(each.path)]
        if not admitted:
            raise UserError(f'{path}: found no image inside the folders that this page may read')
        return admitted

    def _folder(self, path: str | Path) -> Path:
        folder = self.inside(self._on_disk(Path(path)))
        if not folder.is_dir():
            raise missing(path, 'a folder of images', 'folder')
        return folder

    def _on_disk(self, path: Path) -> Path:
        """Find what a browser's path stands for; one that leads nowhere stays as it is."""
        for root in self.roots:
            shown = Path(readable(str(root)))
            if path.is_relative_to(shown):
                found = root
                for name in path.relative_to(shown).parts:
                    found = self._child(found, name)
                return found
        return path

    def _child(self, folder: Path, name: str) -> Path:
        child = folder / name
        if name.isascii() or child.exists() or not self._admits(folder) or not folder.is_dir():
            return child
        # The bytes of its name are no UTF-8.
        return next((each for each in folder.iterdir() if readable(each.name) == name), child)

    def _admits(self, path: Path) -> bool:
        try:
            self.inside(path)
        except UserError:
            return False
        return True
