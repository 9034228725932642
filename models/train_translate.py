#!/usr/bin/env python3
"""Trains the translator's weights: Bahdanau, Cho and Bengio's RNNsearch (2014) on the pairs of pairs.py.

    python models/train_translate.py --out models/rnnsearch.safetensors     (see models/rnnsearch.md and models/requirements.txt)

One core, a fixed seed. Held-out pairs (pairs.py decides by a hash of the English text) are never trained on: they are only measured.
"""
import argparse
import collections
import math
import os
import random
import subprocess
import sys
import time

import torch
from safetensors import safe_open
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ["number", "ordinal", "date", "time", "money"]
EMBEDDING, HIDDEN, ALIGNMENT, MAXOUT = 64, 128, 96, 64
# kind: (seeds, distinct pairs for each seed, share of every batch)
DATA = {"number": (8, 15000, 0.36), "ordinal": (1, 8900, 0.12), "date": (2, 20000, 0.12), "time": (1, 1295, 0.10), "money": (4, 25000, 0.30)}


def source_tokens(text):
    """Lower case, no commas; hyphens and white space separate tokens."""
    return text.lower().replace(",", "").replace("-", " ").split()


def target_tokens(text):
    """A word that a hyphen joins to the one before keeps that hyphen: quatre-vingt-un is "quatre", "-vingt", "-un"."""
    return text.replace("-", " -").split()


def detokenise(words):
    return " ".join(words).replace(" -", "-")


def pairs(kind, count, seed, part):
    out = subprocess.run([sys.executable, os.path.join(HERE, "pairs.py"), "--count", str(count), "--seed", str(seed), "--kind", kind, part],
                         check=True, capture_output=True, text=True, encoding="utf-8", env=dict(os.environ, PYTHONIOENCODING="utf-8")).stdout
    return [tuple(line.split("\t")) for line in out.splitlines()]


