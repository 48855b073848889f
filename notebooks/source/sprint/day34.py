# %% [markdown] tags=["motto"]
# # Day 34: Who looks at whom? Attention
#
# > Attention is a soft look-up, and whatever the denominator sees, the model knows.
#
# About 90 minutes with the exercises. You need Python and school mathematics; the rest is on this page.
# Afterwards you can write causal attention from memory, say what √d buys, catch a mask that leaks, and
# price a KV cache.

# %%
import math
import re
import time

import numpy as np

import groundup as gu
from groundup import nn
from groundup.study.diagram import diagram

gu.plot.use()

# %%
corpus = gu.data.stdlib_text()
tokenizer = gu.text.CharTokenizer.train(corpus.text)
ids = tokenizer.encode_to_numpy(corpus.text).astype(np.int64)
gu.set_num_threads(1)  # matrices as small as ours gain little from a second thread
train_ids, val_ids = gu.data.train_val_split(ids, fraction=0.05, shuffle=False)
V, C, H, T = tokenizer.vocab_size, 48, 3, 64  # vocabulary, channels, heads, window
print(f"{len(ids):,} characters of Python's own documentation, {V} different ones")

# %% [markdown]
# Let us have something real to look at first. A *GPT* reads a row of *tokens* (here: characters, written as
# numbers) and gives each possible next one a probability. *Training* nudges its weights, a few windows of
# text at a time, so that the character that really came gets more. The *loss* is the mean of
# −ln(probability of what came), in *nats*; lower is better. We train one now, and keep a twentieth of the
# text back (*validation*) to judge it on pages it never saw.


# %%
def gpt(position, seed=0):
    gu.manual_seed(seed)
    shape = {"vocab_size": V, "n_positions": 256, "n_embd": C, "n_layer": 2, "n_head": H}
    return gu.lm.GPT(gu.lm.GPTConfig(**shape, position=position, initializer_range=0.06))


# %%
def train(model, steps=600, lr=1e-2):
    windows = gu.data.TokenStream(train_ids, context=T, batch_size=8)
    optimizer, losses = gu.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99)), []
    for step in range(steps):
        rate = lr * min(1, (step + 1) / 50) * (0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))
        optimizer.param_groups[0]["lr"] = rate  # warm up, then slow down
        loss = model(*windows.batch(step))
        loss.backward()
        gu.nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
        optimizer.step(), optimizer.zero_grad(), losses.append(loss.item())
    return losses


# %% tags=["measured"]
def validate(model, rows=256):
    windows = gu.data.TokenStream(val_ids, context=T).windows(batch_size=16, limit=rows)
    with gu.no_grad():
        return float(np.mean([model(x, y).item() for x, y in windows]))


model = gpt("rotary")
losses = train(model)
pairs = np.ones((V, V))
np.add.at(pairs, (train_ids[:-1], train_ids[1:]), 1)  # how often each character follows each
follows = pairs / pairs.sum(axis=1, keepdims=True)
bigram = -np.log(follows[val_ids[:-1], val_ids[1:]]).mean()
right_loss = validate(model)
print(f"even guessing {math.log(V):.2f}, pairs of characters {bigram:.2f}, our GPT {right_loss:.2f} nats")
assert right_loss < bigram - 0.3 < math.log(V)

# %% [markdown]
# It beats the table that knows one character back, so it must be looking further. Where? Inside, each
# token's *query* asks, every earlier token's *key* answers, and the answers become weights that sum to one.
# Below is one row per token: dark means "I look there". The model has three such *heads* in each of two
# layers; we draw the one that looks most at its left neighbour.


# %% tags=["measured"]
def split_heads(t):  # B,T,H·D -> B,H,T,D
    return t.reshape(*t.shape[:2], H, -1).transpose(1, 2)


def first_layer_weights(model, tokens):  # [T] -> [H, T, T]
    block = model.h[0]
    with gu.no_grad():
        x = block.ln_1(model.wte(tokens[None]))
        q, k, _ = gu.split(block.attn.qkv(x), [C, C, C], dim=-1)
        q, k = gu.rotary(split_heads(q)), gu.rotary(split_heads(k))  # rotary: below, it marks positions
        return np.asarray(gu.attention_weights(q, k, is_causal=True))[0]


# %% tags=["measured"]
whole = re.finditer(r"[A-Z][a-z]+(?: [a-z]+){3,6}\.", tokenizer.decode(val_ids))
sentence = next(found[0] for found in whole if 22 <= len(found[0]) <= 32)
tokens = tokenizer.encode_to_numpy(sentence).astype(np.int64)
w = first_layer_weights(model, tokens)
before = np.array([np.diagonal(w[head], -1).mean() for head in range(H)])
print(repr(sentence), "| weight on the left neighbour, a head:", before.round(2))

