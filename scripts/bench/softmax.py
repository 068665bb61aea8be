"""The adaptive softmax against the full one at 40,000 words: time, and held-out loss."""
import json

import corpus
from rig import CORES, WAITING, Finding, at_least, at_most, built, interleaved

ROWS = 40_000
KINDS = ("full", "adaptive")
# Each learns at that rate which serves it best in its first chunks: what suits one need not suit the other. From there
# the rate falls to nothing along a cosine: at a constant one, the loss of either goes up and down by more than they differ.
RATES = (2e-3, 4e-3, 8e-3)
TRIED = 2
BATCH, SEQUENCE = 32, 64
WINDOW = BATCH * SEQUENCE
CHUNK = 32_768
CHUNKS = 8
HELD_OUT = 50_000


def measure(rig):
    library = corpus.corpus(rig.folder("pages"))
    job = corpus.over_files(rig.work / "softmax.toml", library, embedded=False)
    _, home = rig.export(job, workers=CORES, **{"vocabulary.limit": ROWS, "vocabulary.minimum_count": 2})
    # The stream's end, where the vocabulary is as large as it gets.
    ids = home / "out/words.u32"
    end = rig.work / "end.u32"
    end.write_bytes(ids.read_bytes()[-4 * (CHUNK * CHUNKS + HELD_OUT):])
    shape = dict(ids=str(end), rows=ROWS, layers=1, hidden=256, embedding=200, tied=True, batch=BATCH, sequence=SEQUENCE,
                 clip=1.0, threads=CORES, chunk=CHUNK, held_out=HELD_OUT)

    def learn(name, rate, **more):
        cutoffs = [2000, 10_000] if name == "adaptive" else []
        steps = more.get("steps", CHUNK * CHUNKS // WINDOW)
        asked = json.dumps(dict(shape, cutoffs=cutoffs, rate=rate, cosine=steps, **more))
        return lambda: rig.run([built("bench-learn"), asked], env=WAITING)

    few = TRIED * CHUNK // WINDOW
    trials = interleaved(1, {(name, rate): learn(name, rate, steps=few) for name in KINDS for rate in RATES})
    held_out = {tried: json.loads(runs[0].out.strip().splitlines()[-2])["held_out"] for tried, runs in trials.items()}
    best = {name: min(RATES, key=lambda rate: held_out[name, rate]) for name in KINDS}
    gave = interleaved(1, {name: learn(name, best[name]) for name in KINDS})
    lines = {name: [json.loads(line) for line in runs[0].out.strip().splitlines()] for name, runs in gave.items()}
    rows = [
        (f"{(full['chunk'] + 1) * CHUNK:,}", f"{full['held_out']:.3f}", f"{full['seconds']:.1f}",
         f"{adaptive['held_out']:.3f}", f"{adaptive['seconds']:.1f}")
        for full, adaptive in zip(lines["full"][:-1], lines["adaptive"][:-1])
    ]
    seconds = {name: of[-1]["seconds"] for name, of in lines.items()}
    loss = {name: of[-2]["held_out"] for name, of in lines.items()}
    return Finding("Adaptive softmax", [(
        ("words learnt", "full: nats held out", "s", "adaptive: nats held out", "s"), rows,
    )], [
        f"{ROWS:,} rows, LSTM 1×256, embedding 200, tied, windows of {BATCH} × {SEQUENCE}, {CORES} threads; the last "
        f"{CHUNK * CHUNKS:,} ids of {library.name}, {HELD_OUT:,} more held out. Each at the rate of {RATES} that "
        f"held out best after {TRIED * CHUNK:,} words, and falling from there to nothing along a cosine: full {best['full']}, adaptive {best['adaptive']}; "
        "which rate is best in the end was not searched for.",
    ], [
        at_least("adaptive softmax ≥ 4× as fast as the full one", seconds["full"] / seconds["adaptive"], 4),
        at_most("at a held-out loss that is at most 1 % higher", loss["adaptive"] / loss["full"], 1.01),
    ])
