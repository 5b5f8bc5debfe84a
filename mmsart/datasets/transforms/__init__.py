"""Pipeline steps that keep masks in their own boxes."""
