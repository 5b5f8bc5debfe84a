"""Generate a data set of phase-contrast-like images in the competition's layout."""
from mmsart.cli.demo_data import main

if __name__ == '__main__':
    raise SystemExit(main())
