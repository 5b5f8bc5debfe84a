"""What a Kaggle notebook without internet needs to predict: `mmsart kaggle-bundle`."""
from mmsart.apis.kaggle.bundle import BundleOptions, write_bundle

__all__ = ['BundleOptions', 'write_bundle']
