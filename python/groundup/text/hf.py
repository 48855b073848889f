"""What ``tokenizer.json`` files share: fields that are checked as they are read, vocabularies, added tokens."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from groundup.files import read_json
from groundup.text.bpe import AddedToken

_MOST_VALUES = 8_000_000  # values of a file: a vocabulary of a million tokens with its merges is about five
_HIGHEST_ID = 2**31 - 1
_REQUIRED = object()


def shown(value: object) -> str:
    """A value for an error message, short."""
    if isinstance(value, (dict, list)) and len(value) > 4:
        return f"{type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


class Entry:
    """An object of a JSON file; reading a field that is not what it must be raises, naming file and field."""

    def __init__(self, content: object, name: str, path: str, field: str = "") -> None:
        self.name, self.path, self.field = name, path, field
        if not isinstance(content, dict):
            raise self.error("", "an object", content)
        self.content: dict[str, Any] = content

    def where(self, field: str) -> str:
        """The path of a field from the top of the file."""
        return ".".join(filter(None, (self.field, field))) or "content"

    def error(self, field: str, expected: str, got: object) -> ValueError:
        """``[name] file: field must be …, but got …``"""
        return ValueError(
            f"[{self.name}] {self.path}: {self.where(field)} must be {expected}, but got {shown(got)}"
        )

    def get(
        self, field: str, kind: type | tuple[type, ...], expected: str, default: object = _REQUIRED
    ) -> Any:
        """The value of a field, of the right kind. A bool is no int."""
        value = self.content.get(field, None if default is _REQUIRED else default)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.error(field, expected, value)
        return value

    def entry(self, field: str) -> Entry:
        """A field that is an object itself."""
        return Entry(self.content.get(field), self.name, self.path, self.where(field))

    def expect(self, field: str, *values: object) -> None:
        """A field that may have these values only (where it is missing: None)."""
        value = self.content.get(field)
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            raise self.error(field, " or ".join(map(shown, values)), value)

    def entries(self, field: str) -> list[Entry]:
        """A field that is a list of objects; a missing one has none."""
        values = self.get(field, (list, type(None)), "a list", None) or []
        return [Entry(v, self.name, self.path, f"{self.where(field)}[{i}]") for i, v in enumerate(values)]


def read_entry(path: str | os.PathLike[str], name: str) -> Entry:
    """The content of a JSON file, which must be an object."""
    return Entry(read_json(path, max_values=_MOST_VALUES), name, os.fspath(path))


def check_vocabulary(vocab: Mapping[str, int], error: Any, field: str = "vocab") -> dict[str, int]:
    """A vocabulary whose ids are numbers, each there once.

    Args:
        error: makes an exception of field, expectation and what came.
    """
    if not vocab:
        raise error(field, "a vocabulary that is not empty", vocab)
    seen: dict[int, str] = {}
    for token, id_ in vocab.items():
        if type(id_) is not int or not 0 <= id_ <= _HIGHEST_ID:
            raise error(field, f"tokens with ids from 0 to {_HIGHEST_ID}", {token: id_})
        if id_ in seen:
            raise error(field, "tokens with an id of their own", f"{id_} of {seen[id_]!r} and {token!r}")
        seen[id_] = token
        try:
            token.encode("utf-8")
        except UnicodeEncodeError:
            raise error(field, "tokens of Unicode", token) from None
    return dict(vocab)


def vocabulary_of(vocab: Mapping[str, int] | Iterable[str], error: Any) -> dict[str, int]:
    """A checked vocabulary from ids by token, or from tokens in the order of their ids."""
    if isinstance(vocab, Mapping):
        return check_vocabulary(vocab, error)
    tokens = list(vocab)
    ids = {token: id_ for id_, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        twice = next(token for id_, token in enumerate(tokens) if ids[token] != id_)
        raise error("vocab", "tokens that are there once", twice)
    return check_vocabulary(ids, error)


_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read_added_tokens(top: Entry, vocab: Mapping[str, int]) -> list[AddedToken]:
    """The field ``added_tokens``."""
    tokens: list[AddedToken] = []
    for entry in top.entries("added_tokens"):
        text = entry.get("content", str, "a string")
        flags = {flag: entry.get(flag, bool, "true or false", False) for flag in _FLAGS}
        token = AddedToken(text, entry.get("id", int, "a number"), **flags)
        try:
            check_added([*tokens, token], vocab, top.error)
        except ValueError as error:
            raise ValueError(str(error).replace("added_tokens", entry.field, 1)) from None
        tokens.append(token)
    return tokens


def check_added(tokens: Iterable[AddedToken], vocab: Mapping[str, int], error: Any) -> dict[str, int]:
    """Ids of added tokens by their text: those that the vocabulary has for them, or free ones."""
    added: dict[str, int] = {}
    texts = {id_: text for text, id_ in vocab.items()}
    for token in tokens:
        if not token.text or token.text in added or any("\ud800" <= c <= "\udfff" for c in token.text):
            raise error("added_tokens", "texts that are not empty and there once", token.text)
        if not 0 <= token.id <= _HIGHEST_ID or texts.get(token.id, token.text) != token.text:
            raise error("added_tokens", "tokens with an id of their own", {token.text: token.id})
        if vocab.get(token.text, token.id) != token.id:
            raise error("added_tokens", "tokens with the id of the vocabulary", {token.text: token.id})
        added[token.text] = token.id
        texts[token.id] = token.text
    return added


def added_tokens(tokens: Iterable[AddedToken]) -> list[dict[str, Any]]:
    """The field ``added_tokens``."""
    return [
        {"id": token.id, "content": token.text, **{flag: getattr(token, flag) for flag in _FLAGS}}
        for token in sorted(tokens, key=lambda token: token.id)
    ]


def special_ids(
    names: Iterable[str] | Mapping[str, int], vocab: Mapping[str, int], error: Any
) -> dict[str, int]:
    """Special tokens with ids: given ones, or those of the vocabulary."""
    given = names if isinstance(names, Mapping) else dict.fromkeys(names)
    result: dict[str, int] = {}
    for name, id_ in given.items():
        if not isinstance(name, str):
            raise error("special_tokens", "strings", name)
        if id_ is None:
            id_ = vocab.get(name)
        if type(id_) is not int:
            raise error("special_tokens", "in the vocabulary, or given with an id", name)
        result[name] = id_
    return result
