#!/usr/bin/env python3
"""Golden values from peers for `clattn op`: writes ops/<op>.safetensors beside this script.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python make_ops.py [OP ...]       # no OP: every operation
    venv/bin/python make_ops.py --check        # compare with the files that are there, write nothing

A file holds many cases of one operation. Tensors are `<case>/in/<input>` and `<case>/out/<output>` under the names of the
operation's own inputs and outputs; the metadata has `op`, `cases` (names, one a line), `<case>/set` (`key=value` lines as
`clattn op --set` takes them) and `<case>/peer` (what computed the values). Masks are U8, ids and lengths I32, the rest F32.

Inputs are f32; every peer runs in double precision on them, and its result is rounded to f32 once. Where a peer has no such
case (a fully masked row in Keras, a Gaussian window anywhere) the formula is written with torch primitives, and `peer` says so.
Random numbers are seeded per operation: a new case at the end of an operation changes no other value.
"""
import json
import math
import os
import struct
import sys
import zlib
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
import torch.nn.functional as F
import keras

torch.set_grad_enabled(False)
torch.set_num_threads(1)
keras.config.set_dtype_policy("float64")
keras.config.disable_flash_attention()
# Keras promotes float64 to float64 with TensorFlow, to float32 with every other backend: here as with TensorFlow.
keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

TORCH = "torch " + torch.__version__.split("+")[0]
KERAS = "keras " + keras.__version__
INF = math.inf
OPS = {}


# ---- tensors, cases, files ---------------------------------------------------------------------------------------------

def operation(function):
    OPS[function.__name__.rstrip("_")] = function
    return function


class Cases:
    """Collects the cases of one operation and deals its random numbers."""

    def __init__(self, op):
        self.op, self.tensors, self.meta, self.names = op, {}, {"op": op}, []
        self.random = np.random.default_rng(zlib.crc32(op.encode()))

    def normal(self, *shape, scale=1.0):
        return (scale * self.random.standard_normal(shape)).astype(np.float32)

    def uniform(self, low, high, *shape):
        return self.random.uniform(low, high, shape).astype(np.float32)

    def ids(self, bound, *shape):
        return self.random.integers(0, bound, shape).astype(np.int32)

    def mask(self, *shape, keep=0.6):
        return (self.random.random(shape) < keep).astype(np.uint8)

    def add(self, name, inputs, outputs, peer, **parameters):
        assert name not in self.names, name
        self.names.append(name)
        self.meta[f"{name}/set"] = "\n".join(f"{key}={as_word(value)}" for key, value in parameters.items())
        self.meta[f"{name}/peer"] = peer
        for kind, tensors in (("in", inputs), ("out", outputs)):
            for key, value in tensors.items():
                if value is None:
                    continue
                if isinstance(value, torch.Tensor):
                    assert kind == "in" or value.dtype in (torch.float64, torch.int64), (name, key, value.dtype)
                    value = value.detach().numpy()
                if value.dtype == np.int64:
                    value = value.astype(np.int32)
                elif value.dtype == np.float64:
                    value = value.astype(np.float32)
                self.tensors[f"{name}/{kind}/{key}"] = np.asarray(value, order="C")

    def file(self):
        """The bytes of a safetensors file: tensors in order of falling alignment, no hole between them."""
        codes = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32", np.dtype(np.uint8): "U8"}
        names = sorted(self.tensors, key=lambda name: -self.tensors[name].dtype.itemsize)
        header, offset, blobs = {"__metadata__": {**self.meta, "cases": "\n".join(self.names)}}, 0, []
        for name in names:
            value = self.tensors[name]
            header[name] = {"dtype": codes[value.dtype], "shape": list(value.shape),
                            "data_offsets": [offset, offset + value.nbytes]}
            offset += value.nbytes
            blobs.append(value.tobytes())
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def as_word(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(as_word(one) for one in value)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:.9g}"


def T(value):
    """A double-precision torch tensor of an f32 array (integers and masks keep their values)."""
    if value is None:
        return None
    tensor = torch.from_numpy(np.array(value))
    if tensor.dtype == torch.uint8:
        return tensor.bool()
    return tensor.double() if tensor.is_floating_point() else tensor.long()


def agree(a, b, what):
    """The peer and the formula used for its optional outputs must be the same thing."""
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10 * max(1.0, float(b.nan_to_num(0, 0, 0).abs().max())) if b.numel()
                               else 0, msg=lambda text: f"{what}: {text}")


def softmax_rows(scores):
    """weights and lse of scores with -inf where excluded; a row without a key has weights 0, lse -inf."""
    lse = torch.logsumexp(scores, -1) if scores.shape[-1] else torch.full(scores.shape[:-1], -INF, dtype=torch.float64)
    weights = torch.where(torch.isinf(lse).unsqueeze(-1), 0.0, torch.softmax(scores, -1))
    return weights, lse


def keras_layer(layer, weights, *args, **kwargs):
    """Builds the layer by a first call, sets its weights by variable name, calls it again."""
    layer(*args, **kwargs)
    for variable in layer.weights:
        variable.assign(weights.pop(variable.path.split("/", 1)[1] if variable.path.count("/") > 1 else variable.name))
    assert not weights, f"unused: {list(weights)}"
    return layer(*args, **kwargs)


ACTIVATIONS = {
    "none": lambda x: x, "relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
    "sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid, "tanh": torch.tanh, "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
}


# ---- text: the dot family ----------------------------------------------------------------------------------------------

def allowed_keys(tq, tk, batch, causal="none", window_left=-1, window_right=-1, key_lengths=None):
    """[B,1,Tq,Tk] bool of rule 1 in operations.md, without past keys."""
    i, j = torch.arange(tq).view(1, 1, tq, 1), torch.arange(tk).view(1, 1, 1, tk)
    n = torch.full((batch, 1, 1, 1), tk) if key_lengths is None else T(key_lengths).view(batch, 1, 1, 1)
    offset = n - tq if causal == "bottom_right" else torch.zeros_like(n)
    ok = (j < n) & (i >= 0)
    if causal != "none":
        ok = ok & (j <= i + offset)
    if window_left >= 0:
        ok = ok & (j >= i + offset - window_left)
    if window_right >= 0:
        ok = ok & (j <= i + offset + window_right)
    return ok


def dot_product(query, key, value, allowed=None, bias=None, scale=None, native_causal=False):
    """out by torch's scaled_dot_product_attention; weights and lse by formula, which must give the same out."""
    groups = query.shape[1] // key.shape[1]
    scores = query @ key.repeat_interleave(groups, 1).transpose(-1, -2) * (scale or 1 / math.sqrt(query.shape[-1]))
    attn_mask = None
    if bias is not None:
        scores = scores + bias
        attn_mask = bias.expand(scores.shape)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -INF)
        allowed = allowed.expand(scores.shape)
        attn_mask = allowed if attn_mask is None else attn_mask.masked_fill(~allowed, -INF)
    weights, lse = softmax_rows(scores)
    out = weights @ value.repeat_interleave(groups, 1)
    if scores.numel():
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            peer = F.scaled_dot_product_attention(query, key, value, attn_mask=None if native_causal else attn_mask,
                                                  is_causal=native_causal, scale=scale, enable_gqa=groups > 1)
        agree(peer, out, "scaled_dot_product_attention")
        out = peer
    return {"out": out, "lse": lse, "weights": weights}


@operation
def attention(c):
    sdpa = f"{TORCH} scaled_dot_product_attention"

    def case(name, b, h, tq, tk, d, dv=None, hkv=None, mask=None, bias=None, key_lengths=None, spoil=False, magnitude=1.0,
             keep=("out", "lse", "weights"), peer=None, **sets):
        hkv, dv = hkv or h, dv or d
        query, key = c.normal(b, h, tq, d, scale=magnitude), c.normal(b, hkv, tk, d, scale=magnitude)
        value = c.normal(b, hkv, tk, dv)
        structure = {k: sets[k] for k in ("causal", "window_left", "window_right") if k in sets}
        native = structure == {"causal": "top_left"} and mask is None and bias is None and key_lengths is None
        allowed = None
        if structure or key_lengths is not None:
            allowed = allowed_keys(tq, tk, b, key_lengths=key_lengths, **structure)
        if mask is not None:
            allowed = T(mask) if allowed is None else allowed & T(mask)
        values = dot_product(T(query), T(key), T(value), allowed, T(bias), sets.get("scale"), native)
        if spoil:   # what no query may attend must not matter
            for batch, length in enumerate(key_lengths):
                key[batch, :, length:], value[batch, :, length:] = np.nan, np.inf
        if peer is None:
            peer = sdpa + (" is_causal" if native else " attn_mask" if allowed is not None or bias is not None else "")
            peer += " enable_gqa" if hkv != h else ""
        c.add(name, {"query": query, "key": key, "value": value, "mask": mask, "bias": bias, "key_lengths": key_lengths},
              {k: values[k] for k in keep}, peer, **sets)

    lengths = lambda *n: np.array(n, np.int32)
    case("plain", 2, 3, 5, 7, 8)
    case("scale", 2, 2, 5, 6, 8, scale=0.75)
    case("negative_scale", 1, 2, 6, 5, 9, scale=-0.3)
    case("one_of_all", 1, 1, 1, 1, 1)
    case("odd_sizes", 1, 2, 17, 33, 59, dv=111)
    case("wide_head", 1, 1, 15, 17, 256)
    case("head_size_5", 1, 2, 31, 16, 5, dv=3)
    case("decode", 1, 2, 1, 239, 33)
    case("keys_1025", 1, 1, 3, 1025, 1, dv=2, keep=("out", "lse"))
    case("larger", 1, 1, 130, 197, 64, keep=("out", "lse"))
    case("no_keys", 1, 2, 3, 0, 4, dv=5, keep=("out", "lse"), peer="rule: a sum over no keys is 0, lse -inf")
    mask1, mask2 = c.mask(7), c.mask(5, 7)
    mask2[3] = 0
    case("mask_rank1", 2, 2, 5, 7, 8, mask=mask1)
    case("mask_rank2_empty_row", 2, 2, 5, 7, 8, mask=mask2)
    case("mask_rank3", 2, 3, 5, 7, 8, mask=c.mask(3, 5, 7))
    case("mask_rank3_one_head", 2, 3, 5, 7, 8, mask=c.mask(1, 5, 7))
    case("mask_rank4_keys", 2, 3, 5, 7, 8, mask=c.mask(2, 1, 1, 7))
    case("mask_rank4_full", 2, 2, 17, 19, 16, mask=c.mask(2, 2, 17, 19))
    case("bias_rank1", 2, 2, 5, 7, 8, bias=c.normal(7))
    case("bias_rank2", 2, 2, 5, 7, 8, bias=c.normal(5, 7))
    bias4 = c.normal(2, 3, 5, 7)
    bias4[c.random.random(bias4.shape) < 0.3] = -INF
    bias4[1, 2, 4] = -INF
    case("bias_excludes", 2, 3, 5, 7, 8, bias=bias4)
    case("bias_and_mask", 2, 3, 5, 7, 8, bias=c.normal(3, 1, 7), mask=c.mask(2, 1, 5, 7), scale=0.5)
    case("causal", 2, 2, 9, 9, 8, causal="top_left")
    case("causal_more_queries", 1, 2, 9, 6, 8, causal="top_left")
    case("causal_more_keys", 1, 2, 5, 11, 8, causal="top_left")
    case("bottom_right", 1, 2, 5, 11, 8, causal="bottom_right")
    case("bottom_right_empty_rows", 1, 2, 11, 5, 8, causal="bottom_right")
    case("bottom_right_lengths", 3, 2, 4, 9, 8, causal="bottom_right", key_lengths=lengths(9, 5, 2))
    case("window", 1, 2, 13, 13, 8, window_left=3, window_right=2)
    case("window_zero", 1, 2, 6, 6, 8, window_left=0, window_right=0)
    case("window_one_side", 1, 2, 7, 9, 8, window_right=1)
    case("causal_window", 1, 2, 37, 37, 16, causal="top_left", window_left=5)
    case("bottom_right_window", 2, 2, 6, 15, 8, causal="bottom_right", window_left=4, key_lengths=lengths(15, 8))
    case("gqa", 2, 6, 5, 7, 8, hkv=2, causal="bottom_right")
    case("mqa", 1, 4, 17, 31, 16, hkv=1)
    case("lengths", 4, 2, 5, 7, 8, key_lengths=lengths(7, 3, 1, 0))
    case("nan_behind_lengths", 3, 2, 17, 33, 16, key_lengths=lengths(33, 16, 1), spoil=True)
    case("logits_1e4", 1, 2, 5, 17, 16, magnitude=50.0)
    case("equal_scores", 1, 1, 5, 17, 16, magnitude=0.0)

    query, value, key = c.normal(2, 5, 6), c.normal(2, 7, 4), c.normal(2, 7, 6)
    out, weights = keras.layers.Attention()([T(query), T(value), T(key)], return_attention_scores=True)
    c.add("keras_attention", {"query": query[:, None], "key": key[:, None], "value": value[:, None]},
          {"out": out[:, None], "weights": weights[:, None]}, f"{KERAS} layers.Attention", scale=1.0)
    mask = c.mask(2, 7)
    mask[:, 0] = 1
    out, weights = keras.layers.Attention()([T(query), T(value), T(key)], mask=[None, T(mask)], use_causal_mask=True,
                                            return_attention_scores=True)
    c.add("keras_attention_causal_mask", {"query": query[:, None], "key": key[:, None], "value": value[:, None],
                                          "mask": mask[:, None, None]},
          {"out": out[:, None], "weights": weights[:, None]}, f"{KERAS} layers.Attention", scale=1.0, causal="top_left")
    query, key, value, bias = c.normal(2, 5, 3, 6), c.normal(2, 7, 3, 6), c.normal(2, 7, 3, 6), c.normal(2, 3, 5, 7)
    out = keras.ops.dot_product_attention(T(query), T(key), T(value), bias=T(bias), scale=0.4)
    c.add("keras_dot_product", {k: np.swapaxes(v, 1, 2) for k, v in {"query": query, "key": key, "value": value}.items()}
          | {"bias": bias}, {"out": out.transpose(1, 2)}, f"{KERAS} ops.dot_product_attention", scale=0.4)


    # What the peers lack or have only in part: the formula, by torch primitives.
    def features(name, b, h, tq, tk, d, dv=None, hkv=None, past=0, keep=("out", "lse", "weights", "scores", "key_sums"), slopes=None, sinks=None,
                 bias=None, mask=None, key_lengths=None, magnitude=1.0, **sets):
        hkv, dv = hkv or h, dv or d
        query, key, value = c.normal(b, h, tq, d, scale=magnitude), c.normal(b, hkv, tk, d, scale=magnitude), c.normal(b, hkv, tk, dv)
        past_key, past_value = (c.normal(b, hkv, past, d), c.normal(b, hkv, past, dv)) if past else (None, None)
        joined = [np.concatenate([p, now], 2) if past else now for p, now in ((past_key, key), (past_value, value))]
        inputs = {"query": query, "key": key, "value": value, "past_key": past_key, "past_value": past_value, "alibi_slopes": slopes,
                  "sinks": sinks, "bias": bias, "mask": mask, "key_lengths": key_lengths}
        values = whole_attention(T(query), T(joined[0]), T(joined[1]), past, T(slopes), T(sinks), T(bias), T(mask), key_lengths, sets)
        values |= {"present_key": T(joined[0]), "present_value": T(joined[1])}
        c.add(name, inputs, {k: values[k] for k in keep}, f"{TORCH} primitives", **sets)

    stages = {stage: {"scores_stage": stage} for stage in ("raw", "softcap", "bias", "softmax")}
    present = ("out", "lse", "weights", "scores", "key_sums", "present_key", "present_value")
    features("sinks", 2, 4, 5, 7, 8, hkv=2, sinks=c.normal(4), causal="bottom_right")
    features("sinks_empty_row", 2, 2, 5, 3, 8, sinks=c.normal(2), causal="bottom_right", key_lengths=lengths(3, 0))
    features("alibi", 2, 4, 5, 7, 8, slopes=c.uniform(0.1, 1, 4), causal="top_left")
    features("alibi_batches_lengths", 2, 2, 5, 9, 8, slopes=c.uniform(0.1, 1, 2, 2), key_lengths=lengths(9, 6), causal="bottom_right")
    for stage in stages:
        features(f"scores_{stage}", 2, 2, 5, 7, 8, softcap=1.5, bias=c.normal(5, 7), mask=c.mask(2, 1, 5, 7), slopes=c.uniform(0.1, 1, 2), **stages[stage])
    features("key_sums_larger", 1, 2, 70, 130, 16, causal="bottom_right", keep=("out", "key_sums"))
    features("softcap", 1, 2, 17, 33, 16, softcap=2.0, magnitude=3.0)
    features("past", 2, 2, 5, 7, 8, dv=6, past=4, causal="top_left", keep=present)
    features("past_window", 2, 2, 5, 7, 8, past=4, window_left=3, window_right=2, keep=present)
    features("past_bottom_right", 2, 4, 5, 7, 8, hkv=2, past=4, causal="bottom_right", key_lengths=lengths(11, 6), bias=c.normal(5, 11))
    features("past_decode", 2, 2, 1, 1, 16, past=270, causal="top_left", slopes=c.uniform(0.01, 0.1, 2), sinks=c.normal(2), keep=("out", "lse"))
    features("dropout", 2, 2, 5, 7, 8, dropout=0.3, seed=12345678901, offset=77)
    features("dropout_causal", 1, 2, 33, 40, 16, dropout=0.75, seed=5, causal="bottom_right", sinks=c.normal(2))


