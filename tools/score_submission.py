"""Score a submission: python tools/score_submission.py --truth train.csv --submission FILE.csv."""
from mmsart.cli.score_submission import main

if __name__ == '__main__':
    raise SystemExit(main())
