"""From sound to vectors: the extractor protocol, handcrafted statistics, exported encoders, embedding a collection."""
