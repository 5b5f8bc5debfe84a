"""Make a COCO data set of pictures and label images, such as those of Cellpose and StarDist.

A label image has the number of its cell at each pixel, 0 outside: TIFF, or PNG of 8 or 16 bits. It
is called as its picture, or has _masks, _cp_masks, _mask, _labels or _label behind the name.

Example:
  python tools/dataset_converters/label_images_to_coco.py images masks cells.json
"""
import argparse

from mmsart.utils import check_target, cli_main, make_parser


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('images', help='folder of pictures')
    parser.add_argument('labels', help='folder of label images, perhaps the same')
    parser.add_argument('out', help='file to write, ending in .json')
    parser.add_argument('--class', dest='class_name', default='cell', metavar='NAME',
                        help='class of the cells')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.formats.coco import write_json
    from mmsart.formats.label_image_pairs import pair_label_images, to_coco_dataset

    check_target(options.out, '.json')
    pairs = pair_label_images(options.images, options.labels)
    data = to_coco_dataset(pairs, options.class_name)
    write_json(options.out, data)
    print(f'{options.out}: {len(data["images"])} images with {len(data["annotations"])} cells of '
          f'class {options.class_name}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
