"""Day 33: right answers, and wrong ones that people do write."""

from itertools import pairwise

import numpy as np
from tests.study.answering import right, wrong


def replaced(ids, pair, new):
    out, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


@right("encode")
def lowest_rank_first(data, merges):
    rank = {pair: k for k, pair in enumerate(merges)}
    ids = list(data)
    while known := [pair for pair in pairwise(ids) if pair in rank]:
        pair = min(known, key=rank.get)
        ids = replaced(ids, pair, 256 + rank[pair])
    return ids


@right("encode")
def replay_of_all_merges(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        ids = replaced(ids, pair, 256 + k)
    return ids


@right("encode")
def with_numpy(data, merges):
    ids = np.array(list(data), dtype=np.int64)
    for k, (a, b) in enumerate(merges):
        i = 0
        while i + 1 < len(ids):
            if ids[i] == a and ids[i + 1] == b:
                ids = np.concatenate([ids[:i], [256 + k], ids[i + 2 :]])
            i += 1
    return list(ids)


@wrong("encode", says="further left")
def greedy_left_to_right(data, merges):
    ids, i = list(data), 0
    while i + 1 < len(ids):
        pair = (ids[i], ids[i + 1])
        if pair in merges:
            ids[i : i + 2] = [256 + merges.index(pair)]
            i = max(i - 1, 0)
        else:
            i += 1
    return ids


@wrong("encode", says="rank order")
def learned_last_first(data, merges):
    rank = {pair: k for k, pair in enumerate(merges)}
    ids = list(data)
    while known := [pair for pair in pairwise(ids) if pair in rank]:
        pair = max(known, key=rank.get)
        ids = replaced(ids, pair, 256 + rank[pair])
    return ids


@wrong("encode", says="overlapping")
def pairs_overlap(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        out = []
        for i, id_ in enumerate(ids):
            if tuple(ids[i : i + 2]) == pair:
                out.append(256 + k)
            elif i == 0 or tuple(ids[i - 1 : i + 1]) != pair:
                out.append(id_)
        ids = out
    return ids


@wrong("encode", says="from left to right")
def from_the_right(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        ids = replaced(ids[::-1], pair[::-1], 256 + k)[::-1]
    return ids


@wrong("encode", says="stopped while a pair was left")
def one_round(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        if pair in pairwise(ids):
            return replaced(ids, pair, 256 + k)
    return ids


@wrong("encode", says="longest token")
def longest_match(data, merges):
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right_ in merges:
        tokens.append(tokens[left] + tokens[right_])
    ids = []
    while data:
        size = next(n for n in range(len(data), 0, -1) if data[:n] in tokens)
        ids.append(tokens.index(data[:size]))
        data = data[size:]
    return ids


@wrong("encode", says="most frequent in this text")
def most_frequent_first(data, merges):
    rank = {pair: k for k, pair in enumerate(merges)}
    ids = list(data)
    while known := [pair for pair in pairwise(ids) if pair in rank]:
        pair = min(known, key=lambda one: (-known.count(one), rank[one]))
        ids = replaced(ids, pair, 256 + rank[pair])
    return ids


@wrong("encode", says="is a return missing")
def return_forgotten(data, merges):
    lowest_rank_first(data, merges)


@wrong("encode", says="a bytes came")
def bytes_for_ids(data, merges):
    return bytes(data)


@wrong("encode", says="off by one")
def ids_from_255(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        ids = replaced(ids, pair, 255 + k)
    return ids


@wrong("encode", says="lost or changed")
def last_byte_lost(data, merges):
    ids = list(data)
    for k, pair in enumerate(merges):
        out, i = [], 0
        while i + 1 < len(ids):
            hit = tuple(ids[i : i + 2]) == pair
            out.append(256 + k if hit else ids[i])
            i += 2 if hit else 1
        ids = out
    return ids


@wrong("encode", says="lost or changed")
def characters_for_bytes(data, merges):
    return lowest_rank_first(map(ord, data.decode("utf-8", "ignore")), merges)


@wrong("encode", says="lost or changed")
def ids_in_order_of_use(data, merges):
    ids, id_of = list(data), {}
    rank = {pair: k for k, pair in enumerate(merges)}
    while known := [pair for pair in pairwise(ids) if pair in rank]:
        pair = min(known, key=rank.get)
        ids = replaced(ids, pair, id_of.setdefault(pair, 256 + len(id_of)))
    return ids


@wrong("encode", says="changed its argument")
def merges_used_up(data, merges):
    ids, k = list(data), 256
    while merges:
        ids = replaced(ids, merges.pop(0), k)
        k += 1
    return ids


right("first_merge")(
    """
    SELECT a.token, b.token, COUNT(*) FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY COUNT(*) DESC, a.token, b.token LIMIT 1
    """
)
right("first_merge")(
    """
    WITH pairs AS (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens)
    SELECT l, r, COUNT(*) AS n FROM pairs WHERE r IS NOT NULL GROUP BY l, r ORDER BY n DESC, l, r LIMIT 1
    """
)
right("first_merge")(
    """
    WITH pairs AS (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens),
         counts AS (SELECT l, r, COUNT(*) AS n FROM pairs WHERE r IS NOT NULL GROUP BY l, r)
    SELECT l, r, n FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC, l, r) AS place FROM counts) WHERE place = 1
    """
)
right("first_merge")(
    """
    WITH pairs AS (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens),
         counts AS (SELECT l, r, COUNT(*) AS n FROM pairs WHERE r IS NOT NULL GROUP BY l, r)
    SELECT * FROM counts WHERE n = (SELECT n FROM counts ORDER BY n DESC LIMIT 1) ORDER BY l, r LIMIT 1
    """
)
right("first_merge")(
    """
    WITH pairs AS (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens),
         counts AS (SELECT l, r, COUNT(*) AS n FROM pairs WHERE r IS NOT NULL GROUP BY l, r),
         best AS (SELECT * FROM counts WHERE n = (SELECT n FROM counts ORDER BY n DESC LIMIT 1)),
         lefts AS (SELECT MIN(l) AS l FROM best)
    SELECT l, MIN(r), n FROM best WHERE l = (SELECT l FROM lefts LIMIT 1) GROUP BY l, n
    """
)
wrong("first_merge", says="crosses documents")(
    """
    SELECT l, r, COUNT(*) AS n FROM (SELECT token AS l, LEAD(token) OVER (ORDER BY doc, place) AS r FROM tokens)
    WHERE r IS NOT NULL GROUP BY l, r ORDER BY n DESC, l, r LIMIT 1
    """
)
wrong("first_merge", says="wrong direction")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place - 1
    GROUP BY a.token, b.token ORDER BY n DESC, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says="counted as one pair")(
    """
    SELECT MIN(a.token, b.token) AS l, MAX(a.token, b.token) AS r, COUNT(*) AS n
    FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY l, r ORDER BY n DESC, l, r LIMIT 1
    """
)
wrong("first_merge", says="documents were counted")(
    """
    SELECT a.token, b.token, COUNT(DISTINCT a.doc) AS n
    FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says="each document was counted on its own")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.doc, a.token, b.token ORDER BY n DESC, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says=r"in \d+ documents of up to \d+ tokens")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    WHERE a.place < 10 GROUP BY a.token, b.token ORDER BY n DESC, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says="must come from place")(
    """
    SELECT l, r, COUNT(*) AS n
    FROM (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY rowid) AS r FROM tokens)
    WHERE r IS NOT NULL GROUP BY l, r ORDER BY n DESC, l, r LIMIT 1
    """
)
wrong("first_merge", says="equal counts need an order")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC, a.token, b.token DESC LIMIT 1
    """
)
wrong("first_merge", says="one row must come back")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC, a.token, b.token
    """
)
wrong("first_merge", says="without a neighbour")(
    """
    SELECT l, r, COUNT(r) AS n
    FROM (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens)
    GROUP BY l, r ORDER BY n DESC, l, r LIMIT 1
    """
)
wrong("first_merge", says="the wrong way round")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says="tells pairs of")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC LIMIT 1
    """
)
wrong("first_merge", says="tells pairs of")(
    """
    SELECT l, r, COUNT(*) AS n
    FROM (SELECT token AS l, LEAD(token) OVER (PARTITION BY doc ORDER BY place) AS r FROM tokens)
    WHERE r IS NOT NULL GROUP BY l, r ORDER BY n DESC LIMIT 1  -- ties come sorted
    """
)
wrong("first_merge", says="with the same left token")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC, 1 LIMIT 1
    """
)
wrong("first_merge", says="counted as one")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token || b.token ORDER BY n DESC, a.token, b.token LIMIT 1
    """
)
wrong("first_merge", says="one after the other")(
    """
    SELECT a.token, b.token, COUNT(*) AS n FROM tokens a JOIN tokens b ON b.doc = a.doc AND b.place = a.place + 1
    GROUP BY a.token, b.token ORDER BY n DESC, a.token || b.token LIMIT 1
    """
)