class RNNsearch(torch.nn.Module):
    """Tensors are stored as clattn's gru, bahdanau_attention, linear and embedding take them (reset = before, keep = new)."""

    metadata = {"model": "rnnsearch", "version": "1", "reset": "before", "keep": "new"}

    def __init__(self, source, target, embedding=EMBEDDING, hidden=HIDDEN, alignment=ALIGNMENT, maxout=MAXOUT):
        super().__init__()
        self.source, self.target = source, target
        shapes = {
            "encoder.embedding": (len(source), embedding),
            "encoder.w_ih": (2, 3 * hidden, embedding), "encoder.w_hh": (2, 3 * hidden, hidden),
            "encoder.b_ih": (2, 3 * hidden), "encoder.b_hh": (2, 3 * hidden),
            "init.weight": (hidden, hidden), "init.bias": (hidden,),
            "attention.w_a": (hidden, alignment), "attention.u_a": (2 * hidden, alignment), "attention.v_a": (alignment,),
            "decoder.embedding": (len(target), embedding),
            "decoder.w_ih": (3 * hidden, embedding + 2 * hidden), "decoder.w_hh": (3 * hidden, hidden),
            "decoder.b_ih": (3 * hidden,), "decoder.b_hh": (3 * hidden,),
            "readout.state.weight": (2 * maxout, hidden), "readout.state.bias": (2 * maxout,),
            "readout.previous.weight": (2 * maxout, embedding), "readout.context.weight": (2 * maxout, 2 * hidden),
            "output.weight": (len(target), maxout), "output.bias": (len(target),)}
        self.hidden = hidden
        self.names = list(shapes)
        for name, shape in shapes.items():
            x = torch.zeros(shape)
            if name.endswith("embedding"):
                x.normal_(0, 0.5)
            elif name.endswith("w_hh"):
                for block in x.view(-1, hidden, hidden):
                    torch.nn.init.orthogonal_(block)
            elif name == "attention.v_a":
                x.normal_(0, alignment ** -0.5)
            elif len(shape) > 1:
                for part in x.view(-1, *shape[-2:]):
                    torch.nn.init.xavier_uniform_(part)
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(x))

    def p(self, name):
        return getattr(self, name.replace(".", "_"))

    @staticmethod
    def sizes(t):
        """The arguments after the vocabularies, from a file's tensors."""
        return t["encoder.embedding"].shape[1], t["init.bias"].shape[0], t["attention.v_a"].shape[0], t["output.weight"].shape[1]

    def tensors(self):
        return {n: self.p(n).detach().clone().contiguous() for n in self.names}

    @staticmethod
    def step(x, h, u_rz, u_n, hidden):
        """x: everything of the gates that does not depend on h, [.., 3H]; reset before the product; z keeps the new state."""
        rz = torch.sigmoid(x[..., :2 * hidden] + h @ u_rz)
        r, z = rz[..., :hidden], rz[..., hidden:]
        n = torch.tanh(x[..., 2 * hidden:] + (r * h) @ u_n)
        return h + z * (n - h)

    def encode(self, source, lengths, drop=0.0):
        """source [B,T] ids with <eos> last -> annotations [B,T,2H], U_a h [B,T,A], s_0 [B,H], mask [B,T] (true = attend)."""
        b, t, hid = source.shape[0], source.shape[1], self.hidden
        mask = torch.arange(t)[None] < lengths[:, None]
        e = torch.nn.functional.dropout(self.p("encoder.embedding")[source], drop, self.training)
        bias = (self.p("encoder.b_ih") + self.p("encoder.b_hh"))[:, None]
        both = e.transpose(0, 1).reshape(1, t * b, -1)
        x = torch.baddbmm(bias, both.expand(2, -1, -1), self.p("encoder.w_ih").transpose(1, 2)).view(2, t, b, 3 * hid)
        x = torch.stack([x[0], x[1].flip(0)], 1)
        keep = mask.t().float()[..., None]
        keep = torch.stack([keep, keep.flip(0)], 1)
        u = self.p("encoder.w_hh").transpose(1, 2)
        u_rz, u_n = u[:, :, :2 * hid], u[:, :, 2 * hid:]
        h, out = torch.zeros(2, b, hid), []
        for i in range(t):
            h = h + keep[i] * (self.step(x[i], h, u_rz, u_n, hid) - h)
            out.append(h)
        forward = torch.stack([o[0] for o in out], 1)
        backward = torch.stack([o[1] for o in reversed(out)], 1)
        annotations = torch.cat([forward, backward], 2) * mask[..., None]
        s0 = torch.tanh(backward[:, 0] @ self.p("init.weight").t() + self.p("init.bias"))
        return annotations, annotations @ self.p("attention.u_a"), s0, mask

    def attend(self, s, annotations, projected, exclude):
        e = torch.tanh((s @ self.p("attention.w_a"))[:, None] + projected) @ self.p("attention.v_a")
        weights = torch.softmax(e.masked_fill(exclude, float("-inf")), 1)
        return torch.bmm(weights[:, None], annotations)[:, 0], weights

    def readout(self, s, y, c, drop=0.0):
        t = s @ self.p("readout.state.weight").t() + self.p("readout.state.bias") + y @ self.p("readout.previous.weight").t() \
            + c @ self.p("readout.context.weight").t()
        t = torch.nn.functional.dropout(t.view(*t.shape[:-1], -1, 2).amax(-1), drop, self.training)
        return t @ self.p("output.weight").t() + self.p("output.bias")

    def decoder(self):
        split = self.p("decoder.embedding").shape[1]
        w, u, hid = self.p("decoder.w_ih").t(), self.p("decoder.w_hh").t(), self.hidden
        return w[:split], w[split:], u[:, :2 * hid], u[:, 2 * hid:], self.p("decoder.b_ih") + self.p("decoder.b_hh")

    def forward(self, source, lengths, target, drop=0.0):
        """Logits [B,T,V] with the right previous words given (teacher forcing)."""
        annotations, projected, s, mask = self.encode(source, lengths, drop)
        exclude = ~mask
        w_y, w_c, u_rz, u_n, bias = self.decoder()
        y = torch.nn.functional.dropout(self.p("decoder.embedding")[target[:, :-1]], drop, self.training)
        y = torch.cat([torch.zeros(len(y), 1, y.shape[2]), y], 1)
        x = y @ w_y + bias
        states, contexts = [], []
        for i in range(target.shape[1]):
            c, _ = self.attend(s, annotations, projected, exclude)
            states.append(s)
            contexts.append(c)
            s = self.step(x[:, i] + c @ w_c, s, u_rz, u_n, self.hidden)
        return self.readout(torch.stack(states, 1), y, torch.stack(contexts, 1), drop)

    @torch.no_grad()
    def translate(self, sentences):
        """Greedy: a list of (target words, alignment [words + 1, source tokens + 1]) for a list of source token lists."""
        index = {w: i for i, w in enumerate(self.source)}
        ids = [[index[w] for w in s] + [0] for s in sentences]
        lengths = torch.tensor([len(i) for i in ids])
        source = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, i in zip(source, ids):
            row[:len(i)] = torch.tensor(i)
        annotations, projected, s, mask = self.encode(source, lengths)
        w_y, w_c, u_rz, u_n, bias = self.decoder()
        y = torch.zeros(len(ids), self.p("decoder.embedding").shape[1])
        done, words, rows = [False] * len(ids), [[] for _ in ids], [[] for _ in ids]
        for step in range(3 * (int(lengths.max()) - 1) + 10):
            c, weights = self.attend(s, annotations, projected, ~mask)
            best = self.readout(s, y, c).argmax(1)
            for k, w in enumerate(best.tolist()):
                if done[k] or step >= 3 * (len(ids[k]) - 1) + 10:
                    continue
                rows[k].append(weights[k, :len(ids[k])])
                done[k] = w == 0
                if w:
                    words[k].append(self.target[w])
            if all(done):
                break
            s = self.step(y @ w_y + bias + c @ w_c, s, u_rz, u_n, self.hidden)
            y = self.p("decoder.embedding")[best]
            # s is now s_i, made from y_{i-1} and c_i; y is y_i
        return [(w, torch.stack(r)) for w, r in zip(words, rows)]


