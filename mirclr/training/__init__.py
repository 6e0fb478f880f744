"""Contrastive pretraining: views, the loop, diagnostics, checkpoints."""
