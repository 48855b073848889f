"""Exercises of day 33: encode with learned merges, and the first merge in SQL."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

from groundup.reference.bpe import BPE, Pair
from groundup.study.checking import Exercise, expect
from groundup.study.sql import Query, SQLError

Encode = Callable[[bytes, list[Pair]], Any]


def _listed(encode: Encode, data: bytes, merges: list[Pair]) -> Any:
    """What came, if it is a list."""
    ids = encode(data, list(merges))
    expect(ids is not None, f"for {data!r} a list of ids must come back, but None came: is a return missing?")
    expect(
        isinstance(ids, (list, tuple)),
        f"for {data!r} a list of ids must come back, but a {type(ids).__name__} came",
    )
    return ids


def _spelled(ids: Any, merges: list[Pair], data: bytes) -> bytes:
    """The bytes that ids stand for; says what is wrong where they stand for none."""
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    for id_ in ids:
        known = isinstance(id_, Integral) and 0 <= int(id_) < len(tokens)
        expect(
            known,
            f"for {data!r} the id {id_!r} came, but bytes and {len(merges)} merges make ids 0 to {len(tokens) - 1}",
        )
    return b"".join(tokens[id_] for id_ in ids)


def _ask(encode: Encode, data: bytes, merges: list[Pair]) -> list[int]:
    """The learner's ids, if they spell the text and nothing is left to merge."""
    ids = _listed(encode, data, merges)
    shown = f"{data!r} with merges {merges}" if len(merges) < 6 else repr(data)
    spelled = _spelled(ids, merges, data)
    if len(spelled) > len(data):
        expect(
            False,
            f"{shown} became {list(ids)}, which spells {spelled!r}: overlapping pairs used a byte twice",
        )
    expect(
        spelled == data,
        f"{shown} became {list(ids)}, which spells {spelled!r}: bytes of the text were lost or changed",
    )
    for pair in pairwise(ids):
        expect(
            pair not in merges,
            f"{shown} became {list(ids)}, but {pair} is a merge: it stopped while a pair was left",
        )
    return list(ids)


def one_merge(encode: Encode) -> None:
    "One merge: `low`, where `l` and `o` were merged."
    ids = _listed(encode, b"low", [(108, 111)])
    expect(
        255 not in ids,
        f"the first merge makes id 256, the first that is no byte, but {ids} came: ids are off by one",
    )
    expect(_ask(encode, b"low", [(108, 111)]) == [256, 119], f"b'low' must become [256, 119], but {ids} came")


def ragged_sizes(encode: Encode) -> None:
    "Texts of no byte, of one, and of bytes that no merge knows."
    merges = [(97, 98), (256, 98)]
    for data in (b"", b"a", b"zzz", bytes([0, 255, 128]), b"b" * 13, "é".encode()):
        ids = _ask(encode, data, merges)
        expect(ids == list(data), f"no merge fits {data!r}, so its bytes must come back, but {ids} came")


