#!/usr/bin/env python3
"""Loads a checkpoint into PyTorch's own modules, and compares a passage's log-probabilities.

    seseragi evaluate RUN FILE --log-probabilities passage.json
    PYTHONPATH=.libtorch/python python3 scripts/load_in_torch.py RUN/checkpoints/EPOCH passage.json

Needs torch and safetensors, as set-up brings them. EPOCH may be a folder of one of its models.
Prints the greatest difference; exits with 1 if it is above 1e-4.
"""
import glob, json, sys

import torch
from safetensors.torch import load_file

CELLS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN, "irnn": torch.nn.RNN}


class Model(torch.nn.Module):
    """The network: an embedding, recurrent layers, a projection where there is one, a softmax."""

    def __init__(self, folder):
        super().__init__()
        folder = (glob.glob(f"{folder}/models/*") + [folder])[0]
        with open(f"{folder}/trainer.json", encoding="utf-8") as file:
            shape = json.load(file)["settings"]["shape"]
        tensors = load_file(f"{folder}/model.safetensors")
        rows, width = tensors["embedding.weight"].shape
        hidden = shape["hidden"]
        options = {"nonlinearity": "relu"} if shape["cell"] == "irnn" else {}
        self.embedding = torch.nn.Embedding(rows, width)
        self.recurrent = CELLS[shape["cell"]](width, hidden, shape["layers"], **options)
        if "projection.weight" in tensors:
            self.projection = torch.nn.Linear(hidden, width, bias=False)
        self.output = torch.nn.Linear(width if shape["tied"] else hidden, rows)
        if shape["tied"]:
            tensors["output.weight"] = tensors["embedding.weight"]
        self.load_state_dict(tensors)  # strict: every name and every size must be right

    def forward(self, ids):
        """ln p of each id given those before it; 0, the document mark, stands before the first."""
        before = torch.cat([torch.zeros(1, dtype=torch.long), ids[:-1]])
        features, _ = self.recurrent(self.embedding(before))
        if hasattr(self, "projection"):
            features = self.projection(features)
        return torch.log_softmax(self.output(features), 1)[torch.arange(len(ids)), ids]


if __name__ == "__main__":
    model = Model(sys.argv[1]).eval()
    with open(sys.argv[2], encoding="utf-8") as file:
        passages = json.load(file)
    differences = [torch.zeros(1)]
    for passage in passages:
        with torch.no_grad():
            ours = model(torch.tensor(passage["ids"]))
        differences.append((ours - torch.tensor(passage["log_probabilities"])).abs())
    worst = torch.cat(differences).max().item()  # NaN if there is one
    total = sum(len(passage["ids"]) for passage in passages)
    print(f"{total} ids in {len(passages)} documents; greatest difference {worst:.2e}")
    sys.exit(0 if total and worst <= 1e-4 else 1)