# %% tags=["measured"]
head = int(before.argmax())
even = np.mean([1 / t for t in range(2, len(tokens) + 1)])  # what an even gaze would give
assert before[head] > 2 * even
ax = gu.plot.token_heatmap(
    w[head],
    list(sentence),
    title=f"Head {head + 1} gives {before[head]:.0%} of its weight to the left neighbour",
    numbers=False,
)

# %% [markdown]
# Notice the empty upper right: a token cannot look at what comes after it. That triangle is a promise, and
# later on this page we break it twice.

# %% [markdown] tags=["predict"]
# ## Predict: how sure is a random look-up?
#
# One query and 32 keys, each a list of d = 64 random numbers (mean 0, spread 1). A query's *score* with a
# key is their dot product: multiply entry by entry, add up. *Softmax* turns scores into weights: e^score
# over the sum of all e^score. Nothing matches here; an even split gives each key 1/32 = 0.03.
#
# **How large is the largest of the 32 weights, on average?** Change `guess`.


# %%
def softmax(scores):  # [..., K] -> [..., K], rows sum to one
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))  # minus the largest, so that exp stays finite
    return e / e.sum(axis=-1, keepdims=True)


guess = 0.10  # yours here

# %%
rng = np.random.default_rng(34)
d, K = 64, 32
query, key = rng.standard_normal((2000, 1, d)), rng.standard_normal((2000, K, d))  # 2,000 look-ups
score = (query * key).sum(axis=-1)  # 2000,K
largest = softmax(score).max(axis=-1).mean()
print(f"guess {guess:.2f}, answer {largest:.2f}, ratio {largest / guess:.1f}")
assert 0.75 < largest < 0.87

# %%
scaled = softmax(score / math.sqrt(d)).max(axis=-1).mean()
assert 0.14 < scaled < 0.19
gu.study.fold(
    "Why so large?",
    f"Adding 64 products of random numbers gives scores spread over about {score.std():.1f}, not 1. The "
    f"exponential turns a lead of 8 into a factor of {math.exp(8):,.0f}, so one key takes nearly everything "
    f"although nothing matches. Divide the scores by 8, the square root of 64, and the largest weight falls to "
    f"{scaled:.2f}.",
)

# %% [markdown]
# If you guessed too low, so did we: pure noise looks like certainty. **The surprise: with 64 random numbers
# a key, a look-up that knows nothing is 80 % sure.** Next: where dot products come from, and why the cure
# is √d.

# %% [markdown] tags=["derive"]
# ## Where does the formula come from?
#
# Start in one dimension. You have pairs (k, v), *keys* and *values*, and want the value at a new place q,
# the *query*. A dictionary needs an exact match. A soft look-up takes the mean of all values, near keys
# counting more:
#
# $$y(q)=\sum_j w_j\,v_j,\qquad w_j=\frac{e^{-(q-k_j)^2/2}}{\sum_i e^{-(q-k_i)^2/2}}$$
#
# Here q is one number, 2.0; k and v hold seven numbers each; j and i count the seven; w_j is the weight of
# pair j.

# %%
k = np.arange(7.0)  # keys 0 … 6
v = k**2  # the values: squares, which the look-up does not know
q = 2.0
w = softmax(-((q - k) ** 2) / 2)
print("weights", w.round(2), f"sum {w.sum():.0f}, look-up at {q}: {w @ v:.2f}, the exact value is {q**2:.2f}")
assert abs(w.sum() - 1) < 1e-12 and w.argmax() == 2

# %% [markdown]
# Statisticians smooth curves this way. The look-up comes out above the exact 4: on a curve that bends
# upward, the mean of neighbours lies above the middle. Now let q and k be lists of d numbers, *vectors*.
# Multiply out the square:
#
# $$-\tfrac12\lVert q-k_j\rVert^2 = q\cdot k_j-\tfrac12\lVert q\rVert^2-\tfrac12\lVert k_j\rVert^2$$
#
# The middle term is the same for all j, so softmax cancels it. If all keys have the same length, the last
# one goes, too. What is left is the dot product.

# %%
angle = np.linspace(0, 2 * np.pi, 7, endpoint=False)
keys = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # seven keys of length 1, [7, 2]
q = np.array([0.8, 1.1])
by_distance = softmax(-((q - keys) ** 2).sum(axis=1) / 2)
by_product = softmax(keys @ q)
print(by_distance.round(3), by_product.round(3), sep="\n")
assert np.allclose(by_distance, by_product, rtol=1e-12)
stretched = keys * np.array([1, 3, 1, 1, 1, 1, 1])[:, None]  # one key three times as long
assert (
    abs(softmax(-((q - stretched) ** 2).sum(axis=1) / 2) - softmax(stretched @ q)).max() > 0.05
)  # now they differ

