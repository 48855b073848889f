"""Text: reading files, normalization, and tokenizers that Hugging Face's packages load."""

from groundup.text import normalize, statistics
from groundup.text._playground import playground
from groundup.text.bpe import AddedToken, BPETokenizer
from groundup.text.char import CharTokenizer
from groundup.text.files import read_text
from groundup.text.formats import load
from groundup.text.sentencepiece_bpe import SentencePieceBPETokenizer
from groundup.text.tokenizer import Tokenizer
from groundup.text.unigram import UnigramTokenizer
from groundup.text.word import WordTokenizer
from groundup.text.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BPETokenizer",
    "CharTokenizer",
    "SentencePieceBPETokenizer",
    "Tokenizer",
    "UnigramTokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "load",
    "normalize",
    "playground",
    "read_text",
    "statistics",
]
