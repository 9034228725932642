#!/usr/bin/env python3
"""Trains the second translator's weights: Luong, Pham and Manning's global attention with input feeding (2015), on the data of
train_translate.py and by its procedure.

    python models/train_luong.py --out models/luong.safetensors     (see models/luong.md and models/requirements.txt)
"""
import torch

from train_translate import main

EMBEDDING, HIDDEN = 64, 128
CELL = ("w_ih", "w_hh", "b_ih", "b_hh")


class Luong(torch.nn.Module):
    """GRU cells, the general score, global attention, input feeding. Tensors are stored as clattn's gru, luong_attention, linear
    and embedding take them (reset = after, keep = old: PyTorch's own)."""

    metadata = {"model": "luong", "version": "1", "reset": "after", "keep": "old"}

    def __init__(self, source, target, embedding=EMBEDDING, hidden=HIDDEN):
        super().__init__()
        self.source, self.target, self.hidden = source, target, hidden
        shapes = {
            "encoder.embedding": (len(source), embedding),
            "encoder.w_ih": (2, 3 * hidden, embedding), "encoder.w_hh": (2, 3 * hidden, hidden),
            "encoder.b_ih": (2, 3 * hidden), "encoder.b_hh": (2, 3 * hidden),
            "init.weight": (hidden, hidden), "init.bias": (hidden,),
            "decoder.embedding": (len(target), embedding),
            "decoder.w_ih": (3 * hidden, embedding + hidden), "decoder.w_hh": (3 * hidden, hidden),
            "decoder.b_ih": (3 * hidden,), "decoder.b_hh": (3 * hidden,),
            "attention.w_a": (hidden, 2 * hidden), "attention.w_c": (hidden, 3 * hidden),
            "output.weight": (len(target), hidden), "output.bias": (len(target),)}
        self.names = list(shapes)
        for name, shape in shapes.items():
            x = torch.zeros(shape)
            if name.endswith("embedding"):
                x.normal_(0, 0.5)
            elif name.endswith("w_hh"):
                for block in x.view(-1, hidden, hidden):
                    torch.nn.init.orthogonal_(block)
            elif len(shape) > 1:
                for part in x.view(-1, *shape[-2:]):
                    torch.nn.init.xavier_uniform_(part)
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(x))

    def p(self, name):
        return getattr(self, name.replace(".", "_"))

    @staticmethod
    def sizes(t):
        """The arguments after the vocabularies, from a file's tensors."""
        return t["encoder.embedding"].shape[1], t["init.bias"].shape[0]

    def tensors(self):
        return {n: self.p(n).detach().clone().contiguous() for n in self.names}

    def encode(self, source, lengths, drop=0.0):
        """source [B,T] ids with <eos> last -> annotations [B,T,2H], the same times w_a^T [B,T,H], s_0 [B,H], where not to attend [B,T]."""
        b, t = source.shape
        e = torch.nn.functional.dropout(self.p("encoder.embedding")[source], drop, self.training)
        packed = torch.nn.utils.rnn.pack_padded_sequence(e, lengths, batch_first=True, enforce_sorted=False)
        weights = [self.p("encoder." + n)[d] for d in (0, 1) for n in CELL]
        out, last = torch._VF.gru(packed.data, packed.batch_sizes, torch.zeros(2, b, self.hidden), weights, True, 1, 0.0, self.training, True)
        annotations, _ = torch.nn.utils.rnn.pad_packed_sequence(packed._replace(data=out), batch_first=True, total_length=t)
        state = torch.tanh(last[1][packed.unsorted_indices] @ self.p("init.weight").t() + self.p("init.bias"))
        return annotations, annotations @ self.p("attention.w_a").t(), state, torch.arange(t)[None] >= lengths[:, None]

    def step(self, y, fed, s, annotations, projected, exclude):
        """y: the previous word's embedding, fed: h~ before -> h~, s, weights."""
        s = torch.gru_cell(torch.cat([y, fed], 1), s, *(self.p("decoder." + n) for n in CELL))
        scores = torch.bmm(projected, s[:, :, None])[:, :, 0].masked_fill(exclude, float("-inf"))
        weights = torch.softmax(scores, 1)
        context = torch.bmm(weights[:, None], annotations)[:, 0]
        return torch.tanh(torch.cat([context, s], 1) @ self.p("attention.w_c").t()), s, weights

    def logits(self, attentional):
        return attentional @ self.p("output.weight").t() + self.p("output.bias")

    def forward(self, source, lengths, target, drop=0.0):
        """Logits [B,T,V] with the right previous words given (teacher forcing)."""
        annotations, projected, s, exclude = self.encode(source, lengths, drop)
        y = torch.nn.functional.dropout(self.p("decoder.embedding")[target[:, :-1]], drop, self.training)
        y = torch.cat([torch.zeros(len(y), 1, y.shape[2]), y], 1)
        fed, all_fed = torch.zeros_like(s), []
        for i in range(target.shape[1]):
            fed, s, _ = self.step(y[:, i], fed, s, annotations, projected, exclude)
            all_fed.append(fed)
        return self.logits(torch.nn.functional.dropout(torch.stack(all_fed, 1), drop, self.training))

    @torch.no_grad()
    def translate(self, sentences):
        """Greedy: a list of (target words, alignment [words + 1, source tokens + 1]) for a list of source token lists."""
        index = {w: i for i, w in enumerate(self.source)}
        ids = [[index[w] for w in s] + [0] for s in sentences]
        lengths = torch.tensor([len(i) for i in ids])
        source = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, i in zip(source, ids):
            row[:len(i)] = torch.tensor(i)
        annotations, projected, s, exclude = self.encode(source, lengths)
        y, fed = torch.zeros(len(ids), self.p("decoder.embedding").shape[1]), torch.zeros_like(s)
        done, words, rows = [False] * len(ids), [[] for _ in ids], [[] for _ in ids]
        for step in range(3 * (int(lengths.max()) - 1) + 10):
            fed, s, weights = self.step(y, fed, s, annotations, projected, exclude)
            best = self.logits(fed).argmax(1)
            for k, w in enumerate(best.tolist()):
                if done[k] or step >= 3 * (len(ids[k]) - 1) + 10:
                    continue
                rows[k].append(weights[k, :len(ids[k])])
                done[k] = w == 0
                if w:
                    words[k].append(self.target[w])
            if all(done):
                break
            y = self.p("decoder.embedding")[best]
        return [(w, torch.stack(r)) for w, r in zip(words, rows)]


if __name__ == "__main__":
    main(Luong, 3300)
