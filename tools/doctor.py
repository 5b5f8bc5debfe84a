"""Check the installation and the data: python tools/doctor.py."""
from mmsart.cli.doctor import main

if __name__ == '__main__':
    raise SystemExit(main())
