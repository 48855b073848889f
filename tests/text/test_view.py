"""What a reader sees of tokens: traces, coloured tokens, HTML; and that no text can break out of it."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import BPETokenizer, WordPieceTokenizer
from groundup.text.view import readable

LEARNED = BPETokenizer.train("low lower lowest slow 字字 é\n" * 5, 280, special_tokens=["<end>"])
RANKED = BPETokenizer([*(bytes([b]) for b in range(256)), b"ab", b"bc", b"abc"])


class Reader(HTMLParser):
    """Tags, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        assert all(name in ("style", "title", "colspan") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("tokenizer", [LEARNED, RANKED, BPETokenizer.train("ab ab abc", 300, pattern="none")])
@given(st.text(alphabet="lowerabc st<>nd字é\n") | st.binary(max_size=30) | st.just("<end>low<end>"))
def test_a_trace_ends_in_the_ids_of_encode(tokenizer: BPETokenizer, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    trace = tokenizer.trace(text)
    assert trace.ids == tokenizer.encode(text, allowed_special="all")
    assert b"".join(piece.text for piece in trace.pieces) == data
    for piece in trace.pieces:
        for step in piece.steps:
            assert step.piece == piece.text == b"".join(step.tokens)
    assert len(trace) == len(list(trace))


def test_a_trace_by_hand() -> None:
    steps = list(BPETokenizer.train("low lower lowest", 260).trace("lowlow"))
    # l+o was learned first, then lo+w, then the space before low.
    assert [(step.step, step.rank, step.pair) for step in steps] == [
        (1, 0, (b"l", b"o")),
        (2, 1, (b"lo", b"w")),
    ]
    assert [step.tokens for step in steps] == [(b"lo", b"w", b"lo", b"w"), (b"low", b"low")]


def test_ranks_and_whole_pieces() -> None:
    # bc has a higher rank than ab, so "abc" goes over ab.
    assert [step.pair for step in RANKED.trace("abc")] == [(b"a", b"b"), (b"ab", b"c")]
    vocab = [*(bytes([b]) for b in range(256)), b"xyz"]
    whole = BPETokenizer(vocab, [], whole_pieces=True)
    (step,) = whole.trace("xyz")
    assert step.pair is None and step.rank is None and step.tokens == (b"xyz",)
    assert "the whole piece is a token" in str(whole.trace("xyz"))
    assert whole.trace("xyz").ids == whole.encode("xyz") == [256]


def test_trace_of_normalized_and_regex_split_text() -> None:
    pytest.importorskip("regex")
    from groundup.text import normalize

    tokenizer = BPETokenizer(
        [*(bytes([b]) for b in range(256)), b" a"], [(32, 97)], pattern="[a-z ]+|.",
        normalizer=normalize.CaseFold(), add_prefix_space=True,
    )  # fmt: skip
    trace = tokenizer.trace("A1 a")
    assert [piece.text for piece in trace.pieces] == [b" a", b"1", b" a"]
    assert trace.ids == tokenizer.encode("A1 a")


def test_long_text_is_not_traced() -> None:
    assert len(LEARNED.trace("a" * 4096).pieces) == 1
    with pytest.raises(ValueError, match=r"text to trace must hold at most 4,096 bytes, but got 4,097"):
        LEARNED.trace("a" * 4097)
    with pytest.raises(TypeError, match="text must be a str or bytes, but got int"):
        LEARNED.trace(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="special tokens that are not allowed"):
        LEARNED.trace("<end>", allowed_special=(), disallowed_special="all")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b" a", "␣a"), (b"\n\t\r", "↵⇥␍"), (b"\x00\x1b[31m\x7f", r"\x00\x1b[31m\x7f"),
        ("字".encode()[:2], r"\xe5\xad"), ("\u202e\u200d".encode(), r"\u202e\u200d"),
        ("\U000e0001".encode(), r"\U000e0001"), (b"\xff\xfe", r"\xff\xfe"), ("né😀".encode(), "né😀"),
    ],
)  # fmt: skip
def test_readable(token: bytes, expected: str) -> None:
    assert readable(token, "␣") == expected


def test_show_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    view = LEARNED.show("low\n<end>")
    assert str(view) == repr(view) == "low│↵\n│<end>\n3 tokens, 9 bytes, 3.00 bytes a token"
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = str(view)
    assert coloured.count("\x1b[0m") == 3 and "\x1b[4;" in coloured
    assert "\x1b[" in str(LEARNED.trace("lower"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in str(view)


def test_show_of_every_tokenizer_and_of_nothing() -> None:
    assert str(LEARNED.show("")) == "\n0 tokens, 0 bytes"
    assert str(LEARNED.trace("")) == "0 tokens, 0 bytes"
    assert LEARNED.show(b"\xff").tokens == [b"\xff"]
    words = WordPieceTokenizer(["[UNK]", "low", "##er"])
    assert words.show("lower ?").ids == words.encode("lower ?") == [1, 2, 0]


@given(
    st.text()
    | st.binary()
    | st.sampled_from(["<script>alert(1)</script>", "'\"><b>", "\x1b]0;x\x07", "&lt;"])
)
def test_html_holds_the_text_and_nothing_else(text: str | bytes) -> None:
    if len(text) > 1000:
        return
    view = LEARNED.show(text)
    page = Reader(view._repr_html_())
    assert page.tags <= {"div", "span"}
    shown = "".join(readable(token) for token in view.tokens)
    assert page.text.replace("↵\n", "↵") == shown + view.summary
    table = Reader(LEARNED.trace(text)._repr_html_())
    assert table.tags <= {"div", "span", "table", "tr", "td"}
    assert "\x1b" not in str(view) + str(LEARNED.trace(text))


def test_a_traced_tokenizer_pickles() -> None:
    LEARNED.trace("low")
    again = pickle.loads(pickle.dumps(LEARNED))
    assert again.trace("low").ids == LEARNED.trace("low").ids
