"""What makes small runs fast."""
import pytest
from mmengine.config import Config


@pytest.fixture
def no_formatting(monkeypatch):
    """Spare the layout of the config's text, which takes most of the time of a small run."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: ''))