# %% [markdown]
# **The surprise: attention is a curve smoother from statistics, once keys have equal length.** One thing is
# left: how large is a dot product? If entries of q and k are independent with mean 0 and variance 1, each
# product has variance 1, and variances of independent things add:
#
# $$\operatorname{Var}(q\cdot k)=\sum_{c=1}^{d}\operatorname{Var}(q_c\,k_c)=d$$
#
# So scores spread like √d. Dividing by √d makes the spread 1, whatever the size d.

# %%
for size in (4, 16, 64, 256):
    q_rows, k_rows = rng.standard_normal((2, 20_000, size))
    variance = (q_rows * k_rows).sum(axis=1).var()
    print(f"d = {size:3d}: variance of a score {variance:6.1f}, after dividing by √d {variance / size:.2f}")
    assert abs(variance / size - 1) < 0.06

# %% [markdown] tags=["numpy"]
# ## How does it look in NumPy?
#
# All queries at once, as rows of Q (n × d); keys as rows of K (m × d), values as rows of V (m × d_v),
# called `Vals` here since V already counts characters. The famous line:
#
# $$\operatorname{attention}(Q,K,V)=\operatorname{softmax}\!\Big(\frac{QK^{\top}}{\sqrt d}\Big)V$$
#
# First as two plain loops, then as two matrix products, equal to the last digits. The hand example has n =
# m = d = 2.


# %%
def by_loop(Q, K, Vals):
    out = np.zeros((len(Q), Vals.shape[1]))
    for i, q in enumerate(Q):
        scores = [sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q)) for k in K]
        total = sum(math.exp(s) for s in scores)
        for s, v in zip(scores, Vals, strict=True):
            out[i] += math.exp(s) / total * v
    return out


def attention_weights(Q, K):  # [n, d], [m, d] -> [n, m]
    return softmax(Q @ K.T / math.sqrt(Q.shape[1]))


# %%
hand = attention_weights(np.array([[1.0, 0], [0, 2]]), np.array([[1.0, 1], [2, 0]]))
print(hand.round(3))
assert np.allclose(hand, [[0.330, 0.670], [0.804, 0.196]], atol=5e-4)

# %%
Q, K, Vals = rng.standard_normal((5, 8)), rng.standard_normal((7, 8)), rng.standard_normal((7, 3))
vectorised = attention_weights(Q, K) @ Vals
print("largest difference between loop and matrices:", f"{abs(by_loop(Q, K, Vals) - vectorised).max():.0e}")
assert np.allclose(by_loop(Q, K, Vals), vectorised, rtol=1e-12)

# %% [markdown] tags=["cpp"]
# ## And as our C++ op?
#
# Same mathematics, one difference worth knowing: the op never stores the n × m table of weights. It walks
# over the keys with a running maximum and a running denominator (you write that trick yourself in today's
# drill). Formula, both sources and the speed of your machine:

# %% tags=["measured"]
gu.explain("scaled_dot_product_attention")

# %% [markdown]
# It wants a batch and heads in front, so one row of 1 × 1 is added and taken off again.

# %%
op = gu.scaled_dot_product_attention(*(gu.tensor(t[None, None]) for t in (Q, K, Vals)))
print("C++ against NumPy:", f"{abs(np.asarray(op)[0, 0] - vectorised).max():.0e}")
assert np.allclose(np.asarray(op)[0, 0], vectorised, rtol=1e-12)

# %% [markdown] tags=["check"]
# ## Is the gradient right?
#
# Training needs to know how the result moves when an input does. `gradcheck` moves the inputs a hair along
# random directions, in 64-bit, and compares with what the op's backward rule says. With a causal mask, too.

# %%
inputs = [gu.tensor(rng.standard_normal(shape), requires_grad=True) for shape in [(1, 2, 5, 4)] * 3]
assert gu.autograd.gradcheck(lambda q, k, v: gu.scaled_dot_product_attention(q, k, v, is_causal=True), inputs)
print("gradients of query, key and value agree with finite differences")

# %% [markdown] tags=["measure"]
# ## Why √d? Count the keys that are really used
#
# Weights 0.5, 0.5, 0, 0 use two keys. In general the *effective number of keys* is e^entropy, entropy being
# −Σ w ln w: it is 32 for an even split, 1 for a single winner. How does it change with d, with and without
# the division?


# %%
def effective_keys(w):  # [..., K] -> mean number of keys in use
    return float(np.exp(-(w * np.log(np.maximum(w, 1e-300))).sum(axis=-1)).mean())


sizes, kept = [4, 16, 64, 256], {"unscaled": [], "divided by √d": []}
for size in sizes:
    score = (rng.standard_normal((2000, 1, size)) * rng.standard_normal((2000, 32, size))).sum(axis=-1)
    kept["unscaled"].append(effective_keys(softmax(score)))
    kept["divided by √d"].append(effective_keys(softmax(score / math.sqrt(size))))
print({name: np.round(values, 1).tolist() for name, values in kept.items()})
assert kept["unscaled"][2] < 2.5 and min(kept["divided by √d"]) > 15

