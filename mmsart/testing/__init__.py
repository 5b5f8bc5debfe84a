"""Tools for tests and checks of training."""
