"""What a loss in nats means: perplexity, and bits per byte, which compares models with different tokens.

And how much of a model its vocabulary takes.
"""

from __future__ import annotations

import math


def perplexity(nats: float) -> float:
    """exp of the mean negative log-likelihood, in nats a token: among how many tokens the model wavers.

    >>> round(perplexity(math.log(96)), 6)  # knows nothing about 96 characters
    96.0
    """
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def bits_per_byte(nats: float, *, tokens: int, n_bytes: int) -> float:
    """The mean loss in bits for each byte of the text, whatever the tokens are.

    Args:
        nats: mean negative log-likelihood of a token, in nats.
        tokens: number of tokens the mean was taken over.
        n_bytes: number of bytes of their text in UTF-8.

    Raises:
        ValueError: a count is not positive.

    >>> bits_per_byte(math.log(2), tokens=100, n_bytes=400)  # one bit a token, a token is four bytes
    0.25
    """
    if tokens < 1 or n_bytes < 1:
        raise ValueError(
            f"[bits_per_byte] tokens and n_bytes must be at least 1, but got {tokens} and {n_bytes}"
        )
    return nats / math.log(2) * tokens / n_bytes


def embedding_share(vocab_size: int, width: int, layers: int) -> float:
    """The share of a GPT's weights that sit in its token embedding: V·H of V·H + 12·H²·L.

    A block has 4H² weights for attention and 8H² for its MLP; positions, biases and norms are left out.

    Raises:
        ValueError: a size is below 1 (layers below 0).

    >>> round(embedding_share(50257, 768, 12), 3)  # GPT-2, the smallest
    0.312
    """
    if vocab_size < 1 or width < 1 or layers < 0:
        raise ValueError(
            f"[embedding_share] vocab_size and width must be at least 1 and layers at least 0, "
            f"but got {vocab_size}, {width} and {layers}"
        )
    embedding = vocab_size * width
    return embedding / (embedding + 12 * width**2 * layers)


def kv_cache_bytes(
    *, n_layer: int, n_kv_head: int, head_size: int, tokens: int = 1, bytes_per_number: int = 2
) -> int:
    """Bytes that the keys and values of one sequence take: 2 · L · n_kv · d_head · bytes, for each token.

    Raises:
        ValueError: a count is not positive.

    >>> kv_cache_bytes(n_layer=32, n_kv_head=32, head_size=128) // 1024  # KiB a token, 16 bit, H = 4096
    512
    """
    counts = (n_layer, n_kv_head, head_size, tokens, bytes_per_number)
    if min(counts) < 1:
        raise ValueError(f"[kv_cache_bytes] counts must be at least 1, but got {counts}")
    return 2 * n_layer * n_kv_head * head_size * tokens * bytes_per_number


def conversations(free_bytes: float, *, tokens: int, bytes_per_token: int) -> int:
    """How many sequences of so many tokens have room for their KV cache in so much memory.

    >>> conversations(60e9, tokens=4096, bytes_per_token=512 * 1024)
    27
    """
    if tokens < 1 or bytes_per_token < 1:
        raise ValueError(
            f"[conversations] tokens and bytes_per_token must be at least 1, but got {tokens} and {bytes_per_token}"
        )
    return int(free_bytes // (tokens * bytes_per_token))