def overlaps(encode: Encode) -> None:
    "Pairs that overlap: `aaa`."
    for size in (2, 3, 4, 5, 8):
        ids = _ask(encode, b"a" * size, [(97, 97)])
        wanted = [256] * (size // 2) + [97] * (size % 2)
        expect(
            ids == wanted,
            f"{b'a' * size!r} must be merged from left to right, but {ids} came: the odd one out is the last",
        )


def rank_order(encode: Encode) -> None:
    "Of two pairs that overlap, the one learned first."
    ids = _ask(encode, b"abc", [(97, 98), (98, 99)])
    expect(
        ids == [256, 99],
        f"in b'abc' both merges fit and (97, 98) was learned first, but {ids} came: the rank order is wrong",
    )


def not_from_the_left(encode: Encode) -> None:
    "The pair learned first may stand further right."
    merges = [(99, 100), (98, 256), (97, 257), (97, 98)]
    ids = _ask(encode, b"abcd", merges)
    expect(
        ids == [258],
        f"b'abcd' with merges {merges} became {ids}: a pair further left went before one that was learned earlier",
    )


def not_the_longest(encode: Encode) -> None:
    "A longer token that merges never reach."
    merges = [(98, 99), (97, 98), (257, 99)]
    ids = _ask(encode, b"abc", merges)
    expect(
        ids == [97, 256],
        f"b'abc' with merges {merges} became {ids}: that is the longest token that fits, "
        "but merge 0 comes first and takes the b away from the a",
    )


def not_the_most_frequent(encode: Encode) -> None:
    "The pair learned first may be the rarer one."
    merges = [(97, 98), (98, 99)]
    ids = _ask(encode, b"bcabcbc", merges)
    expect(
        ids == [257, 256, 99, 257],
        f"b'bcabcbc' with merges {merges} became {ids}: the pair most frequent in this text went first, "
        "but merges go in the order in which they were learned",
    )


def example_of_the_page(encode: Encode) -> None:
    "The page's `aaabdaaabac`, three merges deep."
    merges = [(97, 97), (256, 97), (257, 98)]
    ids = _ask(encode, b"aaabdaaabac", merges)
    expect(
        ids == [258, 100, 258, 97, 99], f"b'aaabdaaabac' must become [258, 100, 258, 97, 99], but {ids} came"
    )


def arguments_stay(encode: Encode) -> None:
    "Calling it does not change the merges."
    merges = [(97, 98), (256, 99)]
    encode(b"abcabc", merges)
    expect(
        merges == [(97, 98), (256, 99)],
        f"after a call, the list of merges is {merges}: encode changed its argument",
    )


def invariant(encode: Encode) -> None:
    "On random texts: the same ids as the reference, and they spell the text."
    draw = random.Random(33)
    for size in (1, 7, 37, 73, 150):
        words = ["".join(draw.choices("abcé ", k=draw.randint(1, 9))).encode() for _ in range(60)]
        bpe = BPE.train(words, size, tie_break="rustbpe")
        text = "".join(draw.choices("abcé ", k=size)).encode()
        ids = _ask(encode, text, bpe.merges)
        expect(
            ids == bpe.encode(text),
            f"{text!r} with {len(bpe.merges)} learned merges must become {bpe.encode(text)}, but {ids} came",
        )


# ------------------------------------------------------------------------------------------------------------- SQL

Rows = list[tuple[int, int, str]]
COLUMNS = ("doc", "place", "token")


def _rows(*docs: Sequence[str]) -> Rows:
    return [(doc, place, token) for doc, text in enumerate(docs) for place, token in enumerate(text)]


def _best(query: Query, rows: Rows) -> tuple[Any, ...]:
    """The one row that the query gives."""
    found = query({"tokens": (COLUMNS, rows)})
    expect(len(found) == 1, f"one row must come back, the best pair, but {len(found)} came")
    expect(
        len(found[0]) == 3,
        f"a row must hold the left token, the right one and the count, but {found[0]} came",
    )
    return found[0]


def hand_example(query: Query) -> None:
    "The page's `aaabdaaabac`: the pair `a`, `a`, 4 times."
    row = _best(query, _rows("aaabdaaabac"))
    shown = f"in aaabdaaabac the pair a, a stands 4 times, but {row} came"
    expect(row != ("a", "a", 1), f"{shown}: documents were counted, not occurrences")
    expect(row[2] != 1, f"{shown}: the rarest pair, so the counts are ordered the wrong way round")
    expect(row == ("a", "a", 4), shown)


def direction(query: Query) -> None:
    "`cd` is not `dc`."
    row = _best(query, _rows("abaxcdcd"))
    shown = f"in abaxcdcd the pair c, d stands 2 times, but {row} came"
    expect(row != ("d", "c", 2), f"{shown}: the pair is in the wrong direction")
    expect(row == ("c", "d", 2), f"{shown}: cd and dc were counted as one pair")


def documents(query: Query) -> None:
    "No pair crosses from one document into the next."
    row = _best(query, _rows("xa", "bxa", "bxa", "b"))
    shown = f"in the documents xa, bxa, bxa and b the pair x, a stands 3 times, but {row} came"
    expect(row[:2] != ("a", "b"), f"{shown}: a pair crosses documents")
    expect(row[2] != 1, f"{shown}: each document was counted on its own")
    expect(row == ("x", "a", 3), shown)


def any_order(query: Query) -> None:
    "A table's rows come in no order; `place` tells it."
    rows = _rows("ababab", "ab")
    row = _best(query, [rows[i] for i in (5, 0, 7, 2, 4, 1, 3, 6)])
    expect(
        row == ("a", "b", 4),
        f"a, b stands 4 times, but {row} came from shuffled rows: the order must come from place",
    )


def ties(query: Query) -> None:
    "Of equal counts the smaller pair: first by the left token, then by the right."
    row = _best(query, _rows("cdabcdab"))
    expect(
        row == ("a", "b", 2),
        f"in cdabcdab a, b comes first, twice as c, d, but {row} came: equal counts need an order",
    )
    row = _best(query, _rows("ac", "ab", "ad"))
    expect(
        row == ("a", "b", 1),
        f"of ac, ab and ad, once each, ab comes first, but {row} came: equal counts need an order",
    )


def ties_settled(query: Query) -> None:
    "Equal counts are settled by the query, not by the order in which SQLite happens to sort."
    # Where ORDER BY leaves nothing open, a further term in front of the LIMIT changes nothing.
    other_way = Query(re.sub(r"(?is)\blimit\b(?!.*\blimit\b)", ", 1 DESC, 2 DESC LIMIT", query.text))
    for docs, left_open in ((["ab", "cd"], "pairs"), (["ab", "ac"], "pairs with the same left token")):
        row, rows = _best(query, _rows(*docs)), _rows(*docs)
        try:
            other = next(iter(other_way({"tokens": (COLUMNS, rows)})), None)
        except SQLError:  # the last LIMIT is not that of a list of pairs
            continue
        expect(
            other == row,
            f"in the documents {' and '.join(docs)} {row} came, but nothing in the ORDER BY tells {left_open} of "
            f"equal counts apart: another database may give {other}",
        )


def long_tokens(query: Query) -> None:
    "Tokens of several characters: `ab`, `c` is not `a`, `bc`."
    row = _best(query, _rows(*[["ab", "c"]] * 2, *[["a", "bc"]] * 2, *[["x", "y"]] * 3))
    expect(
        row == ("x", "y", 3),
        f"ab, c and a, bc stand twice each, and x, y 3 times, but {row} came: pairs that read the same "
        "when written together were counted as one",
    )
    row = _best(query, _rows(["ab", "a"], ["a", "c"]))
    expect(
        row == ("a", "c", 1),
        f"of ab, a and a, c the second comes first, as a is smaller than ab, but {row} came: "
        "left and right token must be compared one after the other, not written together",
    )


def nothing(query: Query) -> None:
    "Documents of one token hold no pair."
    found = query({"tokens": (COLUMNS, _rows("a", "b", "c"))})
    expect(
        not found,
        f"documents of one token hold no pair, but {found[:2]} came: a token without a neighbour was counted",
    )


def ragged_documents(query: Query) -> None:
    "On random documents of all sizes: the pair that counting gives."
    draw = random.Random(33)
    for size in (2, 3, 17, 60):
        docs = ["".join(draw.choices("abc", k=draw.randint(0, size))) for _ in range(size)] + ["ab"]
        count = Counter(pair for doc in docs for pair in pairwise(doc))
        wanted = min((-times, *pair) for pair, times in count.items())
        row = _best(query, _rows(*docs))
        expect(
            row == (*wanted[1:], -wanted[0]),
            f"in {len(docs)} documents of up to {size} tokens {wanted[1]}, {wanted[2]} stands {-wanted[0]} times, "
            f"but {row} came",
        )


EXERCISES = [
    Exercise(
        name="encode",
        minutes=25,
        difficulty=3,
        signature="encode(data, merges)",
        task=(
            "Encode the bytes of one piece. `merges` lists pairs of ids in the order in which they were learned; "
            "the first made id 256, the next 257, and so on. Return the list of ids."
        ),
        checks=(
            one_merge,
            ragged_sizes,
            overlaps,
            rank_order,
            not_from_the_left,
            not_the_longest,
            not_the_most_frequent,
            example_of_the_page,
            arguments_stay,
            invariant,
        ),
    ),
    Exercise(
        name="first_merge",
        minutes=15,
        difficulty=2,
        signature="tokens(doc, place, token)",
        task=(
            "One SELECT over the table `tokens` that returns the pair BPE merges first, as one row: left token, "
            "right token, how often. No pair crosses documents; of equal counts the smaller left token comes "
            "first, then the smaller right one."
        ),
        checks=(
            hand_example,
            direction,
            documents,
            any_order,
            ties,
            ties_settled,
            long_tokens,
            nothing,
            ragged_documents,
        ),
        kind="sql",
    ),
]
