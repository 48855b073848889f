"""Normalization: steps that rewrite text before it is tokenized, and that remember where every character came from.

>>> pipeline = Sequence([NFKC(), CaseFold(), CollapseWhitespace()])
>>> pipeline.normalize("ﬁrst\\u00a0  Straße")
'first strasse'
>>> result = pipeline("ﬁrst\\u00a0  Straße")
>>> result.text[6:13], result.span(6, 13), result.original[slice(*result.span(6, 13))]
('strasse', (7, 13), 'Straße')
>>> pipeline.table("ﬁrst\\u00a0  Straße")
step                text                  changes
(original)          'ﬁrst\\xa0  Straße'
NFKC                'first   Straße'      'ﬁ' → 'fi', '\\xa0' → ' '
CaseFold            'first   strasse'     'S' → 's', 'ß' → 'ss'
CollapseWhitespace  'first strasse'       '   ' → ' '

Every step is a small class with two methods: `normalize` gives the text alone (fast), `chars` each new character with
the span of the old text it stands for. What `unicodedata` says is what holds, so results follow the Unicode version
of the Python that runs. The exception is `BertNormalizer`, whose ids must equal those of the ``tokenizers`` package.

Spans are as tight as they can be while starts and ends never decrease: a ligature's letters share its span, a composed
character has the span of its parts, and marks that changed places share the span of them all. A character that was
put in (`Prepend`) has an empty span.

Not handled: the normalizers ``Precompiled`` (SentencePiece's binary tables) and ``Nmt`` of ``tokenizers``.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from groundup import _core

#: Unicode's white space. Python's own notion (`str.strip`, ``\\s``) has four control characters more.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


class Char(NamedTuple):
    """A character (or a few), and the span [start, end) of the text that it stands for."""

    text: str
    start: int
    end: int


class Change(NamedTuple):
    """A stretch that a step rewrote."""

    start: int
    end: int
    before: str
    after: str


@dataclass(frozen=True)
class Normalized:
    """A text after normalization, aligned with the original character by character.

    ``starts`` and ``ends`` hold one number a character of ``text``: it stands for ``original[start:end]``. Both never
    decrease. The span is empty only for a character that a step put in.
    """

    original: str
    text: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, text: str) -> Normalized:
        """The text as it is."""
        positions = np.arange(len(text) + 1, dtype=np.int64)
        return cls(text, text, positions[:-1], positions[1:])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that ``text[start:end]`` stands for.

        Raises:
            ValueError: not 0 <= start <= end <= len(text).
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(
                f"[Normalized] a span must lie in [0, {len(self.text)}], but got ({start}, {end})"
            )
        if start < end:
            return int(self.starts[start]), int(self.ends[end - 1])
        # Nothing stands for nothing: the place between two characters.
        place = int(self.ends[start - 1]) if start > 0 else 0
        return place, place

    def then(self, chars: Iterable[Char]) -> Normalized:
        """This, rewritten by a step: its characters with spans of ``self.text``."""
        texts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for text, start, end in chars:
            start, end = self.span(start, end)
            texts.append(text)
            starts.extend([start] * len(text))
            ends.extend([end] * len(text))
        # The smallest spans around these that never step back.
        first = np.minimum.accumulate(np.array(starts[::-1], np.int64))[::-1]
        last = np.maximum.accumulate(np.array(ends, np.int64))
        return Normalized(self.original, "".join(texts), first, last)

    def changes(self) -> list[Change]:
        """The stretches of the original that are not what they were, in order."""
        changes: list[Change] = []

        def note(start: int, end: int, after: str) -> None:
            before = self.original[start:end]
            if before == after:
                return
            if changes and changes[-1].end == start:  # one change with its neighbour
                last = changes.pop()
                start, before, after = last.start, last.before + before, last.after + after
            changes.append(Change(start, end, before, after))

        at = i = 0
        while i < len(self.text):
            start, end = int(self.starts[i]), int(self.ends[i])
            j = i + 1  # characters with spans that overlap belong together
            while j < len(self.text) and int(self.starts[j]) < end:
                end = max(end, int(self.ends[j]))
                j += 1
            note(at, start, "")
            note(start, end, self.text[i:j])
            at, i = end, j
        note(at, len(self.original), "")
        return changes


class Normalizer:
    """A step of normalization; subclasses define `chars`, and `normalize` where that has a faster way."""

    def chars(self, text: str) -> Iterable[Char]:
        """The new characters, in order, each with the span of ``text`` that it stands for."""
        raise NotImplementedError

    def normalize(self, text: str) -> str:
        """The new text."""
        return "".join(char.text for char in self.chars(text))

    def apply(self, normalized: Normalized) -> Normalized:
        """Rewrite what other steps have made already."""
        return normalized.then(self.chars(normalized.text))

    def __call__(self, text: str) -> Normalized:
        """The new text, aligned with the old."""
        return self.apply(Normalized.of(text))

    def steps(self) -> list[Normalizer]:
        """The steps one by one."""
        return [self]

    def table(self, text: str) -> NormalizationTable:
        """What each step changes in ``text``, as a table; Jupyter draws it."""
        rows, before = [], text
        for step in self.steps():
            result = step(before)
            rows.append(TableRow(repr(step).removesuffix("()"), result.text, result.changes()))
            before = result.text
        return NormalizationTable(text, rows)

    def to_dict(self) -> dict[str, Any]:
        """The entry ``normalizer`` of a ``tokenizer.json``."""
        return {"type": type(self).__name__, **vars(self)}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


# ------------------------------------------------------------------------------------------- Unicode's four forms


@functools.lru_cache(maxsize=1 << 14)
def _decompose(char: str, compatible: bool) -> str:
    return unicodedata.normalize("NFKD" if compatible else "NFD", char)


@functools.lru_cache(maxsize=1 << 14)
def _compose(first: str, second: str) -> str | None:
    """The one character that stands for both, if there is one."""
    composed = unicodedata.normalize("NFC", first + second)
    return composed if len(composed) == 1 else None


def _decomposed(text: str, compatible: bool) -> list[Char]:
    """Every character taken apart, and runs of combining marks put in canonical order."""
    chars: list[Char] = []
    run = 0  # where the present run of marks begins in chars
    for position, char in enumerate(text):
        for part in char if char < "\u00a0" else _decompose(char, compatible):
            if part < "\u0300" or not unicodedata.combining(part):
                if len(chars) - run > 1:
                    chars[run:] = sorted(chars[run:], key=_combining)
                run = len(chars) + 1
            chars.append(Char(part, position, position + 1))
    if len(chars) - run > 1:
        chars[run:] = sorted(chars[run:], key=_combining)
    return chars


def _combining(char: Char) -> int:
    return unicodedata.combining(char.text)


def _composed(decomposed: list[Char]) -> list[Char]:
    """Canonical composition: each mark joins the last starter where no other mark blocks it."""
    chars: list[Char] = []
    starter = -1
    for char in decomposed:
        if starter >= 0 and char.text >= "\u0300":
            adjacent = starter == len(chars) - 1
            if adjacent or _combining(chars[-1]) < _combining(char):
                first = chars[starter]
                joined = _compose(first.text, char.text)
                if joined is not None:
                    chars[starter] = Char(joined, min(first.start, char.start), max(first.end, char.end))
                    continue
        if not unicodedata.combining(char.text):
            starter = len(chars)
        chars.append(char)
    return chars


class _UnicodeForm(Normalizer):
    form: Form

    def normalize(self, text: str) -> str:
        return unicodedata.normalize(self.form, text)

    def chars(self, text: str) -> list[Char]:
        if unicodedata.is_normalized(self.form, text):
            return [Char(char, i, i + 1) for i, char in enumerate(text)]
        chars = _decomposed(text, compatible="K" in self.form)
        return _composed(chars) if self.form.endswith("C") else chars


class NFC(_UnicodeForm):
    """Canonical composition: "e" and a combining accent become "é"."""

    form = "NFC"


class NFD(_UnicodeForm):
    """Canonical decomposition: "é" becomes "e" and a combining accent."""

    form = "NFD"


class NFKC(_UnicodeForm):
    """Compatibility composition: as NFC, and "ﬁ" becomes "fi", "²" "2", full-width letters plain ones."""

    form = "NFKC"


class NFKD(_UnicodeForm):
    """Compatibility decomposition: as NFD, and what only looks different becomes the same."""

    form = "NFKD"


# ------------------------------------------------------------------------------------------ character by character


class _Mapped(Normalizer):
    """A step that looks at one character at a time."""

    def map(self, char: str) -> str:
        """What becomes of a character; nothing, to delete it."""
        raise NotImplementedError

    def normalize(self, text: str) -> str:
        return "".join(map(self.map, text))

    def chars(self, text: str) -> Iterator[Char]:
        for i, char in enumerate(text):
            mapped = self.map(char)
            if mapped:
                yield Char(mapped, i, i + 1)


class Lowercase(_Mapped):
    """Lower case, each character by itself: a final "Σ" becomes "σ", as ``tokenizers`` has it, not "ς"."""

    def map(self, char: str) -> str:
        return char.lower()


class CaseFold(_Mapped):
    """Case folding, for texts to compare: lower case, and "ß" becomes "ss"."""

    def map(self, char: str) -> str:
        return char.casefold()

    def to_dict(self) -> dict[str, Any]:
        raise ValueError(
            "[CaseFold] a tokenizer.json must hold other steps: it has no case folding, but Lowercase"
        )


class StripAccents(_Mapped):
    """Combining marks out. They stand alone only after `NFD` or `NFKD`: "é" itself is a letter."""

    def map(self, char: str) -> str:
        return "" if unicodedata.category(char)[0] == "M" else char


class RemoveControl(_Mapped):
    """Control and format characters out (categories Cc and Cf), but for tabulators and line ends."""

    def map(self, char: str) -> str:
        return "" if char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf") else char

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Replace", "pattern": {"Regex": r"(?![\t\n\r])[\p{Cc}\p{Cf}]"}, "content": ""}


# --------------------------------------------------------------------------------------------------- longer pieces


class Strip(Normalizer):
    """White space out at the beginning and at the end."""

    def __init__(self, left: bool = True, right: bool = True) -> None:
        self.left = left
        self.right = right

    def chars(self, text: str) -> Iterator[Char]:
        start = len(text) - len(text.lstrip(WHITE_SPACE)) if self.left else 0
        end = max(len(text.rstrip(WHITE_SPACE)), start) if self.right else len(text)
        return (Char(text[i], i, i + 1) for i in range(start, end))

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Strip", "strip_left": self.left, "strip_right": self.right}


class Replace(Normalizer):
    """Every match of ``pattern`` becomes ``content``.

    Args:
        pattern: a string, or a regular expression as `re.compile` makes it.
        content: what to write instead, literally.
    """

    def __init__(self, pattern: str | re.Pattern[str], content: str) -> None:
        if pattern == "":
            raise ValueError("[Replace] pattern must not be empty, but it is")
        self.pattern = pattern
        self.content = content

    def chars(self, text: str) -> Iterator[Char]:
        pattern = re.compile(re.escape(self.pattern)) if isinstance(self.pattern, str) else self.pattern
        at = 0
        for match in pattern.finditer(text):
            yield from (Char(text[i], i, i + 1) for i in range(at, match.start()))
            if self.content:
                yield Char(self.content, match.start(), match.end())
            at = match.end()
        yield from (Char(text[i], i, i + 1) for i in range(at, len(text)))

    def normalize(self, text: str) -> str:
        if isinstance(self.pattern, str):
            return text.replace(self.pattern, self.content)
        return self.pattern.sub(lambda _: self.content, text)

    def to_dict(self) -> dict[str, Any]:
        kind = "String" if isinstance(self.pattern, str) else "Regex"
        source = self.pattern if isinstance(self.pattern, str) else self.pattern.pattern
        return {"type": "Replace", "pattern": {kind: source}, "content": self.content}


class CollapseWhitespace(Replace):
    """Each run of white space becomes one space."""

    def __init__(self) -> None:
        super().__init__(re.compile(f"[{WHITE_SPACE}]+"), " ")

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}

    def __repr__(self) -> str:
        return "CollapseWhitespace()"


class Prepend(Normalizer):
    """Put ``prepend`` before a text that is not empty."""

    def __init__(self, prepend: str = "▁") -> None:
        self.prepend = prepend

    def chars(self, text: str) -> Iterator[Char]:
        if text and self.prepend:
            yield Char(self.prepend, 0, 0)
        yield from (Char(char, i, i + 1) for i, char in enumerate(text))

    def normalize(self, text: str) -> str:
        return self.prepend + text if text else text


# ------------------------------------------------------------------------------------------------------------ BERT

_REMOVED, _MARK, _SPACE, _CHINESE = 1, 2, 4, 16  # bits of _core.bert_class


class BertNormalizer(Normalizer):
    """What BERT does to text before WordPiece.

    Its character classes are those of the ``tokenizers`` package, a mixture of several versions of Unicode that is
    kept in ``cpp/text/bert_tables.inc``. The compiled twin is ``cpp/text/bert.cpp``.

    Args:
        clean_text: control characters, NUL and U+FFFD out; every white space becomes a space.
        handle_chinese_chars: a space before and after each Chinese character.
        strip_accents: decompose and drop nonspacing marks; None: as ``lowercase``.
        lowercase: lower case.

    >>> BertNormalizer().normalize("Café\\t中!")
    'cafe  中 !'
    """

    def __init__(
        self,
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        lowercase: bool = True,
    ) -> None:
        self.clean_text = clean_text
        self.handle_chinese_chars = handle_chinese_chars
        self.strip_accents = strip_accents
        self.lowercase = lowercase

    @property
    def strips_accents(self) -> bool:
        """Whether accents go, with the default resolved."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def chars(self, text: str) -> list[Char]:
        chars = [Char(char, i, i + 1) for i, char in enumerate(text)]
        if self.clean_text:
            kept = (char for char in chars if not _bert_class(char.text) & _REMOVED)
            chars = [char._replace(text=" ") if _bert_class(char.text) & _SPACE else char for char in kept]
        if self.handle_chinese_chars:
            chars = list(_parted(chars))
        if self.strips_accents:
            parts = (
                Char(part, start, end)
                for char, start, end in chars
                for part in (char if char < "\u00c0" else _core.bert_decompose(ord(char)))
            )
            chars = [char for char in _ordered(parts) if not _bert_class(char.text) & _MARK]
        if self.lowercase:
            chars = [Char(_core.bert_lower(ord(char)), start, end) for char, start, end in chars]
        return chars


