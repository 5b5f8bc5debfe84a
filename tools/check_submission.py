"""Name, row by row, what Kaggle would refuse in a submission."""
from mmsart.cli.check_submission import main

if __name__ == '__main__':
    raise SystemExit(main())
