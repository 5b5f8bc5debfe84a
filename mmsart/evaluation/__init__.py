"""Competition scores: `functional` holds the mathematics, `metrics` the adapters to mmengine."""