def philox_4x32(index, offset, seed):
    """The word of each element: rule 9 of operations.md, Salmon et al. 2011."""
    low, top = np.uint64(0xFFFFFFFF), np.uint64(32)
    index = np.asarray(index, np.uint64)
    c = [index // np.uint64(4) & low, index // np.uint64(4) >> top, np.full(index.shape, offset & 0xFFFFFFFF, np.uint64),
         np.full(index.shape, offset >> 32, np.uint64)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> top) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> top) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.choose((index % np.uint64(4)).astype(int), c)


assert philox_4x32(np.arange(4), 0, 0).tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]   # Random123's kat_vectors


def kept(shape, sets):
    """What dropout multiplies weights with."""
    rate = np.float32(sets.get("dropout", 0))
    words = philox_4x32(np.arange(math.prod(shape)).reshape(shape), sets.get("offset", 0), sets.get("seed", 0))
    return torch.from_numpy(np.where(words < math.ceil(float(rate) * 2.0**32), 0.0, 1 / (1 - float(rate))))


def whole_attention(query, key, value, past, slopes, sinks, bias, mask, key_lengths, sets):
    """Rules 1-4 and 9 of operations.md; key and value hold the past."""
    b, h, tq, _ = query.shape
    tk, groups = key.shape[2], query.shape[1] // key.shape[1]
    n = torch.full((b, 1, 1, 1), tk) if key_lengths is None else T(key_lengths).view(b, 1, 1, 1)
    i, j = torch.arange(tq).view(1, 1, tq, 1), torch.arange(tk).view(1, 1, 1, tk)
    diagonal = i + (n - tq if sets.get("causal") == "bottom_right" else past)
    allowed = (j < n) & (i >= 0)
    if sets.get("causal", "none") != "none":
        allowed = allowed & (j <= diagonal)
    if sets.get("window_left", -1) >= 0:
        allowed = allowed & (j >= diagonal - sets["window_left"])
    if sets.get("window_right", -1) >= 0:
        allowed = allowed & (j <= diagonal + sets["window_right"])
    if mask is not None:
        allowed = allowed & mask
    raw = query @ key.repeat_interleave(groups, 1).transpose(-1, -2) * (sets.get("scale") or 1 / math.sqrt(query.shape[-1]))
    cap = sets.get("softcap", 0)
    capped = cap * torch.tanh(raw / cap) if cap else raw
    scores = capped if bias is None else capped + bias
    if slopes is not None:
        scores = scores - slopes.view(-1, h, 1, 1) * (i + n - tq - j).abs()
    scores = scores.masked_fill(~allowed, -INF)
    whole = scores if sinks is None else torch.cat([scores, sinks.view(1, h, 1, 1).expand(b, h, tq, 1)], -1)
    weights, lse = softmax_rows(whole)
    weights = weights[..., :tk]
    out = weights * kept(weights.shape, sets) @ value.repeat_interleave(groups, 1)
    shown = {"raw": raw, "softcap": capped, "bias": scores, "softmax": weights}[sets.get("scores_stage", "raw")]
    return {"out": out, "lse": lse, "weights": weights, "scores": shown, "key_sums": weights.sum(2)}


@operation
def attention_varlen(c):
    def case(name, queries, keys, h, d, dv=None, hkv=None, **sets):
        hkv, dv = hkv or h, dv or d
        query, key, value = c.normal(sum(queries), h, d), c.normal(sum(keys), hkv, d), c.normal(sum(keys), hkv, dv)
        places = [np.cumsum([0, *n]).astype(np.int32) for n in (queries, keys)]
        out, lse = torch.zeros(sum(queries), h, dv).double(), torch.zeros(h, sum(queries)).double()
        for q0, q1, k0, k1 in zip(places[0], places[0][1:], places[1], places[1][1:]):
            one = whole_attention(*(T(x[a:z]).transpose(0, 1)[None] for x, a, z in ((query, q0, q1), (key, k0, k1), (value, k0, k1))),
                                  0, None, None, None, None, None, sets)
            out[q0:q1], lse[:, q0:q1] = one["out"][0].transpose(0, 1), one["lse"][0]
        c.add(name, {"query": query, "key": key, "value": value, "cu_query": places[0], "cu_key": places[1]}, {"out": out, "lse": lse},
              f"{TORCH} primitives, sequence by sequence", **sets)

    case("plain", (3, 5), (4, 6), 2, 8)
    case("gqa_empty_ones", (3, 0, 1, 17), (4, 2, 0, 33), 4, 8, hkv=2, dv=5)
    case("causal", (9, 30, 70), (9, 30, 70), 2, 16, causal="top_left")
    case("bottom_right_window", (4, 30, 20), (9, 40, 10), 2, 16, causal="bottom_right", window_left=6)
    case("softcap_scale", (5, 7), (7, 5), 2, 8, softcap=1.5, scale=0.7)


@operation
def attention_merge(c):
    def case(name, b, h, tq, tk, d, *cuts, hidden=()):
        query, key, value = c.normal(b, h, tq, d), c.normal(b, h, tk, d), c.normal(b, h, tk, d)
        edges, parts = [0, *cuts, tk], []
        for a, z in zip(edges, edges[1:]):
            parts.append(dot_product(T(query), T(key[:, :, a:z]), T(value[:, :, a:z])))
        whole = dot_product(T(query), T(key), T(value))
        outs, lses = (np.stack([p[k].numpy() for p in parts]).astype(np.float32) for k in ("out", "lse"))
        for s in hidden:   # parts of no keys may hold anything
            lses = np.insert(lses, s, -INF, 0)
            outs = np.insert(outs, s, np.nan, 0)
        c.add(name, {"out": outs, "lse": lses}, {"out": whole["out"], "lse": whole["lse"]}, f"{TORCH} scaled_dot_product_attention over all keys")

    case("two", 2, 3, 5, 7, 8, 3)
    case("four", 1, 2, 17, 33, 20, 1, 16, 20)
    case("one", 1, 2, 3, 5, 4)
    case("ignored", 2, 2, 5, 7, 8, 3, hidden=(0, 2))


@operation
def multi_head_attention(c):
    def weights(e, ek, ev, inner, eo, inner_kv=None, inner_v=None, bias=True):
        inner_kv = inner_kv or inner
        inner_v = inner_v or inner_kv
        inner_out = inner if inner_v == inner_kv else inner_v
        s = lambda n: 1.5 / math.sqrt(n)
        w = {"w_q": c.normal(inner, e, scale=s(e)), "w_k": c.normal(inner_kv, ek, scale=s(ek)),
             "w_v": c.normal(inner_v, ev, scale=s(ev)), "w_o": c.normal(eo, inner_out, scale=s(inner_out))}
        if bias:
            w |= {"b_q": c.normal(inner), "b_k": c.normal(inner_kv), "b_v": c.normal(inner_v), "b_o": c.normal(eo)}
        return w

    def peer_torch(name, b, tq, tk, e, heads, ek=None, ev=None, bias=True, bias_kv=False, zero_key=False, average=False,
                   key_mask=None, mask=None, add=None, causal=None, self_attention=False, drop=()):
        ek, ev = ek or e, ev or e
        w = weights(e, ek, ev, e, e, bias=bias)
        for one in drop:
            w[one] = np.zeros_like(w[one])
        query = c.normal(b, tq, e)
        key, value = (query, query) if self_attention else (c.normal(b, tk, ek), c.normal(b, tk, ev))
        if bias_kv:
            w |= {"bias_k": c.normal(e), "bias_v": c.normal(e)}
        m = torch.nn.MultiheadAttention(e, heads, bias=bias, add_bias_kv=bias_kv, add_zero_attn=zero_key, kdim=ek, vdim=ev,
                                        batch_first=True, dtype=torch.float64)
        with torch.no_grad():
            if ek == e and ev == e:
                m.in_proj_weight.copy_(torch.cat([T(w["w_q"]), T(w["w_k"]), T(w["w_v"])]))
            else:
                m.q_proj_weight.copy_(T(w["w_q"])), m.k_proj_weight.copy_(T(w["w_k"])), m.v_proj_weight.copy_(T(w["w_v"]))
            m.out_proj.weight.copy_(T(w["w_o"]))
            if bias:
                m.in_proj_bias.copy_(torch.cat([T(w["b_q"]), T(w["b_k"]), T(w["b_v"])]))
                m.out_proj.bias.copy_(T(w["b_o"]))
            if bias_kv:
                m.bias_k.copy_(T(w["bias_k"])), m.bias_v.copy_(T(w["bias_v"]))
        attn_mask = None
        if mask is not None or causal:
            allowed = torch.ones(tq, tk, dtype=torch.bool)
            if mask is not None:
                allowed = allowed & T(mask)
            if causal:
                allowed = allowed & allowed_keys(tq, tk, 1, causal)[0, 0]
            attn_mask = ~allowed
            if attn_mask.dim() == 3:   # ours [H,Tq,Tk], torch's [B·H,Tq,Tk]
                attn_mask = attn_mask.repeat(b, 1, 1)
        if add is not None:
            attn_mask = T(add) if attn_mask is None else T(add).masked_fill(attn_mask, -INF)
        padding = None if key_mask is None else ~T(key_mask)
        if padding is not None and attn_mask is not None and attn_mask.is_floating_point():
            padding = torch.zeros(padding.shape, dtype=torch.float64).masked_fill(padding, -INF)
        m.train()
        out, attn = m(T(query), T(key), T(value), key_padding_mask=padding, attn_mask=attn_mask, need_weights=True,
                      average_attn_weights=average)
        inputs = {"query": query, "key": None if self_attention else key, "value": None if self_attention else value,
                  "key_mask": key_mask, "mask": mask, "bias": add} | {k: v for k, v in w.items() if k not in drop}
        sets = {"heads": heads}
        if average:
            sets["average_weights"] = True
        if zero_key:
            sets["zero_key"] = True
        if causal:
            sets["causal"] = causal
        c.add(name, inputs, {"out": out, "weights": attn}, f"{TORCH} nn.MultiheadAttention", **sets)

    def formula(name, b, tq, tk, e, heads, kv_heads, d, dv, eo, key_mask=None, scale=None, bias=True, keep=("out", "weights"),
                **sets):
        w = weights(e, e, e, heads * d, eo, kv_heads * d, kv_heads * dv, bias=bias)
        w["w_o"] = c.normal(eo, heads * dv, scale=1 / math.sqrt(heads * dv))
        query, key = c.normal(b, tq, e), c.normal(b, tk, e)
        split = lambda x, h: x.unflatten(-1, (h, -1)).transpose(1, 2)
        project = lambda x, n: F.linear(T(x), T(w["w_" + n]), T(w.get("b_" + n)))
        allowed = allowed_keys(tq, tk, b, **{k: v for k, v in sets.items() if k == "causal"})
        if key_mask is not None:
            allowed = allowed & T(key_mask)[:, None, None]
        r = dot_product(split(project(query, "q"), heads), split(project(key, "k"), kv_heads),
                        split(project(key, "v"), kv_heads), allowed, scale=scale)
        out = F.linear(r["out"].transpose(1, 2).flatten(2), T(w["w_o"]), T(w.get("b_o")))
        values = {"out": out, "weights": r["weights"].mean(1) if sets.get("average_weights") else r["weights"]}
        if scale:
            sets["scale"] = scale
        c.add(name, {"query": query, "key": key, "key_mask": key_mask} | w, {k: values[k] for k in keep},
              f"{TORCH} F.linear, scaled_dot_product_attention, F.linear", heads=heads, kv_heads=kv_heads, **sets)

    peer_torch("plain", 2, 5, 7, 12, 3)
    peer_torch("self", 2, 6, 6, 10, 2, self_attention=True)
    peer_torch("self_causal_average", 1, 17, 17, 16, 4, self_attention=True, causal="top_left", average=True)
    peer_torch("no_projection_bias", 2, 5, 7, 12, 4, bias=False)
    peer_torch("only_some_biases", 2, 5, 7, 12, 4, drop=("b_k", "b_o"))
    peer_torch("other_widths", 2, 5, 7, 12, 3, ek=5, ev=7)
    keys = c.mask(2, 7)
    keys[:, 2] = 1
    peer_torch("key_mask", 2, 5, 7, 12, 3, key_mask=keys)
    peer_torch("key_mask_average", 2, 5, 7, 12, 3, key_mask=keys, average=True)
    some = c.mask(5, 7)
    some[:, 2] = 1
    peer_torch("mask_rank2", 2, 5, 7, 12, 3, mask=some)
    heads = c.mask(3, 5, 7)
    heads[:, :, 2] = 1
    peer_torch("mask_rank3_key_mask", 2, 5, 7, 12, 3, mask=heads, key_mask=keys)
    peer_torch("bias", 2, 5, 7, 12, 3, add=c.normal(5, 7), key_mask=keys)
    peer_torch("extra_key", 2, 5, 7, 12, 3, bias_kv=True)
    peer_torch("zero_key", 2, 5, 7, 12, 3, zero_key=True)
    peer_torch("extra_and_zero_key", 2, 5, 7, 12, 3, bias_kv=True, zero_key=True, key_mask=keys, average=True)
    peer_torch("extra_and_zero_key_causal", 1, 7, 7, 12, 2, bias_kv=True, zero_key=True, causal="top_left",
               self_attention=True, bias=False)
    peer_torch("one_of_all", 1, 1, 1, 1, 1)
    peer_torch("larger", 1, 33, 65, 64, 8)
    formula("grouped_bottom_right", 2, 5, 9, 8, 6, 2, 4, 4, 8, causal="bottom_right")
    formula("free_sizes_scale", 2, 5, 9, 11, 3, 3, 5, 7, 13, scale=0.6, average_weights=True)
    nothing = np.array([[1, 0, 1, 1, 0, 1, 1], [0] * 7], np.uint8)
    formula("no_key_left", 2, 5, 7, 8, 2, 2, 4, 4, 8, key_mask=nothing)

    def peer_keras(name, b, tq, tk, e, ek, ev, h, d, dv, eo, kv_heads=None, **sets):
        hkv = kv_heads or h
        query, key, value = c.normal(b, tq, e), c.normal(b, tk, ek), c.normal(b, tk, ev)
        s = lambda n: 1.5 / math.sqrt(n)
        kernels = {"query": c.normal(e, h, d, scale=s(e)), "key": c.normal(ek, hkv, d, scale=s(ek)),
                   "value": c.normal(ev, hkv, dv, scale=s(ev)), "attention_output": c.normal(h, dv, eo, scale=s(h * dv))}
        biases = {"query": c.normal(h, d), "key": c.normal(hkv, d), "value": c.normal(hkv, dv),
                  "attention_output": c.normal(eo)}
        if kv_heads:
            layer, what = keras.layers.GroupQueryAttention(d, h, kv_heads), "GroupQueryAttention"
        else:
            layer, what = keras.layers.MultiHeadAttention(h, d, value_dim=dv, output_shape=eo), "MultiHeadAttention"
        mask = c.mask(b, tq, tk)
        mask[:, :, 0] = 1
        call = lambda: layer(T(query), T(value), T(key), attention_mask=T(mask), return_attention_scores=True,
                             use_causal_mask="causal" in sets)
        call()
        for part in kernels:
            dense = getattr(layer, {"attention_output": "output_dense" if not kv_heads else "_output_dense"}.get(part, "")
                            or f"_{part}_dense", None)
            dense = dense or layer._output_dense
            dense.kernel.assign(kernels[part]), dense.bias.assign(biases[part])
        out, attn = call()
        w = {}
        for part, short in (("query", "q"), ("key", "k"), ("value", "v")):
            w["w_" + short] = np.ascontiguousarray(kernels[part].reshape(kernels[part].shape[0], -1).T)
            w["b_" + short] = biases[part].reshape(-1)
        w["w_o"], w["b_o"] = np.ascontiguousarray(kernels["attention_output"].reshape(-1, eo).T), biases["attention_output"]
        if kv_heads:
            sets["kv_heads"] = kv_heads
        c.add(name, {"query": query, "key": key, "value": value, "mask": mask[:, None]} | w, {"out": out, "weights": attn},
              f"{KERAS} layers.{what}", heads=h, **sets)

    peer_keras("keras", 2, 5, 7, 6, 5, 4, 3, 4, 5, 9)
    peer_keras("keras_causal", 2, 7, 7, 6, 6, 6, 2, 3, 3, 6, causal="top_left")
    peer_keras("keras_grouped", 2, 5, 7, 6, 5, 4, 6, 4, 4, 6, kv_heads=2)


