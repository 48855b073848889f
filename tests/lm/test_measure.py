"""What a loss means, and what a vocabulary weighs: against figures worked by hand."""

import math

import pytest

from groundup.lm import bits_per_byte, embedding_share, perplexity


def test_perplexity_of_five_losses_in_nats():
    losses = [2.11, 3.97, 2.83, 1.65, 2.21]
    assert round(perplexity(sum(losses) / 5), 2) == 12.86


def test_perplexity_of_a_loss_beyond_floats_is_infinite():
    assert perplexity(1e6) == math.inf


def test_bits_per_byte_of_uniform_bytes_is_eight():
    assert bits_per_byte(math.log(256), tokens=1000, n_bytes=1000) == pytest.approx(8)


def test_embedding_share_of_published_models():
    # V·H + 12·H²·L is 123,532,032 for GPT-2 and 174.56 billion for GPT-3.
    assert embedding_share(50257, 768, 12) == pytest.approx(50257 * 768 / 123_532_032)
    assert embedding_share(50257, 12288, 96) == pytest.approx(50257 * 12288 / 174.56e9, rel=1e-4)
    assert embedding_share(50257, 768, 0) == 1


@pytest.mark.parametrize("sizes", [(0, 768, 12), (50257, 0, 12), (50257, 768, -1)])
def test_embedding_share_names_the_sizes(sizes):
    with pytest.raises(ValueError, match=r"^\[embedding_share\] vocab_size and width .* but got"):
        embedding_share(*sizes)
