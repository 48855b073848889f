"""Text: reading files, normalization, and tokenizers that Hugging Face's packages load."""

from groundup.text import normalize
from groundup.text.char import CharTokenizer
from groundup.text.files import read_text
from groundup.text.tokenizer import Tokenizer
from groundup.text.wordpiece import WordPieceTokenizer

__all__ = ["CharTokenizer", "Tokenizer", "WordPieceTokenizer", "normalize", "read_text"]
