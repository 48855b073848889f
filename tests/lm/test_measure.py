"""What a loss means, and what a vocabulary weighs: against figures worked by hand."""

import math

import pytest

from groundup.lm import bits_per_byte, conversations, embedding_share, kv_cache_bytes, perplexity


def test_perplexity_of_five_losses_in_nats() -> None:
    losses = [2.11, 3.97, 2.83, 1.65, 2.21]
    assert round(perplexity(sum(losses) / 5), 2) == 12.86


def test_perplexity_of_a_loss_beyond_floats_is_infinite() -> None:
    assert perplexity(1e6) == math.inf


def test_bits_per_byte_of_uniform_bytes_is_eight() -> None:
    assert bits_per_byte(math.log(256), tokens=1000, n_bytes=1000) == pytest.approx(8)


def test_embedding_share_of_published_models() -> None:
    # V·H + 12·H²·L is 123,532,032 for GPT-2 and 174.56 billion for GPT-3.
    assert embedding_share(50257, 768, 12) == pytest.approx(50257 * 768 / 123_532_032)
    assert embedding_share(50257, 12288, 96) == pytest.approx(50257 * 12288 / 174.56e9, rel=1e-4)
    assert embedding_share(50257, 768, 0) == 1


@pytest.mark.parametrize("sizes", [(0, 768, 12), (50257, 0, 12), (50257, 768, -1)])
def test_embedding_share_names_the_sizes(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"^\[embedding_share\] vocab_size and width .* but got"):
        embedding_share(*sizes)


def test_kv_cache_of_a_7b_model_is_512_kib_a_token() -> None:
    assert kv_cache_bytes(n_layer=32, n_kv_head=32, head_size=128) == 512 * 1024


def test_kv_cache_grows_with_every_factor() -> None:
    shape = {"n_layer": 3, "n_kv_head": 5, "head_size": 7, "tokens": 11, "bytes_per_number": 4}
    one = kv_cache_bytes(**shape)
    assert one == 2 * 3 * 5 * 7 * 11 * 4
    for name, n in shape.items():
        assert kv_cache_bytes(**{**shape, name: 2 * n}) == 2 * one
    with pytest.raises(ValueError, match=r"\[kv_cache_bytes\] counts must be at least 1"):
        kv_cache_bytes(n_layer=0, n_kv_head=1, head_size=1)


def test_conversations_that_fit_are_whole_ones() -> None:
    assert conversations(100, tokens=10, bytes_per_token=3) == 3
    assert conversations(29, tokens=10, bytes_per_token=3) == 0
    with pytest.raises(ValueError, match=r"\[conversations\]"):
        conversations(1, tokens=0, bytes_per_token=3)
