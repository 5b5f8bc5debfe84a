"""`python -m mmsart`: the command `mmsart`."""
from mmsart.cli import main

if __name__ == '__main__':
    raise SystemExit(main())
