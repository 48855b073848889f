"""Text: reading files, and tokenizers that Hugging Face's packages load."""

from groundup.text.char import CharTokenizer
from groundup.text.files import read_text

__all__ = ["CharTokenizer", "read_text"]
