"""Bytes as printable characters: how GPT-2's files, and Hugging Face's after them, write tokens that are bytes.

A JSON file holds text, and a token may be half a character. So each byte has a character of its own: printable ones
themselves, the others, in order, those from U+0100 on. A space is "Ġ", a line break "Ċ".
"""

from __future__ import annotations

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in set(_PRINTABLE)]

#: The character of each byte.
CHARACTERS = {
    **{byte: chr(byte) for byte in _PRINTABLE},
    **{byte: chr(0x100 + i) for i, byte in enumerate(_OTHERS)},
}
_TO_CHARACTERS = {byte: ord(char) for byte, char in CHARACTERS.items()}
# Through Latin-1, which is one byte a character: what is not a byte's character goes where no byte is.
_TO_BYTES = {ord(char): byte for byte, char in CHARACTERS.items()}


def to_characters(token: bytes) -> str:
    """
    >>> to_characters(b" the"), to_characters("é".encode())
    ('Ġthe', 'Ã©')
    """
    return token.decode("latin-1").translate(_TO_CHARACTERS)


def to_bytes(token: str) -> bytes | None:
    """The bytes that a token's characters stand for, or ``None`` where one of them stands for none.

    >>> to_bytes("Ġthe"), to_bytes(" the")
    (b' the', None)
    """
    try:
        return bytes([_TO_BYTES[ord(char)] for char in token])
    except KeyError:
        return None
