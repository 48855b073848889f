"""NumPy faces of what is not an op: the tape, optimizers, the scalar engine, tokenizers. Written to be read."""
