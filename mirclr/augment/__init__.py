"""Augmentations: parameters are drawn from a generator, then applied deterministically to a batch."""
