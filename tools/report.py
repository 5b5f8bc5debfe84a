"""Write a page about results: python tools/report.py DIR [--truth FILE]"""
from mmsart.cli.report import main

if __name__ == '__main__':
    raise SystemExit(main())
