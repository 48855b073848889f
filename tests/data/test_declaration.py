"""The seven languages: composed text in the scripts that they should be in."""

import unicodedata

import pytest

from groundup.data import declaration

SCRIPTS = {
    "English": "LATIN",
    "Spanish": "LATIN",
    "German": "LATIN",
    "Russian": "CYRILLIC",
    "Arabic": "ARABIC",
    "Hindi": "DEVANAGARI",
    "Chinese": "CJK",
}


def test_languages_in_order() -> None:
    assert list(declaration()) == list(SCRIPTS)


@pytest.mark.parametrize("language", SCRIPTS)
def test_text_is_composed_and_of_one_script(language: str) -> None:
    text = declaration()[language]
    assert unicodedata.is_normalized("NFC", text)
    letters = [char for char in text if char.isalpha()]
    assert all(unicodedata.name(char).startswith(SCRIPTS[language]) for char in letters)
    assert text[-1] in ".।。" and "  " not in text and text == text.strip()


def test_a_change_of_the_result_changes_no_other() -> None:
    declaration().clear()
    assert len(declaration()) == 7
