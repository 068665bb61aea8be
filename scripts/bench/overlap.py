"""Streaming while training: the wall time against the slower of the two parts alone."""
import json

import corpus
from rig import CORES, Finding, Promise, at_most, built, interleaved, median, spread

MODEL = corpus.BARE + """
[vocabulary]
limit = 4096
[chunk]
words = 16384
[model]
layers = 1
hidden = 96
embedding = 64
[train]
threads = 1
batch = 32
sequence = 32
[held_out]
share = 0.0
every = "never"
"""


def measure(rig):
    library = corpus.corpus(rig.folder("pages"), 40)
    with corpus.Server(library.folder, rig.log) as server:
        job = corpus.over_http(rig.work / "overlap.toml", server.base, MODEL, embedded=False)
        _, home = rig.export(job, workers=1)
        asked = json.dumps(dict(
            ids=str(home / "out/words.u32"), rows=0, layers=1, hidden=96, embedding=64, tied=True, batch=32,
            sequence=32, threads=1, rate=2e-3, clip=1.0, chunk=16384))

        gave = interleaved(rig.rounds, {
            "the pipeline alone (export)": lambda: rig.export(job, workers=1)[0],
            "training alone (the same chunks, from a file)": lambda: rig.run([built("bench-learn"), asked]),
            "streaming": lambda: rig.train(job, workers=1, max_workers=1),
        })
    rows = [
        (name, f"{median([run.seconds for run in runs]):.2f}", spread([run.seconds for run in runs]),
         f"{median([run.processor for run in runs]):.2f}")
        for name, runs in gave.items()
    ]
    pipeline, training, streaming = (median([run.seconds for run in runs]) for runs in gave.values())
    ratio = streaming / max(pipeline, training)
    says = "streaming takes ≤ 1.05× of the slower part alone, where they have their own cores"
    promise = at_most(says, ratio, 1.05) if CORES >= 2 else Promise(says, "this machine has one core", None)
    return Finding("Overlap", [(("what", "s, whole process", "spread", "processor s"), rows)], [
        f"{len(library.paths)} pages of {library.name} over loopback HTTP, one worker and one thread of the trainer, "
        f"so a core for each of {CORES}; LSTM 1×96. Rounds: {rig.rounds}.",
    ], [promise])
