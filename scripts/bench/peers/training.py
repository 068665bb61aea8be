"""A word model in plain PyTorch, as its tutorials build one: what our training is compared with.

    training.py '{"ids": "words.u32", "rows": 20000, "layers": 2, "hidden": 512, …}'

The argument is what `bench-learn` takes; see there. Prints the same line of JSON.
Backpropagation is truncated, the state carried on; Adam; gradients clipped by their norm.
"""
import json
import sys
import time

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, rows, layers, hidden, embedding, tied):
        super().__init__()
        self.embedding = nn.Embedding(rows, embedding)
        self.recurrent = nn.LSTM(embedding, hidden, layers)
        width = embedding if tied else hidden
        self.projection = nn.Linear(hidden, width, bias=False) if width != hidden else nn.Identity()
        self.output = nn.Linear(width, rows)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, words, state):
        features, state = self.recurrent(self.embedding(words), state)
        return self.output(self.projection(features)), state


def main(rows, layers, hidden, embedding, tied, batch, sequence, threads, rate, clip, ids, steps, warm, device="cpu", precision="float32"):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    with open(ids, "rb") as file:
        words = torch.frombuffer(bytearray(file.read()), dtype=torch.int32).long() % rows
    columns = (len(words) - 1) // batch
    lanes = lambda first: words[first : first + columns * batch].view(batch, columns).t().contiguous().to(device)
    inputs, targets = lanes(0), lanes(1)
    model = Model(rows, layers, hidden, embedding, tied).to(device)
    casts = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    loss_of = nn.CrossEntropyLoss()
    finish = torch.cuda.synchronize if device != "cpu" else lambda: None
    state, losses = None, []
    windows = columns // sequence
    for step in range(steps + warm):
        if step == warm:
            finish()
            begun = time.perf_counter()
        if step % windows == 0:
            state = None
        window = slice(step % windows * sequence, (step % windows + 1) * sequence)
        with casts:
            logits, state = model(inputs[window], state)
            loss = loss_of(logits.view(-1, rows), targets[window].reshape(-1))
        state = tuple(part.detach() for part in state)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.detach())  # to look at it would be to wait for a GPU
    finish()
    seconds = time.perf_counter() - begun
    losses = torch.stack(losses).tolist()
    learnt = steps * batch * sequence
    print(json.dumps({
        "steps": steps, "words": learnt, "seconds": seconds, "words_per_second": learnt / seconds,
        "loss": sum(losses[warm:]) / steps, "last_loss": losses[-1],
    }))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