# ---- text: the additive family -----------------------------------------------------------------------------------------

def additive(query, key, value, scale=None, bias=None, inner=1.0, allowed=None, query_mask=None):
    inside = query.unsqueeze(2) + key.unsqueeze(1)
    if bias is not None:
        inside = inside + bias
    scores = torch.tanh(inner * inside)
    unmasked = scores = (scores if scale is None else scores * scale).sum(-1)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -INF)
    weights, lse = softmax_rows(scores)
    out = weights @ value
    if query_mask is not None:
        out = torch.where(query_mask.unsqueeze(-1), out, 0.0)
    return {"out": out, "weights": weights, "lse": lse, "scores": unmasked}


@operation
def additive_attention(c):
    def case(name, b, tq, tk, d, dv=None, scale=True, bias=False, key_mask=None, query_mask=None, mask=None, causal=False,
             magnitude=1.0, spoil=False, keep=("out", "weights", "lse"), by_keras=True):
        query, value = c.normal(b, tq, d, scale=magnitude), c.normal(b, tk, dv or d, scale=1.0 if dv else magnitude)
        key = c.normal(b, tk, d, scale=magnitude) if dv else None
        weight, shift = c.normal(d) if scale else None, c.normal(d) if bias else None
        allowed = torch.ones(b, tq, tk, dtype=torch.bool)
        if key_mask is not None:
            allowed = allowed & T(key_mask).unsqueeze(1)
        if mask is not None:
            allowed = allowed & T(mask)
        if causal:
            allowed = allowed & allowed_keys(tq, tk, 1, "top_left")[0]
        values = additive(T(query), T(value if key is None else key), T(value), T(weight), T(shift), 1.0, allowed,
                          T(query_mask))
        peer = f"formula with {TORCH} primitives"
        if by_keras:
            assert mask is None and not bias and bool(allowed.any(-1).all()), name
            masks = [None if query_mask is None else T(query_mask), None if key_mask is None else T(key_mask)]
            tensors = [T(query), T(value)] + ([] if key is None else [T(key)])
            out, attn = keras_layer(keras.layers.AdditiveAttention(use_scale=scale), {"scale": weight} if scale else {},
                                    tensors, mask=masks, use_causal_mask=causal, return_attention_scores=True)
            agree(values["out"], out, name), agree(values["weights"], attn, name)
            values |= {"out": out, "weights": attn}
            peer = f"{KERAS} layers.AdditiveAttention (lse by formula)"
        if spoil:
            hidden = key_mask == 0
            value[hidden], (value if key is None else key)[hidden] = np.inf, np.nan
        c.add(name, {"query": query, "value": value, "key": key, "scale": weight, "bias": shift, "key_mask": key_mask,
                     "query_mask": query_mask, "mask": mask}, {k: values[k] for k in keep}, peer,
              **({"causal": True} if causal else {}))

    keys, rows = c.mask(2, 7), c.mask(2, 5)
    keys[:, 1] = 1
    case("plain", 2, 5, 7, 8)
    case("no_scale", 2, 5, 7, 8, scale=False)
    case("own_key", 2, 5, 7, 8, dv=3)
    case("key_mask", 2, 5, 7, 8, dv=8, key_mask=keys)
    case("query_mask", 2, 5, 7, 8, query_mask=rows)
    case("both_masks", 2, 5, 7, 8, dv=5, key_mask=keys, query_mask=rows, scale=False)
    case("causal", 2, 9, 9, 8, causal=True)
    case("causal_uneven", 2, 9, 6, 8, dv=8, causal=True)
    lead = c.mask(2, 17)
    lead[:, 0] = 1
    case("causal_key_mask", 2, 15, 17, 33, dv=17, causal=True, key_mask=lead)
    case("one_of_all", 1, 1, 1, 1)
    case("odd_sizes", 1, 17, 33, 59, dv=111)
    case("depth_5", 1, 16, 31, 5)
    case("decode", 2, 1, 239, 32, dv=32)
    case("keys_1025", 1, 2, 1025, 1, dv=1)
    case("magnitude_200", 2, 5, 17, 16, dv=16, magnitude=80.0)
    case("larger", 1, 65, 97, 96, keep=("out", "lse"))
    case("bias", 2, 5, 7, 8, dv=8, bias=True, by_keras=False)
    some = c.mask(2, 5, 7)
    some[1, 3] = 0
    case("mask_empty_row", 2, 5, 7, 8, mask=some, by_keras=False)
    none_left = keys.copy()
    none_left[0] = 0
    case("key_mask_none_left", 2, 5, 7, 8, dv=4, key_mask=none_left, by_keras=False)
    case("nan_behind_mask", 2, 5, 7, 8, dv=4, key_mask=keys, spoil=True)
    case("nan_behind_mask_shared", 2, 5, 7, 8, key_mask=keys, spoil=True)
    case("no_keys", 1, 3, 0, 4, dv=5, by_keras=False, keep=("out", "lse"))

    def concat(name, b, tq, tk, d, inner, outer, magnitude=1.0):
        query, value, key = c.normal(b, tq, d, scale=magnitude), c.normal(b, tk, d), c.normal(b, tk, d, scale=magnitude)
        inner, outer = np.float32(inner), np.float32(outer)
        use = inner != 1
        weights = {"concat_score_weight": outer} | ({"scale": inner} if use else {})
        layer = keras.layers.Attention(use_scale=use, score_mode="concat")
        out, attn = keras_layer(layer, weights, [T(query), T(value), T(key)], return_attention_scores=True)
        c.add(name, {"query": query, "value": value, "key": key, "scale": np.full(d, outer)}, {"out": out, "weights": attn},
              f"{KERAS} layers.Attention(score_mode='concat')", **({"inner_scale": float(inner)} if use else {}))

    concat("keras_concat", 2, 5, 7, 8, 1, 0.625)
    concat("keras_concat_inner_scale", 2, 5, 7, 8, 0.375, 1.75)
    concat("keras_concat_negative", 2, 5, 7, 9, -1.5, -0.5)


@operation
def bahdanau_attention(c):
    def case(name, b, tq, tk, s, n, a, key_mask=None, given=False, magnitude=1.0, spoil=False, by_keras=True,
             keep=("context", "weights", "projected")):
        state, annotations = c.normal(b, tq, s), c.normal(b, tk, n)
        w_a, u_a = c.normal(s, a, scale=magnitude / math.sqrt(s)), c.normal(n, a, scale=magnitude / math.sqrt(n))
        v_a = c.normal(a)
        projected = T(annotations) @ T(u_a)
        if given:
            projected = projected.float().double()
        allowed = None if key_mask is None else T(key_mask).unsqueeze(1)
        query = T(state) @ T(w_a)
        r = additive(query, projected, T(annotations), T(v_a), allowed=allowed)
        peer = f"formula with {TORCH} primitives"
        if by_keras:
            out, attn = keras_layer(keras.layers.AdditiveAttention(), {"scale": v_a}, [query, T(annotations), projected],
                                    mask=[None, None if key_mask is None else T(key_mask)], return_attention_scores=True)
            agree(r["out"], out, name), agree(r["weights"], attn, name)
            peer = f"{TORCH} matmul for both projections, {KERAS} layers.AdditiveAttention"
        values = {"context": r["out"], "weights": r["weights"], "projected": projected}
        inputs = {"state": state, "annotations": annotations, "w_a": w_a, "u_a": u_a, "v_a": v_a, "key_mask": key_mask}
        if given:
            inputs["projected"] = projected.float()
        if spoil:
            annotations[key_mask == 0] = np.nan
        c.add(name, inputs, {k: values[k] for k in keep}, peer)

    keys = c.mask(3, 7)
    keys[:, 0] = 1
    two = ("context", "weights")
    case("plain", 2, 1, 7, 6, 8, 5)
    case("several_queries", 2, 5, 7, 6, 8, 5)
    case("key_mask", 3, 4, 7, 5, 6, 9, key_mask=keys)
    case("given_projection", 3, 4, 7, 5, 6, 9, key_mask=keys, given=True, keep=two)
    empty = keys.copy()
    empty[1] = 0
    case("key_mask_none_left", 3, 4, 7, 5, 6, 9, key_mask=empty, by_keras=False)
    case("nan_behind_mask", 3, 4, 7, 5, 6, 9, key_mask=keys, spoil=True, keep=two)
    case("one_of_all", 1, 1, 1, 1, 1, 1)
    case("odd_sizes", 1, 3, 33, 17, 59, 31)
    case("saturated", 2, 2, 17, 16, 15, 16, magnitude=20.0)
    case("larger", 2, 5, 41, 48, 96, 64, keep=two)


