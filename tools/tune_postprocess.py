"""Find the post-processing that scores best on cached predictions, and write it as JSON."""
from mmsart.cli.tune import main

if __name__ == '__main__':
    raise SystemExit(main())