def load(path, network=RNNsearch):
    with safe_open(path, "pt") as f:
        meta = f.metadata()
        t = {k: f.get_tensor(k) for k in f.keys()}
    model = network(meta["source_vocabulary"].split("\n"), meta["target_vocabulary"].split("\n"), *network.sizes(t))
    with torch.no_grad():
        for n in model.names:
            model.p(n).copy_(t[n])
    return model.eval()


def save(model, tensors, path):
    save_file({n: t.contiguous() for n, t in tensors.items()}, path + ".tmp",
              {"format": "pt", "source_vocabulary": "\n".join(model.source), "target_vocabulary": "\n".join(model.target), **model.metadata})
    os.replace(path + ".tmp", path)


def measure(model, held, show=0):
    """Exact match of greedy translations for each kind; prints one line."""
    model.eval()
    total = good = 0
    line, wrong = [], []
    for kind, rows in held.items():
        right = 0
        for i in range(0, len(rows), 256):
            part = rows[i:i + 256]
            for (e, f), (words, _) in zip(part, model.translate([source_tokens(e) for e, _ in part])):
                right += detokenise(words) == f
                if detokenise(words) != f:
                    wrong.append((kind, e, f, detokenise(words)))
        line.append(f"{kind} {right}/{len(rows)} {100 * right / len(rows):.2f} %")
        total, good = total + len(rows), good + right
    print("held out:", "; ".join(line), f"; overall {good}/{total} {100 * good / total:.2f} %", flush=True)
    for w in wrong[:show]:
        print("  ", " | ".join(w), flush=True)
    model.train()