@functools.lru_cache(maxsize=1 << 14)
def _bert_class(char: str) -> int:
    return _core.bert_class(ord(char))


def _parted(chars: Iterable[Char]) -> Iterator[Char]:
    """Spaces around Chinese characters."""
    for char in chars:
        chinese = _bert_class(char.text) & _CHINESE
        if chinese:
            yield Char(" ", char.start, char.start)
        yield char
        if chinese:
            yield Char(" ", char.end, char.end)


def _ordered(chars: Iterable[Char]) -> Iterator[Char]:
    """Runs of combining marks in canonical order."""
    run: list[Char] = []
    for char in chars:
        if _core.bert_combining_class(ord(char.text)):
            run.append(char)
        else:
            yield from sorted(run, key=lambda mark: _core.bert_combining_class(ord(mark.text)))
            run.clear()
            yield char
    yield from sorted(run, key=lambda mark: _core.bert_combining_class(ord(mark.text)))


# ------------------------------------------------------------------------------------------------------- pipelines


class Sequence(Normalizer):
    """Steps one after another."""

    def __init__(self, normalizers: Iterable[Normalizer]) -> None:
        self.normalizers = list(normalizers)
        for step in self.normalizers:
            if not isinstance(step, Normalizer):
                raise TypeError(f"[Sequence] steps must be normalizers, but got {type(step).__name__}")

    def steps(self) -> list[Normalizer]:
        return [step for normalizer in self.normalizers for step in normalizer.steps()]

    def normalize(self, text: str) -> str:
        for step in self.normalizers:
            text = step.normalize(text)
        return text

    def apply(self, normalized: Normalized) -> Normalized:
        for step in self.normalizers:
            normalized = step.apply(normalized)
        return normalized

    def chars(self, text: str) -> Iterator[Char]:
        result = self(text)
        return map(Char, result.text, result.starts.tolist(), result.ends.tolist())

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Sequence", "normalizers": [step.to_dict() for step in self.normalizers]}

    def __repr__(self) -> str:
        return f"Sequence([{', '.join(map(repr, self.normalizers))}])"


