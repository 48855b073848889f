"""Ideas that are no ops, for `groundup.explain`: which Python is the reference, and which C++ does the same fast.

A new idea is an entry here. C++ is named by folder and symbol, so that moving a function to another file changes
nothing; Python by module and name, ``groundup.reference.bpe:BPE.encode``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Idea:
    """One idea.

    Attributes:
        summary: a sentence that says what it does.
        statement: LaTeX, or empty.
        shapes: what goes in and what comes out, or empty.
        reference: the Python that explains it.
        cpp: folder of the core and the names that do it there: ``(("text", ("PieceMerger::merge_short",)),)``.
        measure: a function without arguments that returns a line on its speed, or empty.
        source: paper or text that defines it.
    """

    summary: str
    statement: str = ""
    shapes: str = ""
    reference: tuple[str, ...]
    cpp: tuple[tuple[str, tuple[str, ...]], ...] = ()
    measure: str = ""
    source: str = ""


IDEAS = {
    "bpe": Idea(
        summary="Byte-pair encoding: of all neighbours that may merge the pair learned first does, until none is left.",
        statement=r"\text{next merge} = \underset{(a, b)\ \text{neighbours}}{\arg\min}\ \text{rank}(a, b)",
        shapes="n bytes of one piece -> at most n ids",
        reference=("groundup.reference.bpe:BPE.encode", "groundup.reference.bpe:merge"),
        cpp=(("text", ("PieceMerger::merge_short",)),),
        measure="groundup._ideas:bpe_speed",
        source="Sennrich, Haddow, Birch: Neural Machine Translation of Rare Words with Subword Units, 2016",
    ),
    "bpe_train": Idea(
        summary="Learning byte-pair merges: the most frequent pair of neighbours becomes a token, again and again.",
        statement=r"\text{merge}_{k} = \underset{(a, b)}{\arg\max}\ \text{count}_{k}(a, b)",
        shapes="pieces with their counts -> merges, in the order in which they were learned",
        reference=("groundup.reference.bpe:BPE.train", "groundup.reference.bpe:count_pairs"),
        cpp=(("text", ("next_pair", "BpeTrainer::merge", "BpeTrainer::run")),),
        source="Gage: A New Algorithm for Data Compression, 1994",
    ),
    "wordpiece": Idea(
        summary="WordPiece encoding: the longest token that begins the rest of the word, again and again.",
        shapes="a word -> ids, or the unknown token where no token fits",
        reference=(
            "groundup.reference.wordpiece:encode_word",
            "groundup.reference.wordpiece:longest_matches",
        ),
        cpp=(("text", ("WordPiece::encode_word",)),),
        source="Devlin et al.: BERT, 2019",
    ),
    "unigram": Idea(
        summary="Unigram encoding: of all ways to cut a text into tokens the likeliest one, by dynamic programming.",
        statement=r"\hat{s} = \underset{s}{\arg\max} \sum_{t \in s} \log p(t)",
        shapes="n characters -> ids",
        reference=("groundup.reference.unigram:viterbi",),
        cpp=(("text", ("Unigram::encode_word",)),),
        source="Kudo: Subword Regularization, 2018",
    ),
}


def bpe_speed() -> str:
    """How fast both faces encode the same words, by turns."""
    from groundup.bench import timing
    from groundup.data import stdlib_text
    from groundup.reference.bpe import BPE
    from groundup.text import BPETokenizer

    text = stdlib_text().text[:20_000]
    tokenizer = BPETokenizer.train(text, 1000, pattern="gpt2", tie_break="rustbpe")
    words = [piece.text for line in text[:4000].splitlines() for piece in tokenizer.trace(line).pieces]
    reference = BPE(
        [tokenizer.id_to_token(i) for i in range(1000)], [(a, b) for a, b, _ in tokenizer.merges.tolist()]
    )

    def compiled() -> list[list[int]]:
        return [tokenizer.encode(word) for word in words]

    def readable() -> list[list[int]]:
        return [reference.encode(word) for word in words]

    if compiled() != readable():
        raise RuntimeError("[explain] C++ and Python must give the same ids")
    timed = timing.alternate(compiled, readable, 5)
    micro = 1e6 / len(words)
    return (
        f"{timed.ours * micro:.1f} µs a word against {timed.theirs * micro:.0f} µs in Python: "
        f"{timed.ratio:.0f} times as fast (95 %: {timed.low:.0f} to {timed.high:.0f}), {len(words):,} words one by one"
    )
