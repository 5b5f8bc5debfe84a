"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [--submission submission.csv] …"""
from mmsart.cli.test import main

if __name__ == '__main__':
    raise SystemExit(main())