_DEEPEST = 32  # sequences in sequences


def from_dict(content: object, where: str = "normalizer") -> Normalizer | None:
    """The normalizer of a ``tokenizer.json``; None for null. A sequence inside a sequence becomes part of it.

    Raises:
        ValueError: not a normalizer known here; names the field after ``where``.
    """
    if content is None:
        return None
    steps: list[Normalizer] = []
    pending: list[tuple[object, str, int]] = [(content, where, 0)]
    while pending:
        entry, field, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError(f"[normalize] {where} may nest {_DEEPEST} levels deep, but got more")
        if isinstance(entry, dict) and entry.get("type") == "Sequence":
            inner = _get(entry, field, "normalizers", list, "a list", None)
            pending += [(step, f"{field}.normalizers[{i}]", depth + 1) for i, step in enumerate(inner)][::-1]
        else:
            steps.append(_step(entry, field))
    single = len(steps) == 1 and isinstance(content, dict) and content.get("type") != "Sequence"
    return steps[0] if single else Sequence(steps)


def _fail(field: str, expected: str, got: object) -> ValueError:
    shown = repr(got) if isinstance(got, (str, int, float, bool, type(None))) else type(got).__name__
    return ValueError(f"[normalize] {field} must be {expected}, but got {shown:.80}")


