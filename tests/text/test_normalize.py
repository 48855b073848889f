"""Normalization steps: their texts against unicodedata, their spans against what spans must be."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import normalize as nm

# All of Unicode, and denser where characters compose, reorder or come apart.
DENSE = st.sampled_from(
    "aAe\u0301\u0323\u0327\u0345\u0334ệ\u1e69ﬁß²ΣİÅ\u212b가\u1100\u1161\u11a8\uac01中\u0f73\u0958 \t\n\x00"
)
TEXT = st.text(st.one_of(DENSE, st.characters(exclude_categories=["Cs"])), max_size=30)

STEPS: list[nm.Normalizer] = [
    nm.NFC(), nm.NFD(), nm.NFKC(), nm.NFKD(), nm.Lowercase(), nm.CaseFold(), nm.StripAccents(), nm.RemoveControl(),
    nm.Strip(), nm.Strip(right=False), nm.CollapseWhitespace(), nm.Replace("a", ""), nm.Replace("a", "xyz"),
    nm.Replace(re.compile("[ae]+"), "_"), nm.BertNormalizer(), nm.BertNormalizer(lowercase=False),
    nm.BertNormalizer(handle_chinese_chars=False, strip_accents=False), nm.Prepend("▁"),
    nm.Sequence([nm.NFKD(), nm.StripAccents(), nm.NFKC(), nm.CaseFold(), nm.CollapseWhitespace(), nm.Strip()]),
]  # fmt: skip
IDS = [repr(step) for step in STEPS]


@pytest.mark.parametrize("step", STEPS[:4], ids=IDS[:4])
@given(TEXT)
def test_unicode_forms_equal_unicodedata(step: Any, text: str) -> None:
    expected = unicodedata.normalize(step.form, text)
    assert step.normalize(text) == step(text).text == expected


def test_unicode_forms_of_every_character() -> None:
    # Each between marks that sort before and after it, so that composition and order are tried for all of them.
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000 or unicodedata.category(chr(point)) in ("Cn", "Co"):
            continue
        char = chr(point)
        if 0xAC00 <= point < 0xD7A4 and point % 41:  # Hangul follows a formula
            continue
        text = f"a\u0323{char}\u0301\u0327\u11a8"
        for step in (nm.NFC(), nm.NFKD()):
            chars = nm._decomposed(text, "K" in step.form)  # past the check for text that is normal already
            made = nm._composed(chars) if step.form.endswith("C") else chars
            assert "".join(c.text for c in made) == unicodedata.normalize(step.form, text), hex(point)


@pytest.mark.parametrize("step", STEPS, ids=IDS)
@given(TEXT)
def test_spans(step: nm.Normalizer, text: str) -> None:
    result = step(text)
    assert result.text == step.normalize(text)
    assert result.original == text
    assert len(result.starts) == len(result.ends) == len(result.text)
    assert (np.diff(result.starts) >= 0).all() and (np.diff(result.ends) >= 0).all()
    assert (result.starts >= 0).all() and (result.ends <= len(text)).all()
    inserted = isinstance(step, (nm.Prepend, nm.BertNormalizer))
    shortest = 0 if inserted else 1
    assert (result.ends - result.starts >= shortest).all()
    if inserted:  # only what is put in may stand for nothing
        empty = result.starts == result.ends
        assert all(char in "▁ " for char, is_empty in zip(result.text, empty, strict=True) if is_empty)
    if len(result.text):
        assert result.span(0, len(result.text)) == (result.starts[0], result.ends[-1])


@pytest.mark.parametrize("step", STEPS, ids=IDS)
@given(TEXT)
def test_changes_lead_from_the_old_text_to_the_new(step: nm.Normalizer, text: str) -> None:
    at, pieces = 0, []
    for change in step(text).changes():
        assert change.start >= at and text[change.start : change.end] == change.before != change.after
        pieces += [text[at : change.start], change.after]
        at = change.end
    assert "".join(pieces) + text[at:] == step.normalize(text)


@given(TEXT)
def test_a_sequence_is_its_steps_one_after_another(text: str) -> None:
    first, second = nm.NFD(), nm.Replace("e", "xy")
    both = nm.Sequence([first, second])
    assert both(text).text == second.normalize(first.normalize(text)) == both.normalize(text)
    nested = nm.Sequence([nm.Sequence([first]), second])
    assert [repr(step) for step in nested.steps()] == ["NFD()", "Replace(pattern='e', content='xy')"]
    result = both(text)
    assert result.starts.tolist() == second.apply(first(text)).starts.tolist()
    through_chars = nm.Normalized.of(text).then(both.chars(text))
    assert through_chars.starts.tolist() == result.starts.tolist()


def spans(step: nm.Normalizer, text: str) -> list[tuple[str, int, int]]:
    result = step(text)
    return list(zip(result.text, result.starts.tolist(), result.ends.tolist(), strict=True))


def test_spans_by_hand() -> None:
    assert spans(nm.NFKC(), "xﬁ") == [("x", 0, 1), ("f", 1, 2), ("i", 1, 2)]
    assert spans(nm.NFC(), "e\u0301z") == [("é", 0, 2), ("z", 2, 3)]
    assert spans(nm.NFD(), "é") == [("e", 0, 1), ("\u0301", 0, 1)]
    # The marks change places, so each stands for both.
    assert spans(nm.NFD(), "a\u0301\u0323b") == [("a", 0, 1), ("\u0323", 1, 3), ("\u0301", 1, 3), ("b", 3, 4)]
    # The dot below joins the letter across the accent.
    assert spans(nm.NFC(), "a\u0301\u0323") == [("ạ", 0, 3), ("\u0301", 1, 3)]
    assert spans(nm.NFC(), "\u1112\u1161\u11ab") == [("한", 0, 3)]
    assert spans(nm.NFD(), "한") == [("\u1112", 0, 1), ("\u1161", 0, 1), ("\u11ab", 0, 1)]
    assert spans(nm.CollapseWhitespace(), "a \t b") == [("a", 0, 1), (" ", 1, 4), ("b", 4, 5)]
    assert spans(nm.Prepend("▁"), "a") == [("▁", 0, 0), ("a", 0, 1)]
    assert spans(nm.Strip(), "  a ") == [("a", 2, 3)]
    chinese = nm.BertNormalizer()
    assert spans(chinese, "É中") == [("e", 0, 1), (" ", 1, 1), ("中", 1, 2), (" ", 2, 2)]
    through = nm.Sequence([nm.NFKD(), nm.StripAccents(), nm.Lowercase(), nm.Replace("ffi", "ffi!")])
    assert spans(through, "Éﬃx") == [("e", 0, 1), *((c, 1, 2) for c in "ffi!"), ("x", 2, 3)]


def test_span_of_a_range() -> None:
    result = nm.NFKC()("ﬁne")
    assert result.span(0, 1) == (0, 1) and result.span(1, 4) == (0, 3)
    assert result.span(0, 0) == (0, 0) and result.span(4, 4) == (3, 3)
    for bad in ((-1, 2), (2, 1), (0, 5)):
        with pytest.raises(ValueError, match=r"\[Normalized\] a span must lie in \[0, 4\]"):
            result.span(*bad)


def test_what_steps_do() -> None:
    assert nm.CaseFold().normalize("Straße ΟΔΥΣΣΕΥΣ") == "strasse οδυσσευσ"
    assert nm.Lowercase().normalize("ΟΔΟΣ İ") == "οδοσ i\u0307"
    assert nm.StripAccents().normalize("é e\u0301") == "é e"
    assert nm.RemoveControl().normalize("a\x07\u200b\tb\n\x7f") == "a\tb\n"
    assert nm.Strip(left=False).normalize("  a  ") == "  a"
    assert nm.Strip().normalize(" \n ") == ""
    assert nm.Replace("aa", "b").normalize("aaa") == "ba" == nm.Replace("aa", "b")("aaa").text
    assert nm.Replace(re.compile("(a)"), r"\1").normalize("a") == r"\1"  # literally
    assert nm.Prepend().normalize("") == ""
    assert nm.BertNormalizer().normalize("Ünï\u00a0CÖDE\x00\ufffd!") == "uni code!"
    assert nm.BertNormalizer(lowercase=False).normalize("Ünï") == "Ünï"
    assert nm.BertNormalizer(lowercase=False, strip_accents=True).normalize("Ünï") == "Uni"
    assert nm.BertNormalizer(clean_text=False).normalize("a\tb") == "a\tb"


def test_long_runs_of_marks_take_no_square_of_time() -> None:
    text = "a" + "\u0301\u0323" * 5_000
    assert nm.NFC()(text).text == unicodedata.normalize("NFC", text)


def test_table() -> None:
    pipeline = nm.Sequence([nm.NFD(), nm.StripAccents(), nm.Lowercase(), nm.Strip()])
    lines = repr(pipeline.table("Né<b>")).splitlines()
    assert [line.split()[0] for line in lines] == [
        "step", "(original)", "NFD", "StripAccents", "Lowercase", "Strip(left=True,",
    ]  # fmt: skip
    assert r"'é' → 'e\u0301'" in lines[2]
    assert r"'\u0301' → ''" in lines[3]
    assert lines[4].endswith("'N' → 'n'") and lines[5].endswith("'ne<b>'")
    page = pipeline.table("Né<b>")._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page and page.count("<tr>") == 6
    assert "and 2 more" in repr(nm.Lowercase().table("Aa" * 10))


@pytest.mark.parametrize("step", [step for step in STEPS if "CaseFold" not in repr(step)], ids=repr)
@given(TEXT)
def test_dictionaries_round_trip(step: nm.Normalizer, text: str) -> None:
    again = nm.from_dict(step.to_dict())
    assert again == step and again is not None and again.normalize(text) == step.normalize(text)


def test_dictionaries_of_sequences() -> None:
    entry = {
        "type": "Sequence",
        "normalizers": [{"type": "NFD"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}]}],
    }
    assert nm.from_dict(entry) == nm.Sequence([nm.NFD(), nm.NFC()])
    assert nm.from_dict(None) is None
    deep: dict[str, Any] = {"type": "NFC"}
    for _ in range(1_000):
        deep = {"type": "Sequence", "normalizers": [deep]}
    with pytest.raises(ValueError, match="may nest 32 levels deep"):
        nm.from_dict(deep)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], r"normalizer must be an object"),
        ({}, r"normalizer\.type must be one of NFC, .*, but got None"),
        ({"type": ["NFC"]}, r"normalizer\.type must be one of"),
        ({"type": "Precompiled"}, r"but got 'Precompiled'"),
        ({"type": "Sequence"}, r"normalizer\.normalizers must be a list"),
        (
            {"type": "Sequence", "normalizers": [{"type": "NFC"}, 3]},
            r"normalizer\.normalizers\[1\] must be an object",
        ),
        ({"type": "Strip", "strip_left": 1}, r"strip_left must be true or false, but got 1"),
        ({"type": "Prepend"}, r"prepend must be a string"),
        ({"type": "Replace", "pattern": "a", "content": ""}, r"pattern must be an object"),
        ({"type": "Replace", "pattern": {}, "content": ""}, r"pattern must be"),
        ({"type": "Replace", "pattern": {"String": ""}, "content": ""}, r"pattern must be"),
        ({"type": "Replace", "pattern": {"Regex": "("}, "content": ""}, r"pattern\.Regex must be"),
        ({"type": "Replace", "pattern": {"String": "a"}}, r"content must be a string"),
        ({"type": "BertNormalizer", "strip_accents": "no"}, r"strip_accents must be true, false or null"),
    ],
)
def test_bad_entries(entry: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nm.from_dict(entry)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"\[Replace\] pattern must not be empty"):
        nm.Replace("", "a")
    with pytest.raises(TypeError, match=r"\[Sequence\] steps must be normalizers, but got str"):
        nm.Sequence(["NFC"])  # type: ignore[list-item]