@operation
def luong_attention(c):
    def case(name, b, tq, tk, d, n=None, a=None, score="dot", mode="global", dout=None, p=None, key_lengths=None, spoil=False,
             magnitude=1.0, positions=True, **sets):
        n = n or d
        target, source = c.normal(b, tq, d, scale=magnitude), c.normal(b, tk, n)
        t, s = T(target), T(source)
        inputs = {"target": target, "source": source}
        length = torch.full((b,), tk) if key_lengths is None else T(key_lengths)
        inputs["key_lengths"] = key_lengths
        allowed = (torch.arange(tk) < length.unsqueeze(1)).unsqueeze(1).expand(b, tq, tk)
        peer = f"formula with {TORCH} primitives"
        if score == "dot":
            query = t
        elif score == "general":
            inputs["w_a"] = c.normal(d, n, scale=1 / math.sqrt(d))
            query = t @ T(inputs["w_a"])
        else:
            inputs["w_a"], inputs["v_a"] = c.normal(a, d + n, scale=1 / math.sqrt(n)), c.normal(a)
            pair = torch.cat([t.unsqueeze(2).expand(b, tq, tk, d), s.unsqueeze(1).expand(b, tq, tk, n)], -1)
            scores = torch.tanh(F.linear(pair, T(inputs["w_a"]))) @ T(inputs["v_a"])
        if score != "concat":
            scores = query @ s.transpose(1, 2)
        window = sets.get("window", 10)
        outputs = {}
        if mode == "local_m":
            at = sets.get("first_step", 0) + torch.arange(tq).expand(b, tq)
            at = torch.minimum(at, (length - 1).unsqueeze(1)).double()
        elif mode == "local_p":
            inputs["w_p"], inputs["v_p"] = c.normal(p, d, scale=1 / math.sqrt(d)), c.normal(p)
            predicted = torch.sigmoid(torch.tanh(F.linear(t, T(inputs["w_p"]))) @ T(inputs["v_p"]))
            at = (length - 1).unsqueeze(1) * predicted
        keys = torch.arange(tk)
        if mode != "global":
            centre = at.floor().unsqueeze(-1)
            allowed = allowed & (keys >= centre - window) & (keys <= centre + window)
            if positions:
                outputs["positions"] = at
        weights, _ = softmax_rows(scores.masked_fill(~allowed, -INF))
        if mode == "local_p":
            weights = weights * torch.exp(-((keys - at.unsqueeze(-1)) ** 2) / (2 * (window / 2) ** 2))
        context = weights @ s
        if mode == "global" and bool((length > 0).all()):
            mask = [None, torch.arange(tk) < length.unsqueeze(1)]
            if score == "concat":
                w_a = T(inputs["w_a"])
                out, attn = keras_layer(keras.layers.AdditiveAttention(), {"scale": inputs["v_a"]},
                                        [F.linear(t, w_a[:, :d]), s, F.linear(s, w_a[:, d:])], mask=mask,
                                        return_attention_scores=True)
                peer = f"{TORCH} linear for both halves of w_a, {KERAS} layers.AdditiveAttention"
            else:
                out, attn = keras.layers.Attention()([query, s], mask=mask, return_attention_scores=True)
                peer = (f"{TORCH} matmul, " if score == "general" else "") + f"{KERAS} layers.Attention"
            agree(weights, attn, name), agree(context, out, name)
        outputs |= {"context": context, "weights": weights}
        if dout:
            inputs["w_c"] = c.normal(dout, n + d, scale=1 / math.sqrt(n + d))
            outputs["attentional"] = torch.tanh(F.linear(torch.cat([context, t], -1), T(inputs["w_c"])))
        if spoil:
            for batch, one in enumerate(key_lengths):
                source[batch, one:] = np.nan
        c.add(name, inputs, outputs, peer, score=score, mode=mode, **sets)

    lengths = lambda *n: np.array(n, np.int32)
    case("dot", 2, 5, 7, 8)
    case("dot_attentional", 2, 5, 7, 8, dout=6)
    case("dot_lengths", 3, 4, 7, 8, key_lengths=lengths(7, 4, 1), dout=3, spoil=True)
    case("dot_no_key_left", 3, 4, 7, 8, key_lengths=lengths(7, 0, 2), dout=3)
    case("general", 2, 5, 7, 8, n=6, score="general", dout=9)
    case("general_lengths", 2, 5, 17, 15, n=33, score="general", key_lengths=lengths(9, 17))
    case("concat", 2, 5, 7, 8, n=6, a=5, score="concat", dout=4)
    case("concat_lengths", 2, 3, 31, 16, n=17, a=59, score="concat", key_lengths=lengths(31, 13), spoil=True)
    case("local_m", 2, 9, 11, 8, mode="local_m", window=2, dout=5)
    case("local_m_beyond_source", 2, 9, 6, 8, mode="local_m", window=1, first_step=3, key_lengths=lengths(6, 4))
    case("local_m_window_0", 1, 4, 6, 8, n=5, score="general", mode="local_m", window=0)
    case("local_m_concat", 1, 5, 33, 7, n=9, a=5, score="concat", mode="local_m", first_step=7, dout=5)
    case("local_p", 2, 5, 31, 8, p=6, mode="local_p", dout=7)
    case("local_p_window_2", 2, 5, 17, 8, n=6, p=5, score="general", mode="local_p", window=2)
    case("local_p_window_1", 1, 9, 13, 8, p=5, mode="local_p", window=1)
    case("local_p_lengths", 3, 4, 19, 8, n=5, a=6, p=3, score="concat", mode="local_p", window=4,
         key_lengths=lengths(19, 8, 1), spoil=True, dout=5)
    case("local_p_no_key_left", 2, 3, 9, 8, p=3, mode="local_p", window=3, key_lengths=lengths(9, 0), positions=False, dout=4)
    case("local_m_no_key_left", 2, 3, 9, 8, mode="local_m", window=3, key_lengths=lengths(9, 0), positions=False, dout=4)
    case("one_of_all", 1, 1, 1, 1, dout=1)
    case("larger", 1, 33, 97, 64, n=48, score="general", dout=64)
    case("larger_local_p", 1, 17, 197, 32, p=32, mode="local_p", dout=32)


# ---- text: recurrent, tables -------------------------------------------------------------------------------------------

def recurrent_weights(c, gates, i, h, directions=None, bias=(True, True), scale=1.0):
    lead = (directions,) if directions else ()
    w = {"w_ih": c.normal(*lead, gates * h, i, scale=scale / math.sqrt(i)),
         "w_hh": c.normal(*lead, gates * h, h, scale=scale / math.sqrt(h))}
    for name, wanted in zip(("b_ih", "b_hh"), bias):
        if wanted:
            w[name] = c.normal(*lead, gates * h, scale=0.5)
    return w


def gru_weights(c, *sizes, **more):
    return recurrent_weights(c, 3, *sizes, **more)


def flip_update(value):
    """z block (the second third) negated: σ(-x) = 1 - σ(x), which turns keep=old weights into keep=new ones."""
    value = value.clone()
    third = value.shape[0] // 3
    value[third:2 * third] *= -1
    return value


def gru_parts(w, keep, direction=None):
    """The four tensors in double precision for a peer whose z keeps the old state; absent biases are 0."""
    pick = lambda value: value if direction is None else value[direction]
    rows = w["w_ih"].shape[-2]
    parts = [T(pick(w[n])) if n in w else torch.zeros(rows, dtype=torch.float64) for n in ("w_ih", "w_hh", "b_ih", "b_hh")]
    return [flip_update(p) for p in parts] if keep == "new" else parts


def keras_gru_weights(w, reset, keep, direction=None):
    """kernel, recurrent_kernel, bias of Keras' GRU, whose gates stand in the order z, r, h."""
    def order(value):
        r, z, n = value.chunk(3, 0)
        return torch.cat([z, r, n], 0)
    w_ih, w_hh, b_ih, b_hh = (order(p) for p in gru_parts(w, keep, direction))
    bias = torch.stack([b_ih, b_hh]) if reset == "after" else b_ih + b_hh
    return [w_ih.T.numpy(), w_hh.T.numpy(), bias.numpy()]


def gru_sets(reset, keep):
    return ({} if reset == "after" else {"reset": reset}) | ({} if keep == "old" else {"keep": keep})


KEEP_NEW = ", z weights negated for keep=new"


@operation
def gru(c):
    def by_torch(name, b, t, i, h, bidirectional=False, lengths=None, start=False, bias=(True, True), keep="old",
                 magnitude=1.0, spoil=False):
        directions = 2 if bidirectional else None
        x = c.normal(b, t, i, scale=magnitude)
        w = gru_weights(c, i, h, directions, bias)
        h0 = c.normal(directions or 1, b, h, scale=0.5) if start else None
        m = torch.nn.GRU(i, h, batch_first=True, bidirectional=bidirectional, dtype=torch.float64)
        for d in range(directions or 1):
            for key, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"),
                                  gru_parts(w, keep, d if bidirectional else None)):
                getattr(m, f"{key}_l0" + ("_reverse" if d else "")).copy_(value)
        begin = torch.zeros(directions or 1, b, h, dtype=torch.float64) if h0 is None else T(h0)
        if lengths is None:
            out, h_n = m(T(x), begin)
        else:   # torch packs no empty sequence: out stays 0, the state what it was
            out, h_n = torch.zeros(b, t, h * (directions or 1), dtype=torch.float64), begin.clone()
            live = [k for k in range(b) if lengths[k]]
            packed = torch.nn.utils.rnn.pack_padded_sequence(T(x)[live], [int(lengths[k]) for k in live], batch_first=True,
                                                             enforce_sorted=False)
            o, n = m(packed, begin[:, live])
            out[live] = torch.nn.utils.rnn.pad_packed_sequence(o, batch_first=True, total_length=t)[0]
            h_n[:, live] = n
        if spoil:
            for batch, one in enumerate(lengths):
                x[batch, one:] = np.nan
        c.add(name, {"x": x, "h0": h0, "lengths": lengths} | w, {"out": out, "h_n": h_n},
              f"{TORCH} nn.GRU" + (" on a packed sequence" if lengths is not None else "") + (KEEP_NEW if keep == "new" else ""),
              **({"bidirectional": True} if bidirectional else {}), **gru_sets("after", keep))

    def by_keras(name, b, t, i, h, reset, keep, bidirectional=False, start=False, bias=(True, True)):
        directions = 2 if bidirectional else None
        x = c.normal(b, t, i)
        w = gru_weights(c, i, h, directions, bias)
        h0 = c.normal(directions or 1, b, h, scale=0.5) if start else None
        outs, states = [], []
        for d in range(directions or 1):
            layer = keras.layers.GRU(h, reset_after=reset == "after", return_sequences=True, return_state=True)
            sequence = T(x).flip(1) if d else T(x)
            begin = None if h0 is None else T(h0)[d]
            layer(sequence)
            layer.set_weights(keras_gru_weights(w, reset, keep, d if bidirectional else None))
            out, state = layer(sequence, initial_state=begin)
            outs.append(out.flip(1) if d else out)
            states.append(state)
        c.add(name, {"x": x, "h0": h0} | w, {"out": torch.cat(outs, -1), "h_n": torch.stack(states)},
              f"{KERAS} layers.GRU(reset_after={reset == 'after'})" + (KEEP_NEW if keep == "new" else ""),
              **({"bidirectional": True} if bidirectional else {}), **gru_sets(reset, keep))

    lengths = lambda *n: np.array(n, np.int32)
    by_torch("plain", 2, 5, 6, 8)
    by_torch("no_bias", 2, 5, 6, 8, bias=(False, False))
    by_torch("only_b_ih", 2, 5, 6, 8, bias=(True, False))
    by_torch("only_b_hh", 2, 5, 6, 8, bias=(False, True))
    by_torch("start_state", 3, 4, 5, 7, start=True)
    by_torch("bidirectional", 2, 7, 5, 6, bidirectional=True)
    by_torch("lengths", 4, 7, 5, 6, lengths=lengths(7, 3, 1, 5), start=True, spoil=True)
    by_torch("bidirectional_lengths", 4, 7, 5, 6, bidirectional=True, lengths=lengths(2, 7, 1, 4), start=True, spoil=True)
    by_torch("length_0", 3, 5, 4, 6, bidirectional=True, lengths=lengths(5, 0, 2), start=True)
    by_torch("length_0_no_start", 2, 4, 3, 5, lengths=lengths(0, 4))
    by_torch("keep_new", 2, 5, 6, 8, keep="new", start=True)
    by_torch("one_of_all", 1, 1, 1, 1, start=True)
    by_torch("odd_sizes", 3, 13, 59, 17, bidirectional=True)
    by_torch("saturated", 2, 6, 8, 8, magnitude=30.0)
    by_torch("larger", 4, 33, 48, 65, lengths=lengths(33, 17, 32, 1))
    by_keras("keras_reset_after", 2, 5, 6, 8, "after", "old")
    by_keras("reset_before", 2, 5, 6, 8, "before", "old", start=True)
    by_keras("bahdanau", 2, 5, 6, 8, "before", "new", start=True)
    by_keras("bahdanau_bidirectional", 2, 9, 7, 11, "before", "new", bidirectional=True, start=True, bias=(True, False))
    by_keras("bahdanau_larger", 3, 17, 33, 48, "before", "new", bidirectional=True)


@operation
def gru_cell(c):
    def case(name, b, i, h, reset="after", keep="old", bias=(True, True), scale=1.0):
        x, state = c.normal(b, i), c.normal(b, h, scale=0.5)
        w = gru_weights(c, i, h, bias=bias, scale=scale)
        if reset == "after":
            out = torch.gru_cell(T(x), T(state), *gru_parts(w, keep))
            peer = f"{TORCH} gru_cell"
        else:
            layer = keras.layers.GRUCell(h, reset_after=False)
            layer(T(x), [T(state)])
            layer.set_weights(keras_gru_weights(w, reset, keep))
            out, peer = layer(T(x), [T(state)])[0], f"{KERAS} layers.GRUCell(reset_after=False)"
        c.add(name, {"x": x, "h": state} | w, {"h": out}, peer + (KEEP_NEW if keep == "new" else ""), **gru_sets(reset, keep))

    case("plain", 3, 6, 8)
    case("no_bias", 3, 6, 8, bias=(False, False))
    case("only_b_hh", 3, 6, 8, bias=(False, True))
    case("keep_new", 3, 6, 8, keep="new")
    case("reset_before", 3, 6, 8, reset="before")
    case("bahdanau", 3, 6, 8, reset="before", keep="new")
    case("bahdanau_no_bias", 3, 6, 8, reset="before", keep="new", bias=(False, False))
    case("one_of_all", 1, 1, 1)
    case("odd_sizes", 17, 59, 31)
    case("bahdanau_odd_sizes", 5, 33, 17, reset="before", keep="new")
    case("saturated", 2, 8, 8, scale=10.0)
    case("larger", 16, 48, 64)
    case("bahdanau_larger", 9, 64, 33, reset="before", keep="new")


