"""Train a model: python tools/train.py CONFIG [--work-dir DIR] [--resume] …"""
from mmsart.cli.train import main

if __name__ == '__main__':
    raise SystemExit(main())
