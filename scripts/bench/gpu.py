"""On a GPU: words a second beside PyTorch and beside the matrix products alone, and how busy a job keeps it."""
import json
import subprocess

import corpus
from rig import CORES, ROOT, Finding, Promise, at_least, built, interleaved, median, said, spread

SHAPE = dict(
    rows=20_000, layers=2, hidden=1024, embedding=512, tied=True, batch=128, sequence=64, rate=1e-3, clip=0.25, steps=64, warm=16,
    threads=CORES, device="cuda:0")
PRECISIONS = ("float32", "bf16")
MODEL = corpus.BARE + """
[model]
layers = 2
hidden = 1024
embedding = 512
tied = true
[vocabulary]
limit = 20000
[train]
device = "cuda:0"
precision = "bf16"
batch = 128
sequence = 64
[held_out]
share = 0.0
every = "never"
"""
FASTER = "on a GPU, {}: words/s ≥ 1.2× of PyTorch"
BUSY = "on a GPU, a streaming job keeps it busy for ≥ 95 % of the wall time in steady state"
# Of a job's samples so many, at its beginning and at its end, are not its steady state.
EDGE = 0.2


def measure(rig):
    asks = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    name = rig.run(["python3", "-c", asks], env=rig.torch).out.strip()
    if not name:
        reason = "there is no GPU here that this libtorch can use"
        return Finding("On a GPU", notes=[f"Not measured: {reason}."], promises=[
            Promise(says, reason, None) for says in [*map(FASTER.format, PRECISIONS), BUSY]])

    library = corpus.corpus(rig.folder("pages"), copies=4)
    job = corpus.over_files(rig.work / "gpu.toml", library, MODEL, embedded=False)
    _, home = rig.export(job, workers=CORES)
    peer, products = (ROOT / "scripts/bench/peers" / name for name in ("training.py", "products.py"))
    contestants = {}
    for precision in PRECISIONS:
        asked = json.dumps(SHAPE | {"ids": str(home / "out/words.u32"), "precision": precision})
        contestants[precision, "PyTorch"] = lambda asked=asked: rig.run(["python3", peer, asked], env=rig.torch)
        contestants[precision, "seseragi"] = lambda asked=asked: rig.run([built("bench-learn"), asked])
        contestants[precision, "the matrix products alone"] = lambda asked=asked: rig.run(["python3", products, asked], env=rig.torch)
    gave = interleaved(rig.rounds, contestants)
    rate = {key: [run.json["words_per_second"] for run in runs] for key, runs in gave.items()}
    rows = [(precision, who, f"{median(values):,.0f}", spread(values, "{:,.0f}"), f"{median(values) / median(rate[precision, 'the matrix products alone']):.0%}")
            for (precision, who), values in rate.items()]

    samples = [steady(rig, job) for _ in range(rig.rounds)]
    busy = [sum(run) / len(run) for run in samples]
    judged = [at_least(FASTER.format(precision), median(rate[precision, "seseragi"]) / median(rate[precision, "PyTorch"]), 1.2) for precision in PRECISIONS]
    return Finding("On a GPU", [
        (("precision", "who", "words/s", "spread", "of the products"), rows),
        (("what", "busy", "spread"), [("a streaming job, bf16, in steady state", f"{median(busy):.1f} %", spread(busy, "{:.1f} %"))]),
    ], [
        f"{name}; driver {said(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'])}. LSTM 2×1024, 20,000 words, tied, "
        f"batch 128 × 64; ids of {library.name}. Rounds: {rig.rounds}.",
        f"Busy: the mean of what nvidia-smi calls utilization, asked five times a second, without the first and the last {EDGE:.0%} of a job's samples.",
    ], [*judged, at_least(BUSY, median(busy), 95, " %")])


def steady(rig, job):
    """How busy the GPU was, in per cent, sampled while a job ran, without its beginning and its end."""
    settings = {"directory": rig.folder("stream"), "workers": CORES, "max_workers": CORES}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    asks = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    with subprocess.Popen(asks, stdout=subprocess.PIPE, text=True) as watch:
        try:
            rig.run([rig.seseragi, "run", job, "--json", *sets])
        finally:
            watch.terminate()
        samples = [float(line) for line in watch.stdout.read().split()]
    edge = int(len(samples) * EDGE)
    return samples[edge : len(samples) - edge]
