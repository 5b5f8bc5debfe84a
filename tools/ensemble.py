"""Make several models one: python tools/ensemble.py CONFIG WEIGHTS WEIGHTS --out DIR"""
from mmsart.cli.ensemble import main

if __name__ == '__main__':
    raise SystemExit(main())
