"""Word tokenizers against the tokenizers package: the same vocabulary from the same text, the same ids."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from groundup.data import stdlib_text
from groundup.text import WordTokenizer

tokenizers = pytest.importorskip("tokenizers", reason="the peer suite needs the tokenizers package")


@pytest.mark.parametrize("pre_tokenizer", ["bert", "whitespace"])
def test_vocabulary_and_ids(tmp_path: Path, pre_tokenizer: Any) -> None:
    lines = stdlib_text().text[:300_000].splitlines()
    ours = WordTokenizer.train(lines, 3000, min_frequency=2, pre_tokenizer=pre_tokenizer)
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="<unk>"))
    split = tokenizers.pre_tokenizers
    theirs.pre_tokenizer = split.BertPreTokenizer() if pre_tokenizer == "bert" else split.WhitespaceSplit()
    trainer = tokenizers.trainers.WordLevelTrainer(
        vocab_size=3000, min_frequency=2, special_tokens=["<unk>"], show_progress=False
    )
    theirs.train_from_iterator(lines, trainer)
    assert theirs.get_vocab() == ours.vocab

    ours.save(tmp_path / "tokenizer.json")
    loaded = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    rng = random.Random(1)
    chars = [chr(point) for point in range(0x3000)]
    words = list(ours.vocab)
    texts = lines + [
        "".join(rng.choice([rng.choice(words), rng.choice(chars), " "]) for _ in range(20))
        for _ in range(5000)
    ]
    for text, encoding in zip(texts, loaded.encode_batch(texts), strict=True):
        assert ours.encode(text, allowed_special="all") == encoding.ids, ascii(text)
        assert ours.decode(encoding.ids) == loaded.decode(encoding.ids, skip_special_tokens=False)
