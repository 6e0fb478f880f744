"""Sound on disk: what a folder holds, decoding, the sample cache, and a procedural band for tests and demos."""
