"""The matrix products of training a word model, and nothing else: no training on this machine is faster.

    products.py '{"rows": 20000, "layers": 2, "hidden": 512, "embedding": 200, …}'

The argument is what `bench-learn` takes; see there. Each product of a step is computed as libtorch would be asked
for it, into memory that is there already: forward, and backward once for what comes in and once for the weights.
What a step has beside them (gates, softmax, embeddings, clipping, the optimizer) is left out. Prints a line of JSON.
"""
import json
import sys
import time

import torch


def products(rows, layers, hidden, embedding, tied, batch, sequence):
    """Of one step: each product's (m, k, n), and how often it is computed, one after the other."""
    words, gates = batch * sequence, 4 * hidden
    width = embedding if tied else hidden
    linear = [(embedding if layer == 0 else hidden, gates) for layer in range(layers)]
    linear += [(hidden, width)] if width != hidden else []
    linear += [(width, rows)]
    for inputs, outputs in linear:
        yield (words, inputs, outputs), 1  # forward
        yield (words, outputs, inputs), 1  # for what came in
        yield (inputs, words, outputs), 1  # for the weights
    # A state waits for the one before it, there and back; what the weights get is one product over all.
    yield (batch, hidden, gates), sequence * layers
    yield (batch, gates, hidden), sequence * layers
    yield (hidden, words, gates), layers


def main(rows, layers, hidden, embedding, tied, batch, sequence, threads, steps, warm, device="cpu", precision="float32", **_):
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True  # as cuDNN's layers may
    of = dict(device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    asked = [(torch.rand(m, k, **of), torch.rand(k, n, **of), torch.empty(m, n, **of), times)
             for (m, k, n), times in products(rows, layers, hidden, embedding, tied, batch, sequence)]
    operations = sum(2 * left.numel() * right.shape[1] * times for left, right, _, times in asked)

    def compute():
        for left, right, into, times in asked:
            for _ in range(times):
                torch.mm(left, right, out=into)

    finish = lambda: None
    if device != "cpu":
        finish = torch.cuda.synchronize
        compute()  # what is made once is not to be part of the recording
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            compute()
        compute = recorded.replay  # so that to ask for each product takes no time
    for step in range(steps + warm):
        if step == warm:
            finish()
            begun = time.perf_counter()
        compute()
    finish()
    seconds = time.perf_counter() - begun
    print(json.dumps({
        "words_per_second": steps * batch * sequence / seconds, "operations_per_second": steps * operations / seconds,
        "operations_per_word": operations / (batch * sequence),
    }))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