# %% [markdown]
# Unscaled, more dimensions mean fewer keys in use; scaled, the count barely moves.

# %%
ax = gu.plot.lines(
    sizes,
    kept,
    logx=True,
    xlabel="d, size of a key",
    ylabel="keys in use, of 32",
    title=f"At d = 64, unscaled, 32 keys shrink to {kept['unscaled'][2]:.1f}",
)

# %% [markdown]
# A winner-takes-all look-up also cannot learn: the slope of a weight is w(1 − w), near 0 at both ends. So
# does training fail without √d? We guessed yes. To run it we need a GPT whose attention we can edit: the
# same queries, keys and values, and a *rule* of one line that turns scores into weights.


# %%
class Editable(nn.Module):
    def __init__(self, attn, rule):
        super().__init__()
        self.qkv, self.proj, self.rule = attn.qkv, attn.proj, rule

    def forward(self, x, **_):
        q, k, v = (split_heads(t) for t in gu.split(self.qkv(x), [C, C, C], dim=-1))
        q, k = gu.rotary(q), gu.rotary(k)
        self.weights = self.rule(gu.matmul(q, k, transpose_other=True) / math.sqrt(q.shape[-1]))  # B,H,T,T
        return self.proj(gu.matmul(self.weights, v).transpose(1, 2).reshape(*x.shape))


# %%
def edited(model, rule):
    for block in model.h:
        block.attn = Editable(block.attn, rule)
    return model


# %% tags=["measured"]
def past(scores, ahead=0):  # True where the key is not after the query
    return np.tri(*scores.shape[-2:], k=ahead, dtype=bool)


def right(scores):
    return gu.softmax(gu.where(past(scores), scores, -math.inf), dim=-1)


