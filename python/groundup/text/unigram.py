"""Unigram tokenizers: pieces with probabilities; a word is spelt in the most probable way (Kudo 2018).

Trained here or read from a ``tokenizer.json``; a trained one loads in the ``tokenizers`` package and gives the same ids
there. Spaces are written "▁" and belong to the word after them. The algorithms to read are in
`groundup.reference.unigram`, the fast ones in ``cpp/text/unigram.cpp`` and ``unigram_trainer.cpp``.

Not handled: SentencePiece's ``.model`` files and its normalizer ``Precompiled``; sampling of spellings. A "▁" of the
text itself comes back as a space.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from groundup import _core
from groundup.text import _templates as templates
from groundup.text import hf
from groundup.text import normalize as nm
from groundup.text._model import ModelTokenizer
from groundup.text.bpe import AddedToken
from groundup.text.bpe_training import Progress, wants_bar
from groundup.text.metaspace import BYTE_NAMES, MARK, Metaspace

Prepend = Literal["always", "first", "never"]
_PREPEND = ("always", "first", "never")
#: How much less probable an unknown character is than the worst piece.
_UNKNOWN_PENALTY = 10.0
_WORD = re.compile(f"{MARK}[^{MARK}]*|[^{MARK}]+")


class UnigramTokenizer(ModelTokenizer):
    """Words to ids by the most probable spelling.

    Args:
        pieces: the vocabulary in the order of its ids: pieces with their log probabilities.
        unk_token: the piece for characters that no piece has; None: those are an error.
        byte_fallback: spell such characters by their UTF-8 bytes instead, pieces "<0x00>" to "<0xFF>".
        normalizer: what is done to text first; None: nothing.
        prepend: put a "▁" before a text that does not begin with one: ``"always"`` (also after special tokens),
            ``"first"`` or ``"never"``.
        split: words are spelt one by one, so no piece has a "▁" inside.
        words: all white space parts words and is lost; otherwise only spaces count, and are kept.
        special_tokens: their names; None: the unknown token, if there is one.
        added_tokens: more tokens that are found before anything else, with their flags.
        single, pair: what is put around texts: special tokens, "$A" and "$B".

    Raises:
        ValueError: an argument contradicts another, a piece is there twice, or a score is not finite.

    >>> pieces = [("<unk>", 0.0), ("▁", -2.0), ("▁h", -3.0), ("ug", -2.5), ("h", -3.5), ("s", -3.0)]
    >>> tokenizer = UnigramTokenizer(pieces)
    >>> ids = tokenizer.encode("hug hugs")
    >>> [tokenizer.id_to_token(i).decode() for i in ids]
    ['▁h', 'ug', '▁h', 'ug', 's']
    >>> tokenizer.decode(ids)
    'hug hugs'
    """

    def __init__(
        self,
        pieces: Iterable[tuple[str, float]],
        *,
        unk_token: str | None = "<unk>",
        byte_fallback: bool = False,
        normalizer: nm.Normalizer | None = None,
        prepend: Prepend = "always",
        split: bool = True,
        words: bool = False,
        special_tokens: Iterable[str] | None = None,
        added_tokens: Iterable[AddedToken] = (),
        single: Iterable[str] = ("$A",),
        pair: Iterable[str] = ("$A", "$B"),
    ) -> None:
        self.pieces = [(piece, float(score)) for piece, score in pieces]
        self._vocab = _vocabulary(self.pieces, self._error, "pieces")
        if unk_token is not None and unk_token not in self._vocab:
            raise self._error("unk_token", "a piece, or None", unk_token)
        if prepend not in _PREPEND:
            raise self._error("prepend", "'always', 'first' or 'never'", prepend)
        if special_tokens is None:
            special_tokens = [] if unk_token is None else [unk_token]
        self._set_added(special_tokens, added_tokens)
        if byte_fallback and not any(name in self._vocab for name in BYTE_NAMES):
            raise self._error("pieces", "with bytes <0x00> to <0xFF> for byte_fallback", "none of them")
        self.unk_token = unk_token
        self.byte_fallback = byte_fallback
        self.normalizer = normalizer
        self.prepend = prepend
        self.split = split
        self.words = words
        self._set_templates(single, pair)
        before = [] if normalizer is None else [normalizer]
        self._at_start = nm.Sequence([*before, Metaspace(prepend != "never", words)])
        self._after_special = nm.Sequence([*before, Metaspace(prepend == "always", words)])
        self._model = _core.Unigram(
            [
                (piece, score, id_)
                for id_, (piece, score) in enumerate(self.pieces)
                if piece not in self._added  # these never come out of plain text
            ],
            min(score for _, score in self.pieces) - _UNKNOWN_PENALTY,
            None if unk_token is None else self._vocab[unk_token],
            [self._vocab.get(name) for name in BYTE_NAMES] if byte_fallback else [],
            split,
        )
        self._byte_of = {
            self._vocab[name]: byte for byte, name in enumerate(BYTE_NAMES) if name in self._vocab
        }
        self._finish()

    def __repr__(self) -> str:
        return f"UnigramTokenizer({self.vocab_size} pieces{', byte fallback' if self.byte_fallback else ''})"

    def _steps(self, at_start: bool) -> nm.Normalizer:
        return self._at_start if at_start else self._after_special

    # -------------------------------------------------------------------------------------------------- training

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int = 8000,
        *,
        special_tokens: Iterable[str] = ("<unk>",),
        unk_token: str | None = "<unk>",
        byte_fallback: bool = False,
        normalizer: nm.Normalizer | None = None,
        prepend: Prepend = "always",
        words: bool = False,
        longest: int = 16,
        seed_size: int = 1_000_000,
        shrink: float = 0.75,
        steps: int = 2,
        character_coverage: float = 1.0,
        progress: Progress = None,
    ) -> Self:
        """A vocabulary for texts. Memory is bounded by the distinct words, and the result by nothing but the arguments.

        Args:
            texts: a string, or strings one by one; a word does not cross from one into the next.
            vocab_size: how many pieces there are in the end, special tokens and bytes included.
            special_tokens: these get the first ids.
            longest: most characters of a piece.
            seed_size: how many pieces to begin with.
            shrink: what share of the pieces stays in each round.
            steps: steps of expectation-maximization a round.
            character_coverage: the most frequent characters that make up this share of the text become pieces; the
                others are unknown, or bytes.
            progress: show a bar; by default on a terminal. Or a function of (pieces dropped, pieces to drop).

        Raises:
            ValueError: no text, an argument out of range, or more characters than ``vocab_size`` has room for.
        """
        special = list(dict.fromkeys(special_tokens))
        if unk_token is not None and unk_token not in special:
            raise cls._error("unk_token", "one of special_tokens, or None", unk_token)
        for field, value, ok in (
            ("longest", longest, 1 <= longest <= 1000),
            ("seed_size", seed_size, seed_size >= 1),
            ("shrink", shrink, 0 < shrink < 1),
            ("steps", steps, steps >= 1),
            ("character_coverage", character_coverage, 0 < character_coverage <= 1),
        ):
            if not ok:
                raise cls._error(field, "in range", value)
        begin = Metaspace(prepend != "never", words)
        pipeline = begin if normalizer is None else nm.Sequence([normalizer, begin])
        counts: Counter[str] = Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            if not isinstance(text, str):
                raise TypeError(f"[UnigramTokenizer] texts must be strings, but got {type(text).__name__}")
            counts.update(_WORD.findall(pipeline.normalize(text)))
        counts = _covered(counts, character_coverage)
        if not counts:
            raise cls._error("texts", "text to learn from", "none")
        alphabet = set().union(*counts)
        if any("\ud800" <= char <= "\udfff" for char in alphabet):
            raise cls._error("texts", "Unicode", "a lone surrogate")
        trainer = _core.UnigramTrainer(list(counts.items()), longest, seed_size)
        # The names of bytes must be spelt by their characters where a text holds one.
        names = sorted(set("".join(BYTE_NAMES)) - alphabet) if byte_fallback else []
        fixed = len(special) + (256 + len(names) if byte_fallback else 0)
        size = vocab_size - fixed
        if size < trainer.characters():
            least = trainer.characters() + fixed
            raise cls._error("vocab_size", f"at least {least}, for all characters", vocab_size)

        enough = int(size * 1.1)  # the last tenth is chosen by score
        seeds = len(trainer)
        with _pruning(progress, max(seeds - size, 0)) as report:
            while True:
                for _ in range(steps):
                    trainer.step(0.5)
                    report(seeds - len(trainer))
                if len(trainer) <= enough:
                    break
                trainer.prune(max(enough, int(shrink * len(trainer))))
                report(seeds - len(trainer))
            trainer.finish(size)
            trainer.step(0.0)
            report(seeds - len(trainer))
        learnt = [(piece, score) for piece, score in trainer.pieces() if piece not in special]
        first = [(token, 0.0) for token in special]
        if byte_fallback:
            # "<0x41>" in a text is worth less as a byte than as six characters.
            worst = min(score for _, score in learnt)
            learnt = [(piece, score) for piece, score in learnt if piece not in BYTE_NAMES]
            first += [(name, len(name) * worst - 1) for name in BYTE_NAMES]
            learnt += [(name, worst) for name in names]
        return cls(
            first + learnt,
            unk_token=unk_token,
            byte_fallback=byte_fallback,
            normalizer=normalizer,
            prepend=prepend,
            words=words,
            special_tokens=special,
        )

    @classmethod
    def train_from_files(
        cls,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        vocab_size: int = 8000,
        **options: Any,
    ) -> Self:
        """`train` on the lines of UTF-8 files, read one by one."""
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]

        def lines() -> Iterator[str]:
            for path in paths:
                with open(path, "rb") as f:
                    for number, line in enumerate(f, 1):
                        try:
                            yield line.decode("utf-8")
                        except UnicodeDecodeError as error:
                            raise ValueError(
                                f"[UnigramTokenizer] {os.fspath(path)} line {number}: must be UTF-8, but got byte "
                                f"0x{line[error.start]:02x}"
                            ) from None

        return cls.train(lines(), vocab_size, **options)

    # ---------------------------------------------------------------------------------------- encoding, decoding

    def _safe_cut(self, text: str | bytes) -> int:
        # Words begin at spaces; but a normalizer may look across them, and special tokens may hold them.
        if (
            self.normalizer is not None
            or not self.split
            or any(t.lstrip or t.rstrip or " " in t.text for t in self.added_tokens)
        ):
            return 0
        # Behind the cut a "▁" is put before what does not begin with one: a space does.
        return max(text.rfind(" " if isinstance(text, str) else b" "), 0)  # type: ignore[arg-type]

    def decode_bytes(self, ids: npt.ArrayLike | Iterable[int]) -> bytes:
        """The bytes of ids: "▁" are spaces, those of the first piece left out.

        Raises:
            ValueError: an id without a token.
            TypeError: ids are not integers.
        """
        return b"".join(self._piece(id_, i == 0) for i, id_ in enumerate(self._id_array(ids).tolist()))

    def decode_stream(self, ids: Iterable[int], *, errors: str = "replace") -> Iterator[str]:
        """The text of ids as they come, in whole characters: the joined strings are `decode` of all ids."""
        pieces = (self._piece(int(self._id_array([id_])[0]), i == 0) for i, id_ in enumerate(ids))
        return self._whole_characters(pieces, errors)

    def _piece(self, id_: int, first: bool) -> bytes:
        if self.byte_fallback and id_ in self._byte_of:
            return bytes([self._byte_of[id_]])
        space = b"" if first and self.prepend != "never" else b" "
        return self.id_to_token(id_).replace(MARK.encode(), space)

    # ----------------------------------------------------------------------------------------------- explanation

    def score(self, ids: npt.ArrayLike | Iterable[int]) -> float:
        """The log probability of a spelling: the sum of its pieces'."""
        array = self._id_array(ids)
        if array.size and not 0 <= array.min() <= array.max() < len(self.pieces):
            raise ValueError(f"[UnigramTokenizer] ids must be of pieces, but got {array.tolist()!r:.60}")
        return float(np.array([score for _, score in self.pieces])[array].sum())

    def trace(self, text: str, best: int = 3) -> UnigramTrace:
        """The most probable spellings of each word of a text; prints as a table.

        >>> print(UnigramTokenizer([("<unk>", 0), ("▁", -2), ("a", -1), ("▁a", -2), ("aa", -3)]).trace("aa"))
        word  spelling  log p   share
        ▁aa   ▁a a      -3.000    66.5%
              ▁ a a     -4.000    24.5%
              ▁ aa      -5.000     9.0%
        """
        from groundup.reference import unigram as reference

        scores = {piece: score for piece, score in self.pieces if piece not in self._added}
        normalized = self._at_start.normalize(text)
        words = _WORD.findall(normalized) if self.split else [normalized]
        rows = []
        for word in words:
            spellings = reference.best_spellings(word, scores, best)
            total = reference.expected_counts(word, scores)[1] if spellings else -math.inf
            rows.append((word, spellings, total))
        return UnigramTrace(rows)

    # ----------------------------------------------------------------------------------------------------- files

    @classmethod
    def _from_entry(cls, top: hf.Entry) -> Self:
        model = top.entry("model")
        model.expect("type", "Unigram")
        pieces: list[tuple[str, float]] = []
        for i, item in enumerate(model.get("vocab", list, "a list")):
            if (
                not isinstance(item, list)
                or len(item) != 2
                or not isinstance(item[0], str)
                or type(item[1]) not in (int, float)
            ):
                raise model.error(f"vocab[{i}]", "a piece and its score", item)
            pieces.append((item[0], item[1]))
        vocab = _vocabulary(pieces, model.error, "vocab")
        unk_id = model.get("unk_id", (int, type(None)), "a number or null", None)
        if unk_id is not None and not 0 <= unk_id < len(pieces):
            raise model.error("unk_id", f"from 0 to {len(pieces) - 1}", unk_id)
        byte_fallback = model.get("byte_fallback", bool, "true or false", False)
        if byte_fallback and not any(name in vocab for name in BYTE_NAMES):
            raise model.error("vocab", "with bytes <0x00> to <0xFF> for byte_fallback", "none of them")
        added = hf.read_added_tokens(top, vocab)
        special = {token.text: token.id for token in added if token.special}
        space, words = _read_pre_tokenizer(top)
        prepend, split = _read_metaspace(space)
        decoder = top.entry("decoder")
        if byte_fallback:
            decoder.expect("type", "Sequence")
            steps = decoder.entries("decoders")
            if len(steps) != 2:
                raise decoder.error("decoders", "ByteFallback and Metaspace", decoder.content.get("decoders"))
            steps[0].expect("type", "ByteFallback")
            decoder = steps[1]
        decoder.expect("type", "Metaspace")
        if (_read_metaspace(decoder)[0] == "never") != (prepend == "never"):
            raise decoder.error("prepend_scheme", "that of the pre_tokenizer", _read_metaspace(decoder)[0])
        single, pair = templates.read(top, special)
        return cls(
            pieces,
            unk_token=None if unk_id is None else pieces[unk_id][0],
            byte_fallback=byte_fallback,
            normalizer=nm.from_dict(top.content.get("normalizer"), f"{top.path}: normalizer"),
            prepend=prepend,
            split=split,
            words=words,
            special_tokens=(),
            added_tokens=added,
            single=single,
            pair=pair,
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tokenizer.json``."""
        space = {
            "type": "Metaspace",
            "replacement": MARK,
            "prepend_scheme": self.prepend,
            "split": self.split,
        }
        by_word = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]}
        with_bytes = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, dict(space)]}
        return self._file(
            self.normalizer,
            pre_tokenizer=by_word if self.words else space,
            decoder=with_bytes if self.byte_fallback else dict(space),
            model={
                "type": "Unigram",
                "unk_id": None if self.unk_token is None else self._vocab[self.unk_token],
                "vocab": [[piece, score] for piece, score in self.pieces],
                "byte_fallback": self.byte_fallback,
            },
        )

    def _config(self) -> dict[str, Any]:
        unknown = {} if self.unk_token is None else {"unk_token": self.unk_token}
        return {**super()._config(), **unknown}


class UnigramTrace:
    """The best spellings of each word, and what share of its probability each has."""

    def __init__(self, words: list[tuple[str, list[tuple[float, list[str]]], float]]) -> None:
        self.words = words

    def __repr__(self) -> str:
        rows = [("word", "spelling", "log p", "share")]
        for word, spellings, total in self.words:
            for i, (score, pieces) in enumerate(spellings):
                share = f"{math.exp(score - total):7.1%}"
                rows.append(("" if i else word, " ".join(pieces), f"{score:.3f}", share))
            if not spellings:
                rows.append((word, "(unknown characters)", "", ""))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1, 2)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in rows
        )


@contextlib.contextmanager
def _pruning(progress: Progress, total: int) -> Iterator[Callable[[int], None]]:
    """What to call with the number of pieces dropped so far."""
    if callable(progress):
        call = progress
        yield lambda done: call(done, total)
    elif wants_bar(progress):
        from tqdm import tqdm

        with tqdm(total=total, unit="piece", leave=False, desc="dropping pieces") as bar:
            yield lambda done: bar.update(done - bar.n) and None
    else:
        yield lambda _: None


def _vocabulary(pieces: list[tuple[str, float]], error: Any, field: str) -> dict[str, int]:
    """Ids of pieces, each there once and with a score."""
    vocab: dict[str, int] = {}
    for id_, (piece, score) in enumerate(pieces):
        if not isinstance(piece, str) or piece in vocab:
            raise error(f"{field}[{id_}]", "a piece that is not there before", piece)
        if not math.isfinite(score):
            raise error(f"{field}[{id_}]", "a piece with a finite score", score)
        vocab[piece] = id_
    return hf.check_vocabulary(vocab, error, field)


def _covered(counts: Counter[str], coverage: float) -> Counter[str]:
    """Words without the rarest characters, cut where those were."""
    if coverage >= 1:
        return counts
    chars: Counter[str] = Counter()
    for word, count in counts.items():
        for char in word:
            chars[char] += count
    wanted, seen = coverage * chars.total(), 0
    rare = set()
    for char, count in sorted(chars.items(), key=lambda item: (-item[1], item[0])):
        if seen >= wanted:
            rare.add(char)
        seen += count
    if not rare:
        return counts
    cut = re.compile("[" + "".join(map(re.escape, sorted(rare))) + "]")
    result: Counter[str] = Counter()
    for word, count in counts.items():
        for part in cut.split(word):
            if part:
                result[part] += count
    return result


def _read_pre_tokenizer(top: hf.Entry) -> tuple[hf.Entry, bool]:
    """The entry of Metaspace, and whether words are parted at white space before."""
    entry = top.entry("pre_tokenizer")
    if entry.content.get("type") != "Sequence":
        entry.expect("type", "Metaspace", "Sequence")
        return entry, False
    steps = entry.entries("pretokenizers")
    if len(steps) != 2:
        raise entry.error(
            "pretokenizers", "WhitespaceSplit and Metaspace", entry.content.get("pretokenizers")
        )
    steps[0].expect("type", "WhitespaceSplit")
    steps[1].expect("type", "Metaspace")
    return steps[1], True


def _read_metaspace(entry: hf.Entry) -> tuple[Prepend, bool]:
    """Where a mark is put before text, and whether words are parted at marks."""
    entry.expect("replacement", MARK)
    scheme: Prepend
    if "prepend_scheme" in entry.content:
        entry.expect("prepend_scheme", *_PREPEND)
        scheme = entry.content["prepend_scheme"]
    else:  # as older files have it
        scheme = "always" if entry.get("add_prefix_space", bool, "true or false", True) else "never"
    return scheme, entry.get("split", bool, "true or false", True)
