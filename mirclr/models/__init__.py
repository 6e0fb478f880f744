"""Frontends, encoders and projection heads: tensors in, tensors out."""