def unscaled(scores):
    return right(scores * math.sqrt(C // H))


# %% tags=["measured"]
no_root = edited(gpt("rotary"), unscaled)
train(no_root)
no_root_loss = validate(no_root)
print(f"with √d {right_loss:.3f}, without {no_root_loss:.3f} nats; even guessing {math.log(V):.2f}")
assert abs(no_root_loss - right_loss) < 0.4

# %% [markdown]
# **The surprise: our guess was wrong, training survives.** At d = 16 the root is only 4, and the weights
# that make queries can shrink to undo it. √d is insurance against a bad start with large heads, not a law.
# First check, for later: the editable GPT must be the same function as the fast one.

# %%
window = val_ids[None, :T]
model_fast, model_edited = gpt("rotary", seed=1), edited(gpt("rotary", seed=1), right)
with gu.no_grad():
    gap = abs(np.asarray(model_fast(window)) - np.asarray(model_edited(window))).max()
print(f"largest difference of logits, fused op against one-line rule: {gap:.0e}")
assert gap < 1e-4

# %% [markdown]
# ## Does attention know order?
#
# Shuffle the tokens and ask again. If attention knew order, the outputs would change; if it sees a bag of
# tokens, they only get shuffled along.

# %%
order = rng.permutation(7)
tokens_in = rng.standard_normal((7, 8))
straight = attention_weights(tokens_in, tokens_in) @ tokens_in
shuffled = attention_weights(tokens_in[order], tokens_in[order]) @ tokens_in[order]
print("shuffled input, same shuffled output:", f"{abs(shuffled - straight[order]).max():.0e}")
assert np.allclose(shuffled, straight[order], rtol=1e-12)

# %% [markdown]
# It sees a bag. So someone must write positions in. Four ways, and none: *learned*: a trained vector for
# position 0, 1, 2 … is added to the token. *Sinusoidal*: the added vector is fixed, sines and cosines of
# many wavelengths. *Rotary*: query and key are turned, like clock hands, by an angle that grows with the
# position, so their product depends on the distance. *ALiBi*: scores drop by a slope times the distance.
#
# $$\text{rotary: } (R_t q)\cdot(R_s k)=q\cdot R_{s-t}\,k\qquad \text{ALiBi: } \tfrac{q\cdot k}{\sqrt d}-m\,(t-s)$$
#
# t and s are the places of query and key (0 to 63 here), R_t the turn at t, m a head's slope, 1/16 for the
# first of our three.

# %%
asks, answers = gu.tensor(rng.standard_normal((1, 16))), gu.tensor(rng.standard_normal((1, 16)))


def turned(t, s):
    return float((np.asarray(gu.rotary(asks, t)) * np.asarray(gu.rotary(answers, s))).sum())


print(f"places (9, 5), (104, 100), (9, 6): {turned(9, 5):.4f} {turned(104, 100):.4f} {turned(9, 6):.4f}")
assert abs(turned(9, 5) - turned(104, 100)) < 1e-9 < abs(turned(9, 5) - turned(9, 6))
assert math.isclose(float(np.asarray(gu.alibi_slopes(H))[0]), 1 / 16)

# %% [markdown]
# Only the distance counts, as the formula says. One departure from the paper of the sinusoids: it
# multiplies the token vectors by √C before it adds the waves. Our `SinusoidalPositions` leaves that to you,
# so we run both. All models are trained alike: same text, same steps, windows of 64.


# %% tags=["measured"]
class ScaledWaves(nn.Module):
    def forward(self, x, start=0):
        return x * math.sqrt(C) + gu.sinusoidal_positions(start + x.shape[1], C)[start:]


# %% tags=["measured"]
schemes = {"rotary": model}
for name in ("none", "learned", "sinusoidal", "sinusoidal, √C", "alibi"):
    schemes[name] = gpt(name.split(",")[0])
    if "√C" in name:
        schemes[name].wpe = ScaledWaves()
    train(schemes[name])
at_home = {name: validate(m) for name, m in schemes.items()}
print({name: round(loss, 2) for name, loss in at_home.items()}, f"pairs of characters: {bigram:.2f}")
assert (
    at_home["rotary"]
    < at_home["alibi"]
    < min(at_home["learned"], at_home["sinusoidal, √C"])
    < at_home["none"]
)
assert at_home["sinusoidal"] > at_home["sinusoidal, √C"] + 0.2 and abs(at_home["none"] - bigram) < 0.2

# %% [markdown]
# **Two surprises. Without positions the whole transformer is worth a table of character pairs. And waves
# added to small token vectors drown them: worse than no positions at all, until the √C of the paper is
# back.** Now we read on past the 64 characters the models were trained on, up to 256. Whose loss holds?


# %% tags=["measured"]
def loss_by_place(model, length=256, rows=40):  # [length]
    x, y = next(iter(gu.data.TokenStream(val_ids, length, rows).windows(limit=rows)))
    with gu.no_grad():
        log_p = np.asarray(gu.log_softmax(model(x), dim=-1))
    return -np.take_along_axis(log_p, y[..., None], axis=-1)[..., 0].mean(axis=0)


# %% tags=["measured"]
places = np.arange(0, 256, 32)
curves = {
    name: loss_by_place(m).reshape(-1, 32).mean(axis=1) for name, m in schemes.items() if name != "sinusoidal"
}
for name, curve in curves.items():
    print(f"{name:15s} places 32–63: {curve[1]:.2f}   places 224–255: {curve[-1]:.2f}")
assert curves["alibi"][-1] < curves["alibi"][1] + 0.1 and curves["alibi"][-1] < curves["none"][-1]
assert curves["rotary"][1] < curves["alibi"][1]
assert curves["none"][-1] < min(curves[name][-1] for name in ("rotary", "learned", "sinusoidal, √C"))

# %% [markdown]
# ALiBi stays flat. Rotary, the best at home, ends above the model without any positions. Learned positions
# fall off at 64, where their rows were never trained.

# %% tags=["measured"]
ax = gu.plot.lines(
    places + 16,
    curves,
    xlabel="place in the text (trained on the first 64)",
    ylabel="loss, nats",
    title=f"Rotary climbs from {curves['rotary'][1]:.1f} to {curves['rotary'][-1]:.1f} nats; ALiBi holds",
)

# %% [markdown]
# **The surprise: four times the training length, knowing no positions beats three of four schemes.** Large
# models stretch rotary's angles before they read long texts; this picture is why.
#
# ## Which heads matter?
#
# Silence one head at a time: set to zero the columns of the output matrix `proj` that read it, and validate
# again.


# %% tags=["measured"]
def without_head(model, layer, head):
    weight = model.h[layer].attn.proj.weight
    saved, D = np.array(weight), C // H
    silenced = saved.copy()
    silenced[:, head * D : (head + 1) * D] = 0
    with gu.no_grad():
        weight.copy_(gu.tensor(silenced))
        loss = validate(model, rows=128)
        weight.copy_(gu.tensor(saved))
    return loss


# %% tags=["measured"]
intact = validate(model, rows=128)
cost = np.array([[without_head(model, layer, head) - intact for head in range(H)] for layer in range(2)])
times = cost[0].mean() / cost[1].mean()
print(cost.round(3), f"first layer: {times:.1f} times as dear on average")
assert times > 1.5 and validate(model, rows=128) == intact
assert cost.max() < at_home["none"] - at_home["rotary"]

# %% [markdown]
# A first-layer head costs more to lose, several times on average: it feeds everything above it.

# %% tags=["measured"]
ax = gu.plot.bars(
    [f"layer {layer + 1}, head {head + 1}" for layer in range(2) for head in range(H)],
    cost.ravel(),
    xlabel="loss added, nats",
    title=f"Losing a first-layer head costs {times:.1f}× a second-layer head",
)
# %% [markdown]
# **The surprise: most heads can be lost for less than what no positions cost.** One seed and one small
# model: the ratio is its own, not a law of transformers.
#
# ## What does a KV cache save?
#
# To write a text, a GPT predicts a character, appends it, and asks again. Keys and values of the old tokens
# never change, since nothing may look ahead. So keep them: that is the *KV cache*. Only the newest token's
# row is computed. We time a larger GPT, untrained, since time does not depend on what weights say.

# %%
gu.manual_seed(0)
L = 4
writer = gu.lm.GPT(
    gu.lm.GPTConfig(vocab_size=V, n_positions=576, n_embd=256, n_layer=L, n_head=8, position="rotary")
)


# %%
def write(prompt, n, cached):  # greedy: always the likeliest character
    text, cache, new = prompt, writer.new_cache() if cached else None, prompt
    for _ in range(n):
        began = time.perf_counter()
        with gu.no_grad():
            logits = np.asarray(writer(new[None], cache=cache))
        seconds = time.perf_counter() - began  # of the last token: the first one reads the prompt
        text = np.append(text, logits[0, -1].argmax())
        new = text[-1:] if cached else text
    return text, seconds, cache


# %% tags=["measured"]
lengths, spent = [64, 128, 256, 512], {"without cache": [], "with cache": []}
for length in lengths:
    for name, ms in spent.items():
        runs = [write(val_ids[:length], 5, cached=name == "with cache") for _ in range(3)]
        ms.append(1000 * min(seconds for _, seconds, _ in runs))
    without, with_cache = (write(val_ids[:length], 5, cached)[0] for cached in (False, True))
    assert np.array_equal(without, with_cache)  # the same tokens
saving = spent["without cache"][-1] / spent["with cache"][-1]
print({name: np.round(ms, 2).tolist() for name, ms in spent.items()}, "ms for one more token")
assert saving > 3

# %% [markdown]
# Same text, far less work: without a cache the price of one more token grows with everything written so
# far.

# %% tags=["measured"]
ax = gu.plot.lines(
    lengths,
    spent,
    xlabel="tokens so far",
    ylabel="ms for one more token",
    title=f"At {lengths[-1]} tokens the cache makes a token {saving:.0f}× cheaper",
)
# %% [markdown]
# **The surprise: the fastest attention is the one you did last time.** Nothing is free, it is paid in
# memory. Each token leaves a key and a value (2), in every layer (L), for every key/value head (n_kv), of
# d_head numbers each:
#
# $$\text{bytes a token}=2\cdot L\cdot n_{kv}\cdot d_{head}\cdot\text{bytes a number}$$
#
# For our writer: L = 4, n_kv = 8, d_head = 32, 4 bytes. For a model of 7 billion parameters ("7B") of the
# usual shape: L = 32, n_kv · d_head = 4096, 2 bytes.

# %%
cache = write(val_ids[:100], 1, cached=True)[2]
held = sum(np.asarray(t).nbytes for layer in cache for t in (layer.keys, layer.values))
assert held == 100 * (2 * L * 8 * 32 * 4)
usual = gu.lm.measure.kv_cache_bytes(n_layer=32, n_kv_head=32, head_size=128, bytes_per_number=2)
assert usual == 2 * 32 * 4096 * 2 == 512 * 1024
print(f"ours: {held / 100:,.0f} bytes a token, as the formula says; the 7B: {usual / 1024:.0f} KiB a token,")
print(f"so a conversation of 4,096 tokens holds {usual * 4096 / 2**30:.0f} GiB")

# %% [markdown] tags=["break"]
# ## Break it: two masks that leak
#
# The right rule, `right` above, writes −∞ over the scores of future keys *before* the softmax: e^−∞ = 0, in
# the numerator and in the sum below it. Two bugs that get past a quick review. **A**: the mask is off by
# one, the next token stays visible. **B**: softmax first, then multiply by the mask. Every future weight is
# exactly 0. What could go wrong?


# %% tags=["measured"]
def off_by_one(scores):  # A
    return gu.softmax(gu.where(past(scores, ahead=1), scores, -math.inf), dim=-1)


def mask_after(scores):  # B
    return gu.softmax(scores, dim=-1) * gu.tensor(past(scores).astype(np.float32))


# %% tags=["measured"]
rules = {"right": right, "A off by one": off_by_one, "B mask after": mask_after}
models, history = {"right": edited(model, right)}, {"right": losses}  # the GPT on top of this page
for name in ("A off by one", "B mask after"):
    models[name] = edited(gpt("rotary"), rules[name])
    history[name] = train(models[name])
claimed = {name: validate(m, rows=48) for name, m in models.items()}
print({name: round(loss, 2) for name, loss in claimed.items()}, "nats on text never seen")
assert claimed["A off by one"] < claimed["right"] / 4 and claimed["B mask after"] < claimed["right"] / 4

# %% tags=["measured"]
steps = np.arange(0, 600, 20) + 10
smooth = {name: np.reshape(values, (-1, 20)).mean(axis=1) for name, values in history.items()}
ax = gu.plot.loss_curve(
    dict.fromkeys(smooth, steps),
    smooth,
    baselines={"pairs of characters": float(bigram)},
    title=f"B 'beats' the right mask, {claimed['B mask after']:.2f} to {claimed['right']:.2f} nats",
)
# %% [markdown]
# The symptom is a triumph, and validation, the judge we trust, agrees. A second check misses B, too: look
# at its weights.

# %%
shown, nexts = next(iter(gu.data.TokenStream(val_ids, T).windows(batch_size=48, limit=48)))
future = ~past(np.zeros((T, T)))
for name, m in models.items():
    with gu.no_grad():
        m(shown)
    weights = np.asarray(m.h[0].attn.weights)
    row_sum = weights.sum(axis=-1)
    print(
        f"{name:13s} weight on the future {weights[..., future].sum():8.1f}, least row sum {row_sum.min():.2f}"
    )
    assert (weights[..., future].sum() == 0) == (name != "A off by one")

# %% [markdown]
# B gives the future weight zero. But its rows do not sum to one: the sum under the fraction was taken over
# *all* keys, so how much is missing tells what stands there. The weights are blind; the denominator peeked.
# To score honestly, hide the future for good: predict each character from a text that ends right before it.
# What is left of B's victory?


# %% tags=["measured"]
def honest(model):  # every character from its own prefix
    total = 0.0
    with gu.no_grad():
        for t in range(1, T + 1):
            logits = model(np.ascontiguousarray(shown[:, :t]))[:, t - 1]
            total += gu.cross_entropy(logits, np.ascontiguousarray(nexts[:, t - 1])).item()
    return total / T


# %% tags=["measured"]
true = {name: honest(m) for name, m in models.items()}
for name in models:
    print(
        f"{name:13s} claims {claimed[name]:.2f}, honestly {true[name]:.2f} (pairs of characters {bigram:.2f})"
    )
assert abs(true["right"] - claimed["right"]) < 1e-3
assert true["right"] + 0.5 < true["B mask after"] < true["A off by one"]

# %% tags=["measured"]
ax = gu.plot.bars(
    [f"{name}, {how}" for name in models for how in ("claimed", "honest")],
    [loss for name in models for loss in (claimed[name], true[name])],
    baseline=("pairs of characters", float(bigram)),
    xlabel="loss, nats",
    title=f"With the future hidden, B loses by {true['B mask after'] - true['right']:.1f} nats",
)

# %% [markdown]
# **The surprise: a mask bug improved the validation loss, and a zero weight leaked the next letter.**
# Honest scoring is slow. Here is the check that catches both in two calls, for any model that claims to be
# causal: change the token at t + 1; the logits (the scores of the next character) up to t must not move.


# %%
def peeks(model, t=30):  # how far the past moves when the future is changed
    changed = shown[:1].copy()
    changed[0, t + 1] = (changed[0, t + 1] + 1) % V
    with gu.no_grad():
        moved = np.asarray(model(changed)) - np.asarray(model(shown[:1]))
    return float(abs(moved[0, : t + 1]).max())


# %%
for name, m in models.items():
    print(f"{name:13s} moves by {peeks(m):.4f}")
assert (
    peeks(models["right"]) == 0
    and peeks(models["A off by one"]) > 0.01
    and peeks(models["B mask after"]) > 0.01
)
assert peeks(schemes["alibi"]) == 0  # a model with the fused op passes, too

# %% [markdown] tags=["tell"]
# ## Tell it plainly
#
# In a seminar everyone has notes (values) with a headline (key). You have a question (query). You compare
# it with each headline, give each colleague a share of your attention, all shares together one, and write
# down the mean of their notes, more from those whose headline fits. A causal seminar speaks in turn: you
# hear only those before you. Bug B is sharing out your attention with the later speakers in the room, then
# tearing their pages up: the little that is left for the others tells what they wrote.
#
# Where it breaks: in a seminar you see the order of the seats. Attention sees a bag of notes until
# positions are written on them.

# %%
gu.study.fold(
    "Say it in one sentence, without the seminar",
    "Each token takes a mean of the values of the tokens it may see, weighed by a softmax of the scaled dot "
    "products of its query with their keys; all tokens do so at once, as two matrix products, which is why it "
    "runs in parallel.",
)

# %% [markdown] tags=["exercise"]
# ## Exercise 1: the causal mask (10 minutes, difficulty 2 of 5)
#
# Write `causal_mask(n_queries, n_keys)`: a bool array, True where the query (row) may see the key (column).
# The last query stands at the last key: with a cache there are more keys than queries. For 1 query and 5
# keys all five are True.


# %% tags=["stub"]
def causal_mask(n_queries, n_keys):
    raise NotImplementedError


# %%
gu.check("day34.causal_mask", causal_mask)

# %% [markdown]
# ## Exercise 2: attention (20 minutes, difficulty 3 of 5)
#
# Write `attention(Q, K, V, mask)` in NumPy: Q [n, d], K [m, d], V [m, d_v], mask [n, m] bool, True where a
# key may be seen; every query sees at least one key. Returns [n, d_v]. Scores may be as large as 1000.


# %% tags=["stub"]
def attention(Q, K, V, mask):
    raise NotImplementedError


# %%
gu.check("day34.attention", attention)

# %% [markdown] tags=["drill"]
# ## Drill: one pass, three numbers (20 minutes, difficulty 3 of 5)
#
# Pairs (score, value) arrive one at a time and are gone. Return the softmax-weighted mean of the values, in
# one pass, holding three numbers. Scores may be 1000 or −1000, so e^score alone overflows or vanishes. This
# is how our C++ op does without the n × m table.


# %% tags=["stub"]
def streaming_mean(pairs):
    raise NotImplementedError


# %%
gu.check("day34.streaming_mean", streaming_mean)

# %% [markdown] tags=["design"]
# ## System design: where does a KV cache live, and what does it cost?
#
# A chat server keeps the weights once and a cache for every conversation, all in the memory of the
# accelerator. The weights are shared; the caches are not, and grow by a token's bytes with every token. So
# memory, not arithmetic, sets how many people can talk at once.

# %%
boxes = {
    "prompt": (-0.3, 0, "prompt"),
    "prefill": (1, 0, "prefill\nall tokens at once"),
    "weights": (2, 0.5, "weights\nshared by all"),
    "decode": (1, 1, "decode\none token a step"),
    "cache": (-0.3, 1, "KV cache\na conversation"),
}
arrows = [("prompt", "prefill"), ("prefill", "cache", "fill"), ("prefill", "decode", "first token")]
arrows += [("decode", "cache", "read, add one"), ("weights", "prefill"), ("weights", "decode")]
stores = {"weights": "store", "cache": "store", "prompt": "outside"}
ax = diagram(boxes, arrows, title="One set of weights, a cache for every conversation", kinds=stores)

# %% [markdown]
# *Prefill* reads the prompt, all tokens together: matrix products, busy arithmetic. *Decode* adds one token
# a step and must read all weights and the whole cache for it: memory bandwidth sets the pace. That is why
# servers decode many conversations together, one pass over the weights for all.
#
# How many fit? A budget: an 80 GB card, 14 GB of weights (7 billion at 2 bytes), 6 GB of reserve.

# %%
free = 80e9 - 14e9 - 6e9
for label, n_kv in (("32 key/value heads", 32), ("8 (grouped queries)", 8), ("1 (multi-query)", 1)):
    a_token = 2 * 32 * n_kv * 128 * 2
    print(
        f"{label:20s} {a_token / 1024:4.0f} KiB a token, {int(free / (a_token * 4096)):4d} chats of 4,096 tokens"
    )
assert gu.lm.measure.conversations(free, tokens=4096, bytes_per_token=usual) == 27 and a_token * 32 == usual

# %% [markdown]
# Four ways to pay less, each with its price. *Fewer key/value heads* shared by groups of queries: a quarter
# of the memory above, a little quality. *Smaller numbers*, 8 bits: half. *Blocks* of 16 tokens, given out
# as a text grows, in place of one long row reserved for the worst case: nothing but bookkeeping. *A shared
# prompt* kept once for all who begin with it. When memory runs out, a server drops a conversation's cache
# and recomputes it later, or lets new ones wait.
#
# And fewer tokens. On day 33 larger vocabularies cut texts into fewer pieces. Here is what that is worth in
# cache:

# %%
sample = corpus.text[-100_000:]
bpe = gu.text.BPETokenizer.train(corpus.text[:400_000], vocab_size=1024)
share = len(bpe.encode(sample, disallowed_special=())) / len(sample.encode())
print(
    f"1,024 tokens in place of 256 bytes: {1 - share:.0%} fewer, and so {1 - share:.0%} less cache for a text"
)
assert 0.45 < 1 - share < 0.75

# %% [markdown] tags=["quiz"]
# ## Checkpoint: nine questions
#
# Choose before you open a fold.

# %%
gu.study.quiz("day34")

# %% [markdown] tags=["cards"]
# ## Cards

# %%
gu.study.cards("day34")

# %% [markdown] tags=["next"]
# ## Next
#
# Two numbers leave this page: the milliseconds of one more token with a cache, and 512 KiB a token. Day 35
# asks when many requests should share one pass over the weights; day 36 puts the cache under load and
# cashes both. To go deeper here, change `gpt("rotary")` in the break section to `gpt("none")` and take the
# two `gu.rotary` calls out: does B still leak?

# %% tags=["measured"]
print(
    f"for day 36: {spent['with cache'][-1]:.2f} ms a token at {lengths[-1]} tokens, {usual // 1024} KiB for a 7B"
)