def _get(
    entry: dict[str, Any],
    where: str,
    field: str,
    kind: type | tuple[type, ...],
    expected: str,
    default: object,
) -> Any:
    value = entry.get(field, default)
    if not isinstance(value, kind):
        raise _fail(f"{where}.{field}", expected, value)
    return value


_PLAIN: dict[str, type[Normalizer]] = {
    step.__name__: step for step in (NFC, NFD, NFKC, NFKD, Lowercase, StripAccents)
}


def _step(entry: object, where: str) -> Normalizer:
    """One step that is no sequence."""
    if not isinstance(entry, dict):
        raise _fail(where, "an object", entry)

    def flag(field: str, default: bool = True) -> bool:
        return bool(_get(entry, where, field, bool, "true or false", default))

    kind = entry.get("type")
    if isinstance(kind, str) and kind in _PLAIN:
        return _PLAIN[kind]()
    if kind == "Strip":
        return Strip(flag("strip_left"), flag("strip_right"))
    if kind == "Prepend":
        return Prepend(_get(entry, where, "prepend", str, "a string", None))
    if kind == "Replace":
        return _replace(entry, where)
    if kind == "BertNormalizer":
        strip = _get(entry, where, "strip_accents", (bool, type(None)), "true, false or null", None)
        return BertNormalizer(flag("clean_text"), flag("handle_chinese_chars"), strip, flag("lowercase"))
    known = ", ".join([*_PLAIN, "BertNormalizer", "Prepend", "Replace", "Sequence", "Strip"])
    raise _fail(f"{where}.type", f"one of {known}", kind)