def main(network=RNNsearch, steps=3000):
    """Trains and measures a network of these data: train_luong.py calls it with its own."""
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=os.path.join(HERE, network.metadata["model"] + ".safetensors"))
    p.add_argument("--steps", type=int, default=steps)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--rate", type=float, default=3e-3)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--seed", type=int, default=2014)
    p.add_argument("--measure", metavar="WEIGHTS", help="only measure these weights on held-out pairs")
    p.add_argument("--held", type=int, default=800, help="held-out pairs of each kind (fewer where fewer exist)")
    a = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    random.seed(a.seed)
    held = {k: pairs(k, min(a.held, {"time": 145, "ordinal": 950}.get(k, a.held)), 99, "--held-out") for k in KINDS}
    if a.measure:
        return measure(load(a.measure, network), held, 20)
    start = time.time()
    data = {k: [x for seed in range(DATA[k][0]) for x in pairs(k, DATA[k][1], seed + 1, "--train")] for k in KINDS}
    left_out = {e for rows in held.values() for e, _ in rows}
    assert not any(e in left_out for rows in data.values() for e, _ in rows)
    words = [collections.Counter(w for rows in data.values() for x in rows for w in cut(x[i])) for i, cut in ((0, source_tokens), (1, target_tokens))]
    source, target = (["<eos>"] + sorted(w) for w in words)
    for rows in held.values():
        for e, f in rows:
            assert all(w in words[0] for w in source_tokens(e)) and all(w in words[1] for w in target_tokens(f)), e
    s_id, t_id = ({w: i for i, w in enumerate(v)} for v in (source, target))
    ids = {k: [([s_id[w] for w in source_tokens(e)] + [0], [t_id[w] for w in target_tokens(f)] + [0]) for e, f in rows] for k, rows in data.items()}
    model = network(source, target)
    print(f"{sum(map(len, data.values()))} pairs, {len(source)} + {len(target)} words, {sum(x.numel() for x in model.parameters())} parameters, "
          f"{time.time() - start:.0f} s", flush=True)

    def batches():
        queue = {k: [] for k in KINDS}
        while True:
            chunk = []
            for k in KINDS:
                need = round(DATA[k][2] * 16 * a.batch)
                while len(queue[k]) < need:
                    queue[k] += random.sample(ids[k], len(ids[k]))
                chunk += queue[k][:need]
                queue[k] = queue[k][need:]
            chunk.sort(key=lambda x: (len(x[1]) + random.random(), len(x[0])))
            cut = [chunk[i:i + a.batch] for i in range(0, len(chunk), a.batch)]
            random.shuffle(cut)
            for rows in cut:
                b = len(rows)
                src = torch.zeros(b, max(len(x) for x, _ in rows), dtype=torch.long)
                tgt = torch.full((b, max(len(y) for _, y in rows)), -100)
                for i, (x, y) in enumerate(rows):
                    src[i, :len(x)] = torch.tensor(x)
                    tgt[i, :len(y)] = torch.tensor(y)
                yield src, torch.tensor([len(x) for x, _ in rows]), tgt

    optimiser = torch.optim.Adam(model.parameters(), lr=a.rate, betas=(0.9, 0.98), eps=1e-8)
    average = {n: t.clone() for n, t in model.tensors().items()}
    shadow = network(source, target)
    running, source_of_batches = 0.0, batches()
    for step in range(1, a.steps + 1):
        rate = a.rate * min(1.0, step / 200) * (0.5 + 0.5 * math.cos(math.pi * step / a.steps)) + 1e-5
        for g in optimiser.param_groups:
            g["lr"] = rate
        src, lengths, tgt = next(source_of_batches)
        logits = model(src, lengths, tgt.clamp(min=0), a.dropout)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tgt.flatten(), ignore_index=-100)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for n in model.names:
                average[n].lerp_(model.p(n), 1 - decay)
        running += loss.item()
        if step % 100 == 0:
            print(f"step {step} loss {running / 100:.5f} rate {rate:.5f} {time.time() - start:.0f} s", flush=True)
            running = 0.0
        if step % 1000 == 0 or step == a.steps or step == 400:
            with torch.no_grad():
                for n in model.names:
                    shadow.p(n).copy_(average[n])
            measure(shadow, held, 8)
            save(model, average, a.out)


if __name__ == "__main__":
    main()
