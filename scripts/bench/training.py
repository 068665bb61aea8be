"""Training on the same ids, shapes and threads: our trainer and plain PyTorch, in turns, and the ceiling for both."""
import json

import corpus
from rig import CORES, ROOT, WAITING, Finding, at_least, built, interleaved, median, spread

CEILING = "the matrix products alone"

# The names of shapes that a promise is about, and whether it is judged.
SHAPES = {
    "2×512, 20,000 words": dict(
        rows=20_000, layers=2, hidden=512, embedding=200, tied=False, batch=32, sequence=64, rate=1e-3, clip=0.25, steps=8, warm=2),
    "2×512, 20,000 words, tied": dict(
        rows=20_000, layers=2, hidden=512, embedding=200, tied=True, batch=32, sequence=64, rate=1e-3, clip=0.25, steps=8, warm=2),
    "1×256, 8,192 words, tied (jobs/mirror.toml)": dict(
        rows=8192, layers=1, hidden=256, embedding=128, tied=True, batch=64, sequence=32, rate=3e-3, clip=1.0, steps=32, warm=4),
}


def measure(rig):
    library = corpus.corpus(rig.folder("pages"), 150)
    job = corpus.over_files(rig.work / "training.toml", library, embedded=False)
    _, home = rig.export(job, workers=CORES, **{"vocabulary.limit": 20_000})
    ids = home / "out/words.u32"
    peer, products = (ROOT / "scripts/bench/peers" / name for name in ("training.py", "products.py"))

    contestants = {}
    for name, shape in SHAPES.items():
        asked = json.dumps(dict(shape, ids=str(ids), threads=CORES))
        contestants[name, "PyTorch"] = lambda asked=asked: rig.run(["python3", peer, asked], env=rig.torch)
        # Its threads spin where they wait, which is ruinous where other work has the cores. The faster counts.
        contestants[name, "PyTorch, told to sleep"] = lambda asked=asked: rig.run(
            ["python3", peer, asked], env=rig.torch | {"OMP_WAIT_POLICY": "passive"})
        contestants[name, "seseragi"] = lambda asked=asked: rig.run([built("bench-learn"), asked], env=WAITING)
        # Spinning costs nothing where nobody else is: a ceiling should be high.
        contestants[name, CEILING] = lambda asked=asked: rig.run(["python3", products, asked], env=rig.torch)
    gave = interleaved(rig.rounds, contestants)

    rows, promises = [], []
    for name in SHAPES:
        rate = {who: [run.json["words_per_second"] for run in gave[name, who]] for who in ("PyTorch", "PyTorch, told to sleep", "seseragi")}
        best = max(("PyTorch", "PyTorch, told to sleep"), key=lambda who: median(rate[who]))
        ratio = median(rate["seseragi"]) / median(rate[best])
        each = [ours / theirs for ours, theirs in zip(rate["seseragi"], rate[best])]
        for who, values in rate.items():
            runs = gave[name, who]
            rows.append((name, f"**{who}**" if who == "seseragi" else who, f"{median(values):,.0f}", spread(values, "{:,.0f}"),
                         f"{median([run.processor for run in runs]):.1f}", f"{runs[0].json['loss']:.2f}", f"{median([run.peak_mib for run in runs]):,.0f}"))
        rows.append((name, f"ratio to {best}", f"{ratio:.2f}×", spread(each), "", "", ""))
        alone = [run.json for run in gave[name, CEILING]]
        ceiling = [run["words_per_second"] for run in alone]
        rows.append((name, f"{CEILING}, {median([run['operations_per_second'] for run in alone]) / 1e9:,.0f} GFLOP/s",
                     f"{median(ceiling):,.0f}", spread(ceiling, "{:,.0f}"), "", "", ""))
        rows.append((name, "of which seseragi has", f"{median(rate['seseragi']) / median(ceiling):.0%}", "", "", "", ""))
        promises.append(at_least(f"{name}: words/s ≥ 1.2× of PyTorch", ratio, 1.2))
    return Finding("Training", [(("shape", "who", "words/s", "spread", "processor s, whole process", "mean loss, nats", "peak MiB"), rows)], [
        f"LSTM, Adam, clipping by norm, forward to step, {CORES} threads, float32, the same libtorch; ids of {library.name}. "
        f"Steps that warm up are not counted. Rounds: {rig.rounds}.",
        "The ceiling: each matrix product of a step, forward and backward, computed by the same libtorch with as many threads, and nothing beside them.",
    ], promises)
