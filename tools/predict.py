"""Find the cells of pictures: python tools/predict.py IMAGES --out DIR [--weights ...]"""
from mmsart.cli.predict import main

if __name__ == '__main__':
    raise SystemExit(main())