@operation
def lstm(c):
    def case(name, b, t, i, h, bidirectional=False, lengths=None, start=False, bias=(True, True), magnitude=1.0, spoil=False):
        directions = 2 if bidirectional else None
        x, w = c.normal(b, t, i, scale=magnitude), recurrent_weights(c, 4, i, h, directions, bias)
        h0, c0 = (c.normal(directions or 1, b, h, scale=0.5) if start else None for _ in range(2))
        m = torch.nn.LSTM(i, h, batch_first=True, bidirectional=bidirectional, dtype=torch.float64)
        for d in range(directions or 1):
            for key, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), gru_parts(w, "old", d if bidirectional else None)):
                getattr(m, f"{key}_l0" + ("_reverse" if d else "")).copy_(value)
        begin = [torch.zeros(directions or 1, b, h, dtype=torch.float64) if one is None else T(one) for one in (h0, c0)]
        if lengths is None:
            out, (h_n, c_n) = m(T(x), tuple(begin))
        else:   # torch packs no empty sequence: out stays 0, state and cell what they were
            out, h_n, c_n = torch.zeros(b, t, h * (directions or 1), dtype=torch.float64), begin[0].clone(), begin[1].clone()
            live = [k for k in range(b) if lengths[k]]
            packed = torch.nn.utils.rnn.pack_padded_sequence(T(x)[live], [int(lengths[k]) for k in live], batch_first=True,
                                                             enforce_sorted=False)
            o, (last_h, last_c) = m(packed, tuple(one[:, live].contiguous() for one in begin))
            out[live] = torch.nn.utils.rnn.pad_packed_sequence(o, batch_first=True, total_length=t)[0]
            h_n[:, live], c_n[:, live] = last_h, last_c
        if spoil:
            for batch, one in enumerate(lengths):
                x[batch, one:] = np.nan
        c.add(name, {"x": x, "h0": h0, "c0": c0, "lengths": lengths} | w, {"out": out, "h_n": h_n, "c_n": c_n},
              f"{TORCH} nn.LSTM" + (" on a packed sequence" if lengths is not None else ""),
              **({"bidirectional": True} if bidirectional else {}))

    lengths = lambda *n: np.array(n, np.int32)
    case("plain", 2, 5, 6, 8)
    case("no_bias", 2, 5, 6, 8, bias=(False, False))
    case("only_b_ih", 2, 5, 6, 8, bias=(True, False))
    case("only_b_hh", 2, 5, 6, 8, bias=(False, True))
    case("start_state", 3, 4, 5, 7, start=True)
    case("bidirectional", 2, 7, 5, 6, bidirectional=True)
    case("lengths", 4, 7, 5, 6, lengths=lengths(7, 3, 1, 5), start=True, spoil=True)
    case("bidirectional_lengths", 4, 7, 5, 6, bidirectional=True, lengths=lengths(2, 7, 1, 4), start=True, spoil=True)
    case("length_0", 3, 5, 4, 6, bidirectional=True, lengths=lengths(5, 0, 2), start=True)
    case("one_of_all", 1, 1, 1, 1, start=True)
    case("odd_sizes", 3, 13, 59, 17, bidirectional=True)
    case("saturated", 2, 6, 8, 8, magnitude=30.0)
    case("larger", 4, 33, 48, 65, lengths=lengths(33, 17, 32, 1))


@operation
def lstm_cell(c):
    def case(name, b, i, h, bias=(True, True), scale=1.0):
        x, state, cell = c.normal(b, i), c.normal(b, h, scale=0.5), c.normal(b, h)
        w = recurrent_weights(c, 4, i, h, bias=bias, scale=scale)
        next_h, next_c = torch.lstm_cell(T(x), [T(state), T(cell)], *gru_parts(w, "old"))
        c.add(name, {"x": x, "h": state, "c": cell} | w, {"h": next_h, "c": next_c}, f"{TORCH} lstm_cell")

    case("plain", 3, 6, 8)
    case("no_bias", 3, 6, 8, bias=(False, False))
    case("only_b_hh", 3, 6, 8, bias=(False, True))
    case("one_of_all", 1, 1, 1)
    case("odd_sizes", 17, 59, 31)
    case("saturated", 2, 8, 8, scale=10.0)
    case("larger", 16, 48, 64)


@operation
def embedding(c):
    def case(name, v, e, *shape, **sets):
        table, ids = c.normal(v, e), c.ids(v, *shape)
        ids.flat[0], ids.flat[-1] = v - 1, 0
        out = F.embedding(T(ids), T(table), **({"padding_idx": sets["padding_id"]} if sets else {}))
        c.add(name, {"table": table, "ids": ids}, {"out": out}, f"{TORCH} embedding", **sets)

    case("plain", 11, 8, 7)
    case("rank2", 11, 8, 3, 5)
    case("rank3", 5, 3, 2, 3, 4)
    case("padding_id", 11, 8, 3, 5, padding_id=0)
    case("one_of_all", 1, 1, 1)
    case("odd_width", 31, 59, 17)
    case("larger", 257, 64, 4, 33)


# ---- vision ------------------------------------------------------------------------------------------------------------

@operation
def squeeze_excite(c):
    def case(name, b, ch, h, w, r, bias=True, **sets):
        x, w1, w2 = c.normal(b, ch, h, w), c.normal(r, ch), c.normal(ch, r)
        b1, b2 = (c.normal(r), c.normal(ch)) if bias else (None, None)
        # torchvision.ops.SqueezeExcitation
        scale = F.adaptive_avg_pool2d(T(x), 1)
        scale = ACTIVATIONS[sets.get("activation", "relu")](F.conv2d(scale, T(w1)[..., None, None], T(b1)))
        gate = ACTIVATIONS[sets.get("gate", "sigmoid")](F.conv2d(scale, T(w2)[..., None, None], T(b2)))
        c.add(name, {"x": x, "w1": w1, "b1": b1, "w2": w2, "b2": b2}, {"out": gate * T(x), "gate": gate[:, :, 0, 0]},
              f"{TORCH} primitives as in torchvision.ops.SqueezeExcitation", **sets)

    case("plain", 2, 8, 5, 7, 4)
    case("no_bias", 2, 8, 5, 7, 4, bias=False)
    case("hard_sigmoid", 2, 8, 5, 7, 4, gate="hard_sigmoid")
    case("silu", 2, 8, 5, 7, 4, activation="silu")
    case("gelu_hard_sigmoid", 2, 9, 3, 3, 5, activation="gelu", gate="hard_sigmoid")
    case("no_activation", 2, 6, 3, 5, 2, activation="none")
    case("one_of_all", 1, 1, 1, 1, 1)
    case("one_pixel", 3, 17, 1, 1, 5)
    case("odd_sizes", 1, 31, 17, 13, 7)
    case("wide_hidden", 2, 5, 4, 6, 19)
    case("larger", 1, 64, 14, 14, 16)


def channel_gate(x, w1, b1, w2, b2, pools):
    """ChannelGate of github.com/Jongchan/attention-module (the authors' code)."""
    total = 0
    for kind in pools.split("+"):
        if kind == "lse":
            top = x.flatten(2).amax(2, keepdim=True)
            pooled = (top + (x.flatten(2) - top).exp().sum(2, keepdim=True).log()).flatten(1)
        elif kind == "lp":
            pooled = F.lp_pool2d(x, 2, x.shape[2:], stride=x.shape[2:]).flatten(1)
        else:
            pool = F.avg_pool2d if kind == "avg" else F.max_pool2d
            pooled = pool(x, x.shape[2:], stride=x.shape[2:]).flatten(1)
        total = total + F.linear(F.relu(F.linear(pooled, w1, b1)), w2, b2)
    return torch.sigmoid(total)


