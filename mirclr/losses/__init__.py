"""Contrastive objectives, tensors in, one number out."""