def _replace(entry: dict[str, Any], where: str) -> Replace | RemoveControl:
    pattern = _get(entry, where, "pattern", dict, "an object", None)
    content = _get(entry, where, "content", str, "a string", None)
    kind, source = next(iter(pattern.items()), (None, None))
    if len(pattern) != 1 or kind not in ("String", "Regex") or not isinstance(source, str) or not source:
        raise _fail(f"{where}.pattern", "{'String': …} or {'Regex': …} with a string", source)
    if kind == "String":
        return Replace(source, content)
    for known in (CollapseWhitespace(), RemoveControl()):
        if known.to_dict() == entry:
            return known
    return Replace(_compile(source, f"{where}.pattern.Regex"), content)


def _compile(source: str, where: str) -> re.Pattern[str]:
    """A regular expression; one that `re` does not know (``\\p{L}``) by the package ``regex``, if it is there."""
    try:
        return re.compile(source)
    except (re.error, RecursionError, OverflowError) as error:
        reason: Exception = error
    try:
        import regex
    except ImportError:
        raise _fail(where, f"one that re reads ({reason}), or pip install regex", source) from None
    try:
        return cast("re.Pattern[str]", regex.compile(source))
    except (regex.error, RecursionError, OverflowError) as error:
        raise _fail(where, f"a regular expression ({error})", source) from None


# ----------------------------------------------------------------------------------------------------------- table


@dataclass(frozen=True)
class TableRow:
    """What one step did."""

    step: str
    text: str
    changes: list[Change]


class NormalizationTable:
    """The text after each step and the stretches it rewrote; plain text in a terminal, HTML in Jupyter."""

    def __init__(self, original: str, rows: list[TableRow]) -> None:
        self.original = original
        self.rows = rows

    def __repr__(self) -> str:
        cells = [("step", "text", "changes"), ("(original)", _visible(self.original), "")]
        cells += [(row.step, _visible(row.text), _summary(row.changes)) for row in self.rows]
        widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
        return "\n".join(
            f"{step:<{widths[0]}}  {text:<{widths[1]}}  {changes}".rstrip() for step, text, changes in cells
        )

    def _repr_html_(self) -> str:
        rows = [("(original)", html.escape(_visible(self.original)), "")]
        rows += [
            (html.escape(row.step), html.escape(_visible(row.text)), html.escape(_summary(row.changes)))
            for row in self.rows
        ]
        body = "".join(
            f"<tr><td>{step}</td><td><code>{text}</code></td><td><code>{changes}</code></td></tr>"
            for step, text, changes in rows
        )
        head = "<tr><th>step</th><th>text</th><th>changes</th></tr>"
        return f"<table style='text-align:left'><thead>{head}</thead><tbody>{body}</tbody></table>"


def _visible(text: str) -> str:
    """Quoted; what does not show, or joins the character before it, as its escape."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char)[0] == "M" else char
        for char in repr(text)
    )


def _summary(changes: list[Change], most: int = 8) -> str:
    shown = [f"{_visible(change.before)} → {_visible(change.after)}" for change in changes[:most]]
    if len(changes) > most:
        shown.append(f"and {len(changes) - most} more")
    return ", ".join(shown)
