"""Data: embedded texts, splits, batches, and token streams over memory-mapped files."""

from groundup.data.corpus import Corpus, stdlib_text
from groundup.data.declaration import declaration
from groundup.data.loader import ArrayDataset, DataLoader, Dataset, batches, default_collate
from groundup.data.split import train_val_split
from groundup.data.tokens import TokenStream, token_dtype, write_tokens

__all__ = [
    "ArrayDataset",
    "Corpus",
    "DataLoader",
    "Dataset",
    "TokenStream",
    "batches",
    "declaration",
    "default_collate",
    "stdlib_text",
    "token_dtype",
    "train_val_split",
    "write_tokens",
]
