"""What is put around texts: the special tokens of a model, as templates of one text and of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groundup.text import hf

#: Special tokens, and "$A" and "$B" for the texts.
Template = tuple[str, ...]
TEXTS = ("$A", "$B")


def types(template: Template) -> list[int]:
    """0 for what belongs to the first text, 1 from the second text on."""
    second = template.index("$B") if "$B" in template else len(template)
    return [int(i >= second) for i in range(len(template))]


def fill(
    template: Template, special: Mapping[str, int], first: list[int], *second: list[int]
) -> tuple[list[int], list[int]]:
    """The ids that a template makes of those of the texts, and their types."""
    ids: list[int] = []
    type_ids: list[int] = []
    for item, type_ in zip(template, types(template), strict=True):
        new = first if item == "$A" else second[0] if item == "$B" else [special[item]]
        ids += new
        type_ids += [type_] * len(new)
    return ids, type_ids


def check(template: Template, special: Mapping[str, int], texts: int, error: Any, field: str) -> Template:
    """A template of known special tokens and of so many texts, or an error."""
    wanted = TEXTS[:texts]
    if tuple(item for item in template if item not in special) != wanted:
        raise error(field, f"special tokens and {' and '.join(wanted)}", template)
    return template


def read(top: hf.Entry, special: Mapping[str, int]) -> tuple[Template, Template]:
    """The field ``post_processor``."""
    if top.content.get("post_processor") is None:
        return ("$A",), ("$A", "$B")
    entry = top.entry("post_processor")
    entry.expect("type", "TemplateProcessing", "BertProcessing")
    if entry.content["type"] == "BertProcessing":
        names = []
        for field in ("cls", "sep"):
            value = entry.get(field, list, "a token and its id")
            if len(value) != 2 or not isinstance(value[0], str) or special.get(value[0]) != value[1]:
                raise entry.error(field, "a special token and its id", value)
            names.append(value[0])
        cls, sep = names
        return (cls, "$A", sep), (cls, "$A", sep, "$B", sep)
    templates = []
    for field, texts in (("single", 1), ("pair", 2)):
        pieces = entry.entries(field)
        template: list[str] = []
        for piece in pieces:
            kind = next(iter(piece.content), "")
            name = piece.entry(kind).get("id", str, "a string")
            if kind == "SpecialToken" and name in special:
                template.append(name)
            elif kind == "Sequence" and name in ("A", "B"):
                template.append(f"${name}")
            else:
                raise piece.error(kind, "a Sequence A or B, or one of added_tokens", name)
        templates.append(check(tuple(template), special, texts, entry.error, field))
        for piece, type_ in zip(pieces, types(tuple(template)), strict=True):
            piece.entry(next(iter(piece.content))).expect("type_id", type_)
    return templates[0], templates[1]


def to_dict(single: Template, pair: Template, special: Mapping[str, int]) -> dict[str, Any] | None:
    """The field ``post_processor``; None where nothing is put around texts."""
    used = sorted({item for item in (*single, *pair) if item not in TEXTS})
    if not used:
        return None

    def pieces(template: Template) -> list[dict[str, Any]]:
        return [
            {"Sequence": {"id": item[1], "type_id": type_}}
            if item in TEXTS
            else {"SpecialToken": {"id": item, "type_id": type_}}
            for item, type_ in zip(template, types(template), strict=True)
        ]

    return {
        "type": "TemplateProcessing",
        "single": pieces(single),
        "pair": pieces(pair),
        "special_tokens": {name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in used},
    }
