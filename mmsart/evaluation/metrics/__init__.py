"""Adapters from the competition mathematics to mmengine."""