def spatial_gate(x, weight, gamma, beta, mean, var, order, eps):
    """SpatialGate of the same; order=mean_max is timm's."""
    pair = [x.amax(1, keepdim=True), x.mean(1, keepdim=True)]
    maps = torch.cat(pair if order == "max_mean" else pair[::-1], 1)
    maps = F.conv2d(maps, weight, padding=weight.shape[-1] // 2)
    if mean is not None:
        maps = F.batch_norm(maps, mean, var, gamma, beta, eps=eps)
    return torch.sigmoid(maps)


def spatial_inputs(c, k, norm, affine=True):
    s = {"weight": c.normal(1, 2, k, k, scale=2 / k)}
    if norm:
        s |= {"mean": c.normal(1, scale=0.3), "var": c.uniform(0.3, 2, 1)}
        if affine:
            s |= {"gamma": c.uniform(0.5, 2, 1), "beta": c.normal(1)}
    return s


@operation
def channel_attention(c):
    def case(name, b, ch, h, w, r, bias=True, **sets):
        i = {"x": c.normal(b, ch, h, w), "w1": c.normal(r, ch), "w2": c.normal(ch, r)}
        i |= {"b1": c.normal(r), "b2": c.normal(ch)} if bias else {}
        gate = channel_gate(*(T(i.get(k)) for k in ("x", "w1", "b1", "w2", "b2")), sets.get("pools", "avg+max"))
        c.add(name, i, {"out": T(i["x"]) * gate[..., None, None], "gate": gate},
              f"{TORCH} primitives as in Jongchan/attention-module ChannelGate", **sets)

    case("plain", 2, 8, 5, 7, 4)
    case("no_bias", 2, 8, 5, 7, 4, bias=False)
    case("avg", 2, 8, 5, 7, 4, pools="avg")
    case("max", 2, 8, 5, 7, 4, pools="max")
    case("max_avg", 2, 8, 5, 7, 4, pools="max+avg")
    case("one_of_all", 1, 1, 1, 1, 1)
    case("one_pixel", 3, 17, 1, 1, 2)
    case("odd_sizes", 1, 31, 17, 13, 3)
    case("larger", 1, 64, 14, 14, 4)
    case("lp", 2, 8, 5, 7, 4, pools="lp")
    case("lse", 2, 8, 5, 7, 4, pools="lse")
    case("all_pools", 2, 8, 5, 7, 4, pools="avg+max+lp+lse")
    case("lse_avg_no_bias", 3, 9, 4, 5, 2, bias=False, pools="lse+avg")


@operation
def spatial_attention(c):
    def case(name, b, ch, h, w, k=7, norm=True, affine=True, **sets):
        i = {"x": c.normal(b, ch, h, w)} | spatial_inputs(c, k, norm, affine)
        gate = spatial_gate(*(T(i.get(n)) for n in ("x", "weight", "gamma", "beta", "mean", "var")),
                            sets.get("order", "max_mean"), sets.get("eps", 1e-5))
        c.add(name, i, {"out": T(i["x"]) * gate, "gate": gate},
              f"{TORCH} primitives as in Jongchan/attention-module SpatialGate", **sets)

    case("plain", 2, 8, 9, 11)
    case("no_norm", 2, 8, 9, 11, norm=False)
    case("mean_max", 2, 8, 9, 11, order="mean_max")
    case("mean_max_no_norm", 2, 8, 9, 11, norm=False, order="mean_max")
    case("no_affine", 2, 8, 9, 11, affine=False)
    case("eps", 2, 8, 9, 11, eps=0.05)
    case("kernel_3", 2, 5, 7, 6, k=3)
    case("kernel_1", 1, 3, 5, 4, k=1, norm=False)
    case("smaller_than_kernel", 2, 4, 2, 3)
    case("one_of_all", 1, 1, 1, 1)
    case("odd_sizes", 1, 17, 31, 15)
    case("larger", 1, 16, 28, 28)


@operation
def cbam(c):
    def case(name, b, ch, h, w, r, k=7, norm=True, bias=True, **sets):
        i = {"x": c.normal(b, ch, h, w), "w1": c.normal(r, ch), "w2": c.normal(ch, r)}
        i |= {"b1": c.normal(r), "b2": c.normal(ch)} if bias else {}
        spatial = sets.get("spatial", True)
        if spatial:
            i |= spatial_inputs(c, k, norm)
        gate = channel_gate(*(T(i.get(n)) for n in ("x", "w1", "b1", "w2", "b2")), sets.get("pools", "avg+max"))
        out, outputs = T(i["x"]) * gate[..., None, None], {"channel_gate": gate}
        if spatial:
            where = spatial_gate(out, *(T(i.get(n)) for n in ("weight", "gamma", "beta", "mean", "var")),
                                 sets.get("order", "max_mean"), sets.get("eps", 1e-5))
            out, outputs["spatial_gate"] = out * where, where
        c.add(name, i, {"out": out} | outputs, f"{TORCH} primitives as in Jongchan/attention-module CBAM", **sets)

    case("plain", 2, 8, 9, 11, 2)
    case("no_spatial", 2, 8, 9, 11, 2, spatial=False)
    case("no_norm", 2, 8, 9, 11, 2, norm=False)
    case("timm", 2, 8, 9, 11, 2, bias=False, order="mean_max")
    case("avg_only", 2, 8, 9, 11, 2, pools="avg")
    case("max_only_eps", 2, 8, 9, 11, 2, pools="max", eps=0.01)
    case("kernel_3", 2, 5, 6, 7, 3, k=3)
    case("one_of_all", 1, 1, 1, 1, 1)
    case("one_pixel", 2, 17, 1, 1, 1)
    case("odd_sizes", 1, 31, 17, 13, 2)
    case("larger", 1, 64, 14, 14, 4)
    case("larger_picture", 1, 8, 28, 28, 2)


@operation
def efficient_channel_attention(c):
    def case(name, b, ch, h, w, k):
        x, weight = c.normal(b, ch, h, w), c.normal(1, 1, k)
        gate = torch.sigmoid(F.conv1d(F.adaptive_avg_pool2d(T(x), 1)[:, :, :, 0].transpose(1, 2), T(weight), padding=k // 2))[:, 0]
        c.add(name, {"x": x, "weight": weight}, {"out": T(x) * gate[..., None, None], "gate": gate},
              f"{TORCH} primitives as in BangguWu/ECANet eca_layer")

    case("plain", 2, 8, 5, 7, 3)
    case("kernel_1", 2, 8, 5, 7, 1)
    case("kernel_5", 1, 16, 4, 6, 5)
    case("kernel_larger_than_channels", 2, 3, 4, 5, 9)
    case("one_of_all", 1, 1, 1, 1, 1)
    case("one_pixel", 3, 17, 1, 1, 3)
    case("larger", 1, 64, 14, 13, 5)


@operation
def conv2d(c):
    def case(name, b, ch, h, w, o, kh, kw, groups=1, bias=True, stride=1, padding=0, dilation=1, activation=None):
        x, weight = c.normal(b, ch, h, w), c.normal(o, ch // groups, kh, kw, scale=1 / math.sqrt(kh * kw * ch / groups))
        shift = c.normal(o) if bias else None
        sets = {k: v for k, v, d in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1),
                                     ("groups", groups, 1), ("activation", activation, None)) if v != d}
        padded, pad = T(x), padding
        if isinstance(padding, tuple) and len(padding) == 4:
            top, left, bottom, right = padding
            padded, pad = F.pad(padded, (left, right, top, bottom)), 0
        out = F.conv2d(padded, T(weight), T(shift), stride=stride, padding=pad, dilation=dilation, groups=groups)
        c.add(name, {"x": x, "weight": weight, "bias": shift}, {"out": ACTIVATIONS[activation or "none"](out)},
              f"{TORCH} conv2d" + (f", {activation}" if activation else ""), **sets)

    case("plain", 2, 3, 7, 9, 5, 3, 3)
    case("same_no_bias", 2, 3, 7, 9, 5, 3, 3, bias=False, padding=1)
    case("stride", 2, 3, 9, 11, 4, 3, 3, stride=2, padding=1)
    case("stride_each", 1, 3, 9, 11, 4, 3, 2, stride=(2, 3))
    case("padding_each", 1, 3, 6, 5, 4, 3, 5, padding=(1, 2))
    case("padding_four", 1, 3, 6, 5, 4, 3, 3, padding=(0, 1, 2, 3), stride=(2, 1))
    case("dilation", 1, 3, 11, 12, 4, 3, 3, dilation=2, padding=2)
    case("dilation_each", 1, 2, 11, 12, 3, 3, 2, dilation=(3, 2))
    case("groups", 2, 6, 7, 5, 9, 3, 3, groups=3, padding=1)
    case("depthwise", 2, 7, 9, 8, 7, 3, 3, groups=7, padding=1)
    case("depthwise_twice", 1, 5, 9, 8, 10, 5, 5, groups=5, padding=2, stride=2)
    case("pointwise", 2, 17, 5, 7, 11, 1, 1)
    case("pointwise_stride", 2, 5, 5, 7, 6, 1, 1, stride=2, bias=False)
    case("relu", 1, 3, 7, 9, 5, 3, 3, activation="relu", padding=1)
    case("silu", 1, 3, 7, 9, 5, 3, 3, activation="silu")
    case("leaky_relu", 1, 3, 7, 9, 5, 3, 3, activation="leaky_relu")
    case("kernel_7", 1, 2, 15, 17, 3, 7, 7, padding=3)
    case("kernel_5_1", 1, 3, 9, 8, 4, 5, 1)
    case("larger_than_picture", 1, 2, 2, 3, 3, 5, 5, padding=2)
    case("one_of_all", 1, 1, 1, 1, 1, 1, 1)
    case("odd_sizes", 1, 17, 13, 31, 15, 3, 3, padding=1)
    case("first_layer", 1, 1, 28, 28, 16, 3, 3, padding=1, activation="relu")
    case("larger", 1, 33, 14, 15, 48, 3, 3, padding=1)


@operation
def conv_transpose2d(c):
    def case(name, b, ch, h, w, o, kh, kw, groups=1, bias=True, stride=1, padding=0, output_padding=0, dilation=1):
        x, weight = c.normal(b, ch, h, w), c.normal(ch, o // groups, kh, kw, scale=1 / math.sqrt(kh * kw * ch / groups))
        shift = c.normal(o) if bias else None
        sets = {k: v for k, v, d in (("stride", stride, 1), ("padding", padding, 0), ("output_padding", output_padding, 0),
                                     ("dilation", dilation, 1), ("groups", groups, 1)) if v != d}
        out = F.conv_transpose2d(T(x), T(weight), T(shift), stride, padding, output_padding, groups, dilation)
        c.add(name, {"x": x, "weight": weight, "bias": shift}, {"out": out}, f"{TORCH} conv_transpose2d", **sets)

    case("plain", 2, 3, 5, 7, 4, 3, 3)
    case("no_bias", 2, 3, 5, 7, 4, 3, 3, bias=False, padding=1)
    case("double", 2, 6, 5, 7, 3, 2, 2, stride=2)
    case("double_3", 1, 3, 5, 7, 4, 3, 3, stride=2, padding=1, output_padding=1)
    case("each", 1, 3, 5, 6, 4, 3, 2, stride=(2, 3), padding=(1, 0), output_padding=(1, 2))
    case("dilation", 1, 3, 5, 7, 2, 3, 3, dilation=2, padding=1, output_padding=1)
    case("dilation_stride", 1, 2, 5, 4, 3, 3, 2, stride=3, dilation=(2, 4), padding=2)
    case("groups", 2, 6, 5, 4, 9, 3, 3, groups=3, stride=2)
    case("depthwise", 1, 5, 6, 7, 5, 4, 4, groups=5, stride=2, padding=1)
    case("holes", 1, 2, 4, 5, 3, 1, 1, stride=3, output_padding=2)
    case("one_of_all", 1, 1, 1, 1, 1, 1, 1)
    case("larger", 1, 17, 13, 19, 11, 4, 4, stride=2, padding=1)


@operation
def pixel_shuffle(c):
    def case(name, b, ch, h, w, block, mode=None):
        x = c.normal(b, ch, h, w)
        if mode == "dcr":
            parts = T(x).reshape(b, block, block, ch // block ** 2, h, w).permute(0, 3, 4, 1, 5, 2)
            out, peer = parts.reshape(b, ch // block ** 2, h * block, w * block), f"{TORCH} primitives as in ONNX DepthToSpace"
        else:
            out, peer = F.pixel_shuffle(T(x), block), f"{TORCH} pixel_shuffle"
        c.add(name, {"x": x}, {"out": out}, peer, block=block, **({"mode": mode} if mode else {}))

    case("plain", 2, 12, 5, 7, 2)
    case("dcr", 2, 12, 5, 7, 2, "dcr")
    case("crd", 2, 18, 3, 4, 3, "crd")
    case("dcr_3", 1, 18, 3, 4, 3, "dcr")
    case("block_1", 2, 3, 4, 5, 1)
    case("one_of_all", 1, 1, 1, 1, 1)
    case("one_pixel", 1, 16, 1, 1, 4)
    case("larger", 1, 36, 13, 17, 3)


@operation
def resize2d(c):
    names = {"linear": "bilinear", "cubic": "bicubic"}

    def case(name, x, mode=None, coordinates=None, size=None, scale=None):
        kind = names.get(mode, "nearest")
        options = {} if kind == "nearest" else {"align_corners": coordinates == "align_corners"}
        out = F.interpolate(T(x), size=size, scale_factor=scale, mode=kind, **options)
        sets = {"size": size, "scale": scale, "mode": mode, "coordinates": coordinates}
        c.add(name, {"x": x}, {"out": out}, f"{TORCH} interpolate {kind}", **{k: v for k, v in sets.items() if v is not None})

    for mode in ("nearest", "linear", "cubic"):
        case(f"{mode}_double", c.normal(2, 3, 5, 7), mode, scale=2.0)
        case(f"{mode}_up", c.normal(1, 3, 5, 7), mode, size=(13, 20))
        case(f"{mode}_down", c.normal(1, 3, 13, 20), mode, size=(5, 7))
        case(f"{mode}_scale", c.normal(1, 3, 11, 10), mode, scale=(1.7, 0.7))
        case(f"{mode}_scale_each", c.normal(1, 2, 10, 9), mode, scale=(0.3, 3.3))
        case(f"{mode}_one_pixel", c.normal(1, 3, 1, 1), mode, size=(3, 4))
        case(f"{mode}_to_one_pixel", c.normal(1, 3, 5, 4), mode, size=1)
        case(f"{mode}_same", c.normal(1, 3, 5, 4), mode, size=(5, 4))
    for mode in ("linear", "cubic"):
        case(f"{mode}_corners_up", c.normal(1, 3, 5, 7), mode, "align_corners", size=(13, 20))
        case(f"{mode}_corners_down", c.normal(1, 3, 13, 20), mode, "align_corners", size=(5, 7))
        case(f"{mode}_corners_scale", c.normal(1, 3, 11, 10), mode, "align_corners", scale=(1.7, 0.7))
        case(f"{mode}_corners_one", c.normal(1, 3, 4, 5), mode, "align_corners", size=(1, 9))
        case(f"{mode}_half_pixel", c.normal(1, 2, 6, 5), mode, "half_pixel", scale=1.5)
    case("default", c.normal(2, 3, 4, 5), size=(7, 11))
    case("nearest_asymmetric", c.normal(2, 3, 4, 5), "nearest", "asymmetric", size=(7, 11))
    case("larger", c.normal(1, 4, 33, 31), "linear", size=(70, 45))


def pool_sets(kernel, stride, **others):
    sets = {"kernel": kernel}
    if stride is not None:
        sets["stride"] = stride
    return sets | {k: v for k, (v, default) in others.items() if v != default}


@operation
def max_pool2d(c):
    def case(name, x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, indices=True):
        out, at = F.max_pool2d(T(x), kernel, stride, padding, dilation, ceil_mode, return_indices=True)
        c.add(name, {"x": x}, {"out": out, "indices": at if indices else None}, f"{TORCH} max_pool2d",
              **pool_sets(kernel, stride, padding=(padding, 0), dilation=(dilation, 1), ceil_mode=(ceil_mode, False)))

    case("plain", c.normal(2, 3, 6, 8), 2)
    case("left_over", c.normal(2, 3, 7, 9), 2)
    case("overlapping", c.normal(2, 3, 9, 11), 3, 2, 1)
    case("stride_1", c.normal(1, 3, 7, 5), 3, 1, 1)
    case("each", c.normal(1, 3, 9, 11), (3, 2), (2, 1), (1, 0))
    case("dilation", c.normal(1, 3, 11, 12), 3, 1, 1, 2)
    case("dilation_each", c.normal(1, 2, 11, 12), (2, 3), (1, 2), (0, 1), (3, 2))
    case("ceil_mode", c.normal(2, 3, 7, 9), 2, 2, ceil_mode=True)
    case("ceil_mode_padding", c.normal(2, 3, 6, 8), 3, 2, 1, ceil_mode=True)
    case("ceil_mode_last_window_dropped", c.normal(1, 2, 5, 5), 2, 4, 1, ceil_mode=True)
    case("ceil_mode_dilation", c.normal(1, 2, 10, 9), 2, 3, 1, 3, ceil_mode=True)
    case("ties", c.ids(3, 1, 2, 9, 9).astype(np.float32), 3, 2)
    case("all_negative", -np.abs(c.normal(1, 2, 6, 6)) - 1, 3, 2, 1)
    case("whole_picture", c.normal(2, 3, 5, 7), (5, 7))
    case("one_of_all", c.normal(1, 1, 1, 1), 1)
    spoiled = c.normal(1, 2, 7, 7)
    spoiled[0, 0, 3, 3], spoiled[0, 1, 0, 0], spoiled[0, 1, 5, 5] = np.nan, -INF, INF
    case("nan_and_inf", spoiled, 3, 2, indices=False)
    case("minus_inf", np.full((1, 1, 4, 4), -INF, np.float32), 2, indices=False)
    case("larger", c.normal(1, 16, 28, 31), 3, 2, 1)


@operation
def avg_pool2d(c):
    def case(name, x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        out = F.avg_pool2d(T(x), kernel, stride, padding, ceil_mode, count_include_pad)
        c.add(name, {"x": x}, {"out": out}, f"{TORCH} avg_pool2d",
              **pool_sets(kernel, stride, padding=(padding, 0), ceil_mode=(ceil_mode, False),
                          count_include_pad=(count_include_pad, True)))

    case("plain", c.normal(2, 3, 6, 8), 2)
    case("left_over", c.normal(2, 3, 7, 9), 2)
    case("overlapping", c.normal(2, 3, 9, 11), 3, 2, 1)
    case("without_padding_counted", c.normal(2, 3, 9, 11), 3, 2, 1, count_include_pad=False)
    case("stride_1", c.normal(1, 3, 7, 5), 3, 1, 1, count_include_pad=False)
    case("each", c.normal(1, 3, 9, 11), (3, 2), (2, 1), (1, 0))
    case("ceil_mode", c.normal(2, 3, 7, 9), 2, 2, ceil_mode=True)
    case("ceil_mode_padding", c.normal(2, 3, 6, 8), 3, 2, 1, ceil_mode=True)
    case("ceil_mode_padding_not_counted", c.normal(2, 3, 6, 8), 3, 2, 1, ceil_mode=True, count_include_pad=False)
    case("ceil_mode_last_window_dropped", c.normal(1, 2, 5, 5), 2, 4, 1, ceil_mode=True)
    case("whole_picture", c.normal(2, 3, 5, 7), (5, 7))
    case("one_of_all", c.normal(1, 1, 1, 1), 1)
    case("larger", c.normal(1, 16, 28, 31), 3, 2, 1)


@operation
def global_pool2d(c):
    def case(name, x, kind=None):
        if kind in ("lp", "lse"):
            out = F.lp_pool2d(T(x), 2, x.shape[2:]) if kind == "lp" else torch.logsumexp(T(x), (2, 3), keepdim=True)
            c.add(name, {"x": x}, {"out": out}, f"{TORCH} {'lp_pool2d' if kind == 'lp' else 'logsumexp'}", kind=kind)
            return
        pool = F.adaptive_max_pool2d if kind == "max" else F.adaptive_avg_pool2d
        c.add(name, {"x": x}, {"out": pool(T(x), 1)}, f"{TORCH} {pool.__name__}", **({"kind": kind} if kind else {}))

    case("plain", c.normal(2, 3, 5, 7))
    case("avg", c.normal(2, 5, 6, 7), "avg")
    case("max", c.normal(2, 5, 6, 7), "max")
    case("max_all_negative", -np.abs(c.normal(1, 3, 4, 5)) - 1, "max")
    spoiled = c.normal(1, 2, 5, 7)
    spoiled[0, 0, 2, 3] = np.nan
    case("max_nan", spoiled, "max")
    case("one_of_all", c.normal(1, 1, 1, 1))
    case("one_pixel_max", c.normal(3, 17, 1, 1), "max")
    case("odd_sizes", c.normal(1, 31, 17, 15) + 3)
    case("odd_sizes_max", c.normal(1, 31, 17, 15), "max")
    case("larger", c.normal(1, 16, 33, 31), "avg")
    case("larger_max", c.normal(1, 16, 33, 31), "max")
    for kind in ("lp", "lse"):
        case(kind, c.normal(2, 5, 6, 7), kind)
        case(f"{kind}_one_pixel", c.normal(2, 3, 1, 1), kind)
        case(f"{kind}_larger", c.normal(1, 5, 33, 31, scale=4), kind)


@operation
def channel_pool(c):
    def case(name, x, kinds=None):
        one = {"max": lambda v: v.amax(1, keepdim=True), "mean": lambda v: v.mean(1, keepdim=True)}
        out = torch.cat([one[k](T(x)) for k in (kinds or "max+mean").split("+")], 1)
        c.add(name, {"x": x}, {"out": out}, f"{TORCH} amax, mean, cat", **({"kinds": kinds} if kinds else {}))

    case("plain", c.normal(2, 5, 6, 7))
    case("max_mean", c.normal(2, 5, 6, 7), "max+mean")
    case("mean_max", c.normal(2, 5, 6, 7), "mean+max")
    case("max", c.normal(2, 5, 6, 7), "max")
    case("mean", c.normal(2, 5, 6, 7), "mean")
    case("all_negative", -np.abs(c.normal(1, 3, 4, 5)) - 1)
    spoiled = c.normal(1, 4, 3, 5)
    spoiled[0, 2, 1, 3] = np.nan
    case("nan", spoiled)
    case("one_of_all", c.normal(1, 1, 1, 1))
    case("odd_sizes", c.normal(1, 31, 17, 15))
    case("larger", c.normal(1, 64, 14, 15))


@operation
def batch_norm(c):
    def case(name, b, ch, h, w, affine=(True, True), offset=0.0, **sets):
        x = c.normal(b, ch, h, w) * c.uniform(0.3, 3, ch, 1, 1) + c.normal(ch, 1, 1) + np.float32(offset)
        gamma = c.uniform(-2, 2, ch) if affine[0] else None
        beta = c.normal(ch) if affine[1] else None
        training = sets.get("training", False)
        mean, var = (None, None) if training else (c.normal(ch), c.uniform(0.1, 3, ch))
        out = F.batch_norm(T(x), T(mean), T(var), T(gamma), T(beta), training, 0.1, sets.get("eps", 1e-5))
        outputs = {"out": out}
        if training:
            outputs |= {"mean": T(x).mean((0, 2, 3)), "var": T(x).var((0, 2, 3), correction=0)}
        c.add(name, {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "var": var}, outputs, f"{TORCH} batch_norm", **sets)

    case("plain", 2, 5, 6, 7)
    case("no_affine", 2, 5, 6, 7, affine=(False, False))
    case("gamma_only", 2, 5, 6, 7, affine=(True, False))
    case("beta_only", 2, 5, 6, 7, affine=(False, True))
    case("eps", 2, 5, 6, 7, eps=0.01)
    case("training", 3, 5, 6, 7, training=True)
    case("training_no_affine_eps", 3, 5, 6, 7, affine=(False, False), training=True, eps=0.001)
    case("training_far_from_zero", 3, 5, 6, 7, training=True, offset=10.0)
    case("training_one_pixel", 7, 3, 1, 1, training=True)
    case("one_of_all", 1, 1, 1, 1)
    case("odd_sizes", 1, 31, 17, 15)
    case("larger", 1, 32, 14, 15)
    case("larger_training", 2, 16, 14, 15, training=True)


# ---- both --------------------------------------------------------------------------------------------------------------

def softmax_cases(c, log):
    def case(name, x, mask=None, by_torch=True, **sets):
        axis = sets.get("axis", -1)
        scores = T(x) / sets.get("temperature", 1.0)
        if mask is not None:
            scores = scores.masked_fill(~T(mask), -INF)
        out = (torch.log_softmax if log else torch.softmax)(scores, axis)
        empty = torch.isneginf(scores).all(axis, keepdim=True)
        out = torch.where(empty, -INF if log else 0.0, out)
        peer = f"{TORCH} {'log_softmax' if log else 'softmax'}"
        if bool(empty.any()):
            peer += f", {'-inf' if log else '0'} in rows without a finite value by rule 8"
        c.add(name, {"x": x, "mask": mask}, {"out": out}, peer, **sets)

    case("plain", c.normal(5, 7))
    case("rank1", c.normal(17))
    case("axis_0", c.normal(5, 7), axis=0)
    case("axis_1_of_4", c.normal(2, 5, 3, 4), axis=1)
    case("axis_minus_2", c.normal(2, 15, 17), axis=-2)
    case("temperature", c.normal(5, 7), temperature=0.25)
    case("temperature_negative", c.normal(5, 7), temperature=-2.0)
    case("mask", c.normal(2, 5, 7), mask=np.maximum(c.mask(2, 5, 7), np.eye(5, 7, dtype=np.uint8)))
    case("mask_broadcast", c.normal(2, 5, 7), mask=np.array([1, 0, 1, 1, 0, 0, 1], np.uint8))
    some = c.mask(5, 7)
    some[2] = 0
    case("mask_empty_row", c.normal(2, 5, 7), mask=some)
    case("mask_axis_0", c.normal(6, 5), mask=np.maximum(c.mask(6, 5), np.eye(6, 5, dtype=np.uint8)), axis=0, temperature=2.0)
    hidden = c.normal(3, 9)
    keep = c.mask(3, 9)
    keep[:, 4] = 1
    hidden[keep == 0] = np.nan
    case("nan_behind_mask", hidden, mask=keep)
    infinite = c.normal(4, 6)
    infinite[0] = infinite[2, 1:] = infinite[3, 0] = -INF
    case("minus_inf", infinite)
    case("logits_1e4", c.uniform(-1e4, 1e4, 4, 33))
    case("equal", np.full((2, 31), 3.5, np.float32))
    case("one_of_all", c.normal(1, 1))
    case("row_1025", c.normal(3, 1025))
    case("larger", c.normal(33, 257))
    case("larger_axis_0", c.normal(130, 65), axis=0)


@operation
def softmax(c):
    softmax_cases(c, False)


@operation
def log_softmax(c):
    softmax_cases(c, True)


@operation
def linear(c):
    def case(name, lead, i, o, bias=True, **sets):
        x, weight, shift = c.normal(*lead, i), c.normal(o, i, scale=1.5 / math.sqrt(max(i, 1))), c.normal(o) if bias else None
        act = sets.get("activation", "none")
        out = ACTIVATIONS[act](F.linear(T(x), T(weight), T(shift)))
        c.add(name, {"x": x, "weight": weight, "bias": shift}, {"out": out},
              f"{TORCH} linear" + (f", {act}" if act != "none" else ""), **sets)

    case("plain", (5,), 7, 6)
    case("no_bias", (5,), 7, 6, bias=False)
    case("vector", (), 7, 6)
    case("rank3", (2, 3), 8, 5)
    case("rank4", (2, 1, 3), 4, 9)
    for kind in list(ACTIVATIONS)[1:]:
        case(kind, (5,), 7, 6, activation=kind)
    case("one_of_all", (1,), 1, 1)
    case("odd_sizes", (17,), 59, 31)
    case("tile_and_one", (33,), 65, 17)
    case("larger", (65,), 129, 96)


@operation
def matmul(c):
    def case(name, a, b, **sets):
        a, b = c.normal(*a), c.normal(*b)
        left = T(a).transpose(-1, -2) if sets.get("transpose_a") else T(a)
        right = T(b).transpose(-1, -2) if sets.get("transpose_b") else T(b)
        c.add(name, {"a": a, "b": b}, {"out": left @ right}, f"{TORCH} matmul", **sets)

    case("plain", (5, 7), (7, 6))
    case("transpose_a", (7, 5), (7, 6), transpose_a=True)
    case("transpose_b", (5, 7), (6, 7), transpose_b=True)
    case("transpose_both", (7, 5), (6, 7), transpose_a=True, transpose_b=True)
    case("batched", (3, 5, 7), (3, 7, 4))
    case("batched_twice", (2, 3, 5, 4), (2, 3, 4, 6))
    case("broadcast_left", (5, 7), (3, 7, 4))
    case("broadcast_right", (2, 3, 5, 7), (7, 4))
    case("broadcast_both", (2, 1, 5, 7), (3, 7, 4))
    case("broadcast_transposed", (2, 1, 7, 5), (1, 3, 4, 7), transpose_a=True, transpose_b=True)
    case("row_times_matrix", (1, 33), (33, 17))
    case("matrix_times_column", (33, 17), (17, 1))
    case("outer", (15, 1), (1, 17))
    case("one_of_all", (1, 1), (1, 1))
    case("odd_sizes", (31, 59), (59, 17))
    case("nothing_to_sum", (3, 0), (0, 4))
    case("larger", (65, 129), (129, 97))
    case("larger_transpose_b", (97, 64), (65, 64), transpose_b=True)


@operation
def activation(c):
    extremes = np.array([0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.5, -0.5, 2.999, 3, 3.001, -2.999, -3, -3.001, 5, -5, 9, -9,
                         20, -20, 88, -88, 89, -89, 104, -104, 1e4, -1e4], np.float32)
    for kind in list(ACTIVATIONS)[1:]:
        f = ACTIVATIONS[kind]
        x = c.normal(3, 5, 7, scale=2.0)
        c.add(kind, {"x": x}, {"out": f(T(x))}, f"{TORCH} {kind}", kind=kind)
        c.add(f"{kind}_extremes", {"x": extremes}, {"out": f(T(extremes))}, f"{TORCH} {kind}", kind=kind)
    x = c.normal(2, 17, 31)
    c.add("default", {"x": x}, {"out": F.relu(T(x))}, f"{TORCH} relu")
    x = c.normal(1)
    c.add("one_of_all", {"x": x}, {"out": torch.tanh(T(x))}, f"{TORCH} tanh", kind="tanh")
    x = c.normal(33, 257, scale=3.0)
    c.add("larger", {"x": x}, {"out": F.gelu(T(x))}, f"{TORCH} gelu", kind="gelu")
    x = np.array([INF, -INF], np.float32)
    for kind in ("relu", "sigmoid", "hard_sigmoid", "tanh", "leaky_relu"):
        c.add(f"{kind}_infinite", {"x": x}, {"out": ACTIVATIONS[kind](T(x))}, f"{TORCH} {kind}", kind=kind)


def elementwise(c, f):
    def case(name, a, b):
        c.add(name, {"a": a, "b": b}, {"out": f(T(a), T(b))}, f"{TORCH} {f.__name__}")

    def draw(*shape):   # away from 0 for the division, with some equal values for the maximum
        x = c.uniform(0.5, 2, *shape) * c.random.choice([-1, 1], shape)
        return np.where(c.random.random(shape) < 0.2, np.float32(1.5), x).astype(np.float32)

    for name, a, b in (("plain", (5, 7), (5, 7)), ("rank1", (17,), (17,)), ("right_row", (5, 7), (7,)),
                       ("right_column", (5, 7), (5, 1)), ("left_row", (7,), (3, 5, 7)), ("both", (4, 1, 6), (5, 1)),
                       ("both_rank4", (2, 1, 5, 1), (1, 3, 1, 7)), ("scalar", (3, 5), (1,)), ("channels", (2, 5, 3, 4), (5, 1, 1)),
                       ("one_of_all", (1,), (1,)), ("odd_sizes", (3, 31, 17), (3, 31, 17)), ("larger", (33, 65), (65,))):
        case(name, draw(*a), draw(*b))
    if f is torch.divide:
        case("by_zero", np.array([1, -2, 0, 3, -4], np.float32), np.array([0, 0, 0, -INF, INF], np.float32))


for word in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
    OPS[word] = lambda c, f=getattr(torch, word): elementwise(c, f)


@operation
def concat(c):
    def case(name, axis, *shapes):
        x = [c.normal(*shape) for shape in shapes]
        c.add(name, {f"x{i}": one for i, one in enumerate(x)}, {"out": torch.cat([T(one) for one in x], axis)}, f"{TORCH} cat",
              axis=axis)

    case("axis_0", 0, (3, 5), (4, 5))
    case("axis_1", 1, (3, 5), (3, 2))
    case("axis_last", -1, (2, 3, 5), (2, 3, 7))
    case("middle_of_4", 1, (2, 3, 4, 5), (2, 1, 4, 5), (2, 6, 4, 5))
    case("axis_minus_2", -2, (2, 3, 5), (2, 8, 5))
    case("one_input", 0, (3, 5))
    case("five_inputs", 1, (3, 1), (3, 2), (3, 3), (3, 4), (3, 5))
    case("rank1", 0, (1,), (17,))
    case("an_empty_one", 1, (3, 2), (3, 0), (3, 4))
    case("odd_sizes", 2, (3, 31, 17), (3, 31, 15))
    case("larger", -1, (65, 64), (65, 65))


@operation
def slice_(c):
    def case(name, shape, starts, ends, steps=None):
        x = c.normal(*shape)
        cut = tuple(slice(*one) for one in zip(starts, ends, steps or [1] * len(shape)))
        c.add(name, {"x": x}, {"out": np.ascontiguousarray(x[cut])}, f"numpy {np.__version__} basic slicing", starts=starts,
              ends=ends, **({"steps": steps} if steps else {}))

    case("plain", (5, 7), (1, 2), (4, 6))
    case("all", (5, 7), (0, 0), (5, 7))
    case("steps", (9, 11), (0, 1), (9, 11), (2, 3))
    case("negative", (9, 11), (-4, -9), (-1, -2))
    case("negative_steps_2", (9, 11), (-8, 0), (9, -1), (2, 2))
    case("beyond", (5, 7), (-100, 3), (100, 100))
    case("rank1", (17,), (3,), (16,), (4,))
    case("rank4", (2, 5, 6, 7), (0, 1, 2, 3), (2, 4, 6, 7), (1, 2, 1, 3))
    case("step_beyond", (5, 7), (1, 2), (5, 7), (10, 1))
    case("one_of_all", (1, 1), (0, 0), (1, 1))
    case("nothing", (5, 7), (3, 0), (3, 7))
    case("larger", (65, 129), (1, 2), (65, 128), (1, 3))


@operation
def transpose(c):
    def case(name, shape, axes):
        x = c.normal(*shape)
        c.add(name, {"x": x}, {"out": T(x).permute(axes).contiguous()}, f"{TORCH} permute", axes=axes)

    case("matrix", (5, 7), (1, 0))
    case("nothing_moves", (5, 7), (0, 1))
    case("rank1", (17,), (0,))
    case("rank3", (3, 5, 7), (2, 0, 1))
    case("last_two", (3, 5, 7), (0, 2, 1))
    case("heads", (2, 5, 3, 4), (0, 2, 1, 3))
    case("nchw_to_nhwc", (2, 3, 5, 7), (0, 2, 3, 1))
    case("reversed", (2, 3, 4, 5), (3, 2, 1, 0))
    case("rank5", (2, 3, 2, 4, 3), (4, 1, 3, 0, 2))
    case("one_of_all", (1, 1), (1, 0))
    case("tile_and_one", (33, 65), (1, 0))
    case("larger", (97, 130), (1, 0))


@operation
def gather(c):
    def case(name, shape, axis, *at, indices=None):
        x = c.normal(*shape)
        if indices is None:
            indices = c.ids(shape[axis], *at)
        sets = {} if axis is None else {"axis": axis}
        c.add(name, {"x": x, "indices": indices}, {"out": np.take(x, indices, axis)}, f"numpy {np.__version__} take", **sets)

    case("axis_0", (7, 5), 0, 4)
    case("axis_1", (3, 7), 1, 5)
    case("axis_last", (2, 3, 7), -1, 9)
    case("middle", (2, 7, 3), 1, 4)
    case("indices_rank2", (7, 5), 0, 2, 3)
    case("indices_rank2_middle", (2, 7, 3), 1, 2, 5)
    case("indices_rank2_last", (2, 7), -1, 3, 2)
    case("rank1", (17,), 0, 31)
    case("repeated", (7, 5), 0, indices=np.array([6, 6, 0, 3, 0], np.int32))
    case("one_of_all", (1,), 0, 1)
    case("odd_sizes", (31, 17, 3), 1, 15)
    case("larger", (65, 129), 0, 97)


# ---- norms, reductions, borders, losses, random bits, positions ------------------------------------------------------------

def row_norm(c, peer, spare=()):
    """layer_norm and rms_norm: `peer(x, shape, gamma, beta, eps)`."""
    def case(name, shape, axis=None, gamma=True, beta=True, scale=1.0, shift=0.0, eps=None):
        x = c.normal(*shape, scale=scale) + np.float32(shift)
        rest = shape[axis if axis is not None else -1:]
        g, b = c.normal(*rest) if gamma else None, c.normal(*rest) if beta else None
        sets = ({} if axis is None else {"axis": axis}) | ({} if eps is None else {"eps": eps})
        c.add(name, {"x": x, "gamma": g, "beta": b}, {"out": peer(T(x), rest, T(g), T(b), eps or 1e-5)},
              f"{TORCH} {peer.__name__}", **sets)

    case("plain", (5, 7))
    case("no_factors", (5, 7), gamma=False, beta=False)
    case("gamma_only", (5, 7), beta=False)
    case("beta_only", (5, 7), gamma=False)
    case("rank1", (17,))
    case("rank3", (2, 3, 8))
    case("axis_1_of_4", (2, 3, 4, 5), axis=1)
    case("axis_minus_2", (2, 3, 4, 5), axis=-2)
    case("axis_0", (3, 5), axis=0)
    case("eps", (5, 7), eps=0.25)
    case("one_of_all", (1, 1))
    case("shifted", (5, 65), shift=100.0)
    case("tiny", (5, 33), scale=1e-4)
    case("row_1025", (3, 1025))
    case("larger", (33, 257))


@operation
def layer_norm(c):
    def layer_norm(x, shape, gamma, beta, eps):
        return F.layer_norm(x, shape, gamma, beta, eps)
    row_norm(c, layer_norm)
    x, gamma, beta = c.normal(4, 6), c.normal(6), c.normal(6)
    out = keras_layer(keras.layers.LayerNormalization(epsilon=1e-3), {"gamma": gamma, "beta": beta}, T(x))
    c.add("keras", {"x": x, "gamma": gamma, "beta": beta}, {"out": out}, f"{KERAS} layers.LayerNormalization", eps=1e-3)


@operation
def rms_norm(c):
    def rms_norm(x, shape, gamma, beta, eps):
        out = F.rms_norm(x, shape, gamma, eps)
        return out if beta is None else out + beta
    row_norm(c, rms_norm)


@operation
def group_norm(c):
    def case(name, shape, groups, gamma=True, beta=True, **sets):
        x = c.normal(*shape)
        g, b = c.normal(shape[1]) if gamma else None, c.normal(shape[1]) if beta else None
        c.add(name, {"x": x, "gamma": g, "beta": b}, {"out": F.group_norm(T(x), groups, T(g), T(b), sets.get("eps", 1e-5))},
              f"{TORCH} group_norm", groups=groups, **sets)

    case("plain", (2, 6, 5, 7), 3)
    case("one_group", (2, 6, 5, 7), 1)
    case("a_group_each", (2, 6, 5, 7), 6)
    case("no_factors", (2, 6, 5, 7), 2, gamma=False, beta=False)
    case("gamma_only", (2, 6, 5, 7), 2, beta=False)
    case("beta_only", (2, 6, 5, 7), 2, gamma=False)
    case("rank2", (5, 8), 4)
    case("rank3", (3, 4, 17), 2)
    case("rank5", (2, 4, 3, 2, 5), 2)
    case("eps", (2, 4, 3, 3), 2, eps=0.5)
    case("larger", (2, 32, 17, 13), 8)


@operation
def reduce(c):
    def case(name, kind, shape, axes=None, keepdims=False):
        x = c.normal(*shape)
        wanted = tuple(range(len(shape))) if axes is None else axes
        t = T(x)
        out = {"sum": lambda: t.sum(wanted, keepdim=keepdims), "mean": lambda: t.mean(wanted, keepdim=keepdims),
               "max": lambda: t.amax(wanted, keepdim=keepdims), "min": lambda: t.amin(wanted, keepdim=keepdims),
               "l2": lambda: torch.linalg.vector_norm(t, 2, wanted, keepdim=keepdims)}[kind]()
        sets = ({} if kind == "sum" else {"kind": kind}) | ({} if axes is None else {"axes": axes})
        c.add(name, {"x": x}, {"out": out}, f"{TORCH} {kind}", **sets, **({"keepdims": True} if keepdims else {}))

    for kind in ("sum", "mean", "max", "min", "l2"):
        case(f"{kind}_all", kind, (5, 7))
        case(f"{kind}_all_kept", kind, (2, 3, 5), keepdims=True)
        case(f"{kind}_last", kind, (5, 65), (-1,))
        case(f"{kind}_first", kind, (5, 7), (0,))
        case(f"{kind}_middle", kind, (2, 3, 5, 7), (1,), True)
        case(f"{kind}_two", kind, (2, 3, 5, 7), (-1, 1))
        case(f"{kind}_larger", kind, (17, 1025), (1,))
    for kind, value in (("sum", 0), ("mean", np.nan), ("max", -INF), ("min", INF), ("l2", 0)):
        c.add(f"{kind}_of_nothing", {"x": np.zeros((2, 0), np.float32)}, {"out": np.full(2, value, np.float32)}, "rule",
              kind=kind, axes=(1,))
        x = np.array([1, np.nan, 3, 4], np.float32)
        c.add(f"{kind}_of_nan", {"x": x}, {"out": np.array(np.nan, np.float32)}, f"{TORCH} {kind}", kind=kind)


@operation
def pad(c):
    def case(name, shape, before, after, value=0.0):
        x = c.normal(*shape)
        sets = ({"before": before} if before else {}) | ({"after": after} if after else {}) | ({"value": value} if value else {})
        full = lambda v: tuple(v) + (0,) * (len(shape) - len(v))
        out = np.pad(x, tuple(zip(full(before), full(after))), constant_values=np.float32(value))
        c.add(name, {"x": x}, {"out": out}, f"numpy {np.__version__} pad", **sets)

    case("plain", (5, 7), (1, 2), (3, 4))
    case("value", (5, 7), (1, 2), (3, 4), -1.5)
    case("before_only", (5, 7), (1, 2), ())
    case("after_only", (5, 7), (), (1, 2))
    case("first_axis", (5, 7), (2,), (1,))
    case("last_axis", (5, 7), (0, 3), (0, 17))
    case("nothing", (5, 7), (0, 0), (0, 0))
    case("images", (2, 3, 5, 7), (0, 0, 1, 1), (0, 0, 1, 1))
    case("rank1", (17,), (16,), (15,), 2.5)
    case("empty", (0, 3), (1, 1), (2, 0), 7.0)
    case("larger", (33, 65), (3, 16), (2, 1), 0.25)


@operation
def cross_entropy(c):
    def case(name, n, v, scale=1.0, targets=None, peer=None, **sets):
        logits = c.normal(n, v, scale=scale)
        if targets is None:
            targets = c.ids(v, n)
        ignore, smoothing = sets.get("ignore_id", -100), sets.get("label_smoothing", 0.0)
        run = lambda how: F.cross_entropy(T(logits), T(targets), reduction=how, ignore_index=ignore, label_smoothing=smoothing)
        losses = run("none")
        kept = torch.from_numpy(targets != ignore)
        out = (losses.sum() / kept.sum()).reshape(1)
        if smoothing == 0 and kept.any():
            agree(run("mean").reshape(1), out, "mean")
        c.add(name, {"logits": logits, "targets": targets}, {"out": out, "losses": losses}, f"{TORCH} cross_entropy", **sets)

    ids = lambda *values: np.array(values, np.int32)
    case("plain", 5, 7)
    case("one_class", 3, 1)
    case("one_row", 1, 17)
    case("smoothing", 5, 33, label_smoothing=0.1)
    case("smoothing_1", 4, 17, label_smoothing=1.0)
    case("ignored", 5, 7, targets=ids(3, -100, 0, 6, -100))
    case("ignored_id", 6, 7, targets=ids(3, 2, 0, 6, 2, 5), ignore_id=2)
    case("ignored_smoothing", 5, 7, targets=ids(3, 0, 0, 6, 1), ignore_id=0, label_smoothing=0.2)
    case("all_ignored", 3, 5, targets=ids(-100, -100, -100))
    case("large_logits", 5, 65, scale=100.0)
    case("larger", 33, 1025)
    case("larger_smoothing", 17, 2049, label_smoothing=0.1)


def philox(counter, key):
    """Philox 4x32-10 of Salmon et al. 2011 on whole arrays of counters."""
    c, k = [np.asarray(word, np.uint64) for word in counter], list(key)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p0 & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, -1)


@operation
def dropout(c):
    # Known answers of the authors' Random123.
    agree_words = lambda found, expected: [f"{int(word):08x}" for word in found] == expected.split() or sys.exit("philox")
    agree_words(philox((0, 0, 0, 0), (0, 0)), "6627e8d5 e169c58d bc57ac4c 9b00dbd8")
    agree_words(philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)),
                "d16cfe09 94fdcceb 5001e420 24126ea1")

    def case(name, shape, **sets):
        x = c.normal(*shape)
        rate, seed, offset = np.float32(sets.get("rate", 0.5)), int(sets.get("seed", 0)), int(sets.get("offset", 0))
        index = np.arange(x.size, dtype=np.uint64)
        block = index >> np.uint64(2)
        ones = np.ones(x.size, np.uint64)
        words = philox((block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), ones * np.uint64(offset & 0xFFFFFFFF),
                        ones * np.uint64(offset >> 32)), (seed & 0xFFFFFFFF, seed >> 32))
        word = words[np.arange(x.size), (index & np.uint64(3)).astype(np.int64)].reshape(shape)
        dropped = word < np.uint64(math.ceil(float(rate) * 2**32))
        out = torch.where(torch.from_numpy(dropped), 0.0, T(x) / (1 - float(rate)))
        c.add(name, {"x": x}, {"out": out}, "Philox 4x32-10 in numpy, checked with Random123's known answers", **sets)

    case("default", (5, 7))
    case("rate_01", (5, 7), rate=0.1)
    case("rate_0", (5, 7), rate=0.0)
    case("rate_09", (3, 33), rate=0.9)
    case("seed", (5, 7), seed="1")
    case("seed_64_bits", (5, 7), seed="12345678901234567")
    case("offset", (5, 7), seed="7", offset="3")
    case("offset_64_bits", (5, 7), seed="7", offset="98765432109876543")
    case("rank1", (17,), rate=0.25)
    case("one_of_all", (1,))
    case("larger", (65, 129), rate=0.3, seed="42")


@operation
def rotary(c):
    def case(name, b, h, t, d, interleaved=False, base=None, positions=None, tables=None):
        x = c.normal(b, h, t, d)
        at = torch.arange(t).expand(b, t) if positions is None else T(positions)
        inputs = {"x": x, "positions": positions}
        if tables:
            inputs["cos"], inputs["sin"] = c.normal(tables, d // 2), c.normal(tables, d // 2)
            cos, sin = T(inputs["cos"])[at], T(inputs["sin"])[at]
        else:
            angle = at.double().unsqueeze(-1) * float(base or 10000.0) ** (-torch.arange(0, d, 2).double() / d)
            cos, sin = angle.cos(), angle.sin()
        cos, sin, v = cos.unsqueeze(1), sin.unsqueeze(1), T(x)
        if interleaved:   # as complex numbers (RoFormer, Llama's own code)
            turned = torch.view_as_complex(v.reshape(b, h, t, d // 2, 2).contiguous()) * torch.complex(cos, sin)
            out = torch.view_as_real(turned).reshape(b, h, t, d)
        else:             # x * cos + rotate_half(x) * sin (transformers)
            half = torch.cat([-v[..., d // 2:], v[..., :d // 2]], -1)
            out = v * torch.cat([cos, cos], -1) + half * torch.cat([sin, sin], -1)
        sets = ({"interleaved": True} if interleaved else {}) | ({"base": base} if base else {})
        c.add(name, inputs, {"out": out}, f"formula with {TORCH}", **sets)

    ids = lambda *rows: np.array(rows, np.int32)
    case("plain", 2, 3, 5, 8)
    case("pairs", 2, 3, 5, 8, interleaved=True)
    case("base", 1, 2, 7, 16, base=500000.0)
    case("positions", 2, 2, 3, 6, positions=ids((5, 0, 9), (1000, 2, 77)))
    case("far_positions", 1, 2, 4, 64, positions=ids((131071, 1048575, 2147483647, 12345678)))
    case("negative_positions", 1, 1, 3, 8, positions=ids((-1, -5, -4096)))
    case("tables", 2, 2, 5, 8, tables=5)
    case("tables_pairs", 2, 2, 5, 8, tables=9, interleaved=True)
    case("tables_positions", 2, 2, 3, 8, tables=9, positions=ids((8, 0, 3), (1, 1, 7)))
    case("two", 1, 1, 3, 2)
    case("larger", 1, 4, 129, 64)
    case("larger_pairs", 1, 4, 129, 64, interleaved=True)


# ---- the command -------------------------------------------------------------------------------------------------------

def same(name, old, new):
    """Whether two files hold the same cases; values may differ by what another processor's last bits amount to."""
    def parse(data):
        size = struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8:8 + size])
        kinds = {"F32": np.float32, "I32": np.int32, "U8": np.uint8}
        meta = header.pop("__metadata__")
        tensors = {k: np.frombuffer(data[8 + size:][slice(*v["data_offsets"])], kinds[v["dtype"]]).reshape(v["shape"])
                   for k, v in header.items()}
        return meta, tensors
    (old_meta, old), (new_meta, new) = parse(old), parse(new)
    if old_meta != new_meta or old.keys() != new.keys():
        print(f"{name}: cases differ")
        return False
    for key in old:
        if old[key].shape != new[key].shape or old[key].dtype != new[key].dtype or not np.allclose(
                old[key], new[key], rtol=1e-6, atol=1e-9, equal_nan=True):
            print(f"{name}: {key} differs")
            return False
    return True


def main(words):
    check = "--check" in words
    wanted = [word for word in words if word != "--check"] or list(OPS)
    unknown = [word for word in wanted if word not in OPS]
    if unknown:
        sys.exit(f"unknown: {' '.join(unknown)}; known: {' '.join(OPS)}")
    folder, total, good = Path(__file__).parent / "ops", 0, True
    folder.mkdir(exist_ok=True)
    for op in wanted:
        cases = Cases(op)
        OPS[op](cases)
        data, path = cases.file(), folder / f"{op}.safetensors"
        total += len(data)
        if check:
            good = path.exists() and same(op, path.read_bytes(), data) and good
        else:
            path.write_bytes(data)
        print(f"{op:24} {len(cases.names):3} cases {len(data):8} bytes", flush=True)
    print(f"{len(wanted)} operations, {total} bytes")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
