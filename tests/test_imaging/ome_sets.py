"""Files that name each other as the planes of an image."""
import tifffile


def write_set(path, picture, files, images, **options):
    """Write an OME-TIFF file of a set.

    Args:
        path: the file.
        picture: uint8 (h, w), its only plane.
        files: UUIDs of the set's files by name.
        images: names of the files that hold the times of each image.
        **options: of tifffile, such as ``compression``.
    """
    pixels = ('<Pixels ID="P" DimensionOrder="XYCZT" Type="uint8" SizeX="{1}" SizeY="{0}" '
              'SizeC="1" SizeZ="1" SizeT="{2}"><Channel ID="C" SamplesPerPixel="1"/>{3}</Pixels>')
    plane = ('<TiffData FirstT="{}" IFD="0" PlaneCount="1"><UUID FileName="{}">urn:uuid:{}</UUID>'
             '</TiffData>')
    xml = ''.join(f'<Image ID="I{number}">' + pixels.format(*picture.shape, len(names), ''.join(
        plane.format(time, name, files[name]) for time, name in enumerate(names))) + '</Image>'
        for number, names in enumerate(images))
    xml = ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
           f'UUID="urn:uuid:{files[path.name]}">{xml}</OME>')
    tifffile.imwrite(path, picture, description=xml, metadata=None, photometric='minisblack',
                     **options)
