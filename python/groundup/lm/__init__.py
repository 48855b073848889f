"""Language models, and what their losses mean."""

from groundup.lm.measure import bits_per_byte, perplexity
from groundup.lm.ngram import NGram

__all__ = ["NGram", "bits_per_byte", "perplexity"]
