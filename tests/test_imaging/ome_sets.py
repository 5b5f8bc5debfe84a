"""Files that name each other as the planes of an image."""
import tifffile


def write_set(path, picture, files, images, *, size=None, root='own', **options):
    """Write an OME-TIFF file of a set.

    Args:
        path: the file.
        picture: uint8 (h, w), its only plane.
        files: UUIDs of the set's files by name.
        images: names of the files that hold the times of each image.
        size: (h, w) that the metadata say; None for that of the picture.
        root: UUID of the whole file; `None` for a file without one.
        **options: of tifffile, such as ``compression``.
    """
    pixels = ('<Pixels ID="P" DimensionOrder="XYCZT" Type="uint8" SizeX="{1}" SizeY="{0}" '
              'SizeC="1" SizeZ="1" SizeT="{2}"><Channel ID="C" SamplesPerPixel="1"/>{3}</Pixels>')
    plane = ('<TiffData FirstT="{}" IFD="0" PlaneCount="1"><UUID FileName="{}">urn:uuid:{}</UUID>'
             '</TiffData>')
    height, width = size or picture.shape
    xml = ''.join(f'<Image ID="I{number}">' + pixels.format(height, width, len(names), ''.join(
        plane.format(time, name, files[name]) for time, name in enumerate(names))) + '</Image>'
        for number, names in enumerate(images))
    root = files[path.name] if root == 'own' else root
    uuid = '' if root is None else f' UUID="urn:uuid:{root}"'
    xml = ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
           f'{uuid}>{xml}</OME>')
    tifffile.imwrite(path, picture, description=xml, metadata=None, photometric='minisblack',
                     **options)
