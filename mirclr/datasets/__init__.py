"""Labelled collections: datasets.yaml, folders per label, tables; splits and the leakage audit."""
