"""Language models: GPT and its trainer, n-grams to beat, and what a loss means."""

from groundup.lm.gpt import GPT, GPTConfig
from groundup.lm.measure import (
    bits_per_byte,
    conversations,
    embedding_share,
    kv_cache_bytes,
    perplexity,
)
from groundup.lm.ngram import NGram
from groundup.lm.trainer import Interrupted, TrainConfig, Trainer, run_settings

__all__ = [
    "GPT",
    "GPTConfig",
    "Interrupted",
    "NGram",
    "TrainConfig",
    "Trainer",
    "bits_per_byte",
    "conversations",
    "embedding_share",
    "kv_cache_bytes",
    "perplexity",
    "run_settings",
]
