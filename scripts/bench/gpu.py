"""On a GPU: words a second beside PyTorch and beside the matrix products alone, and how busy a job keeps it."""
import json
import threading

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
PERIOD = 0.2  # seconds from one answer to the next question
ENOUGH = 10  # samples of a job


def measure(rig):
    asks = (
        "import torch\nif torch.cuda.is_available():\n    found = torch.cuda.get_device_properties(0)\n"
        "    print(found.name, f'GPU-{found.uuid}', sep=chr(9))")
    found = rig.run(["python3", "-c", asks], env=rig.torch).out.strip()
    if not found:
        reason = "there is no GPU here that this libtorch can use"
        return Finding("On a GPU", notes=[f"Not measured: {reason}."], promises=[
            Promise(says, reason, None) for says in [*map(FASTER.format, PRECISIONS), BUSY]])

    name, number = found.split("\t")
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

    samples = [steady(rig, job, number) for _ in range(rig.rounds)]
    if all(len(run) >= ENOUGH for run in samples):
        busy = [sum(run) / len(run) for run in samples]
        kept = at_least(BUSY, median(busy), 95, " %")
        busy = (f"{median(busy):.1f} %", spread(busy, "{:.1f} %"))
    else:
        kept = Promise(BUSY, f"nvidia-smi gave {min(map(len, samples))} samples of a job", None)
        busy = ("", "")
    judged = [at_least(FASTER.format(precision), median(rate[precision, "seseragi"]) / median(rate[precision, "PyTorch"]), 1.2) for precision in PRECISIONS]
    return Finding("On a GPU", [
        (("precision", "who", "words/s", "spread", "of the products"), rows),
        (("what", "busy", "spread"), [("a streaming job, bf16, in steady state", *busy)]),
    ], [
        f"{name}; driver {said(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'])}. LSTM 2×1024, 20,000 words, tied, "
        f"batch 128 × 64; ids of {library.name}. Rounds: {rig.rounds}.",
        f"Busy: the mean of what nvidia-smi calls utilization, asked every {PERIOD} s, without the first and the last {EDGE:.0%} of a job's samples.",
        "PyTorch's automatic casting takes the LSTM to float16; ours is in bfloat16 throughout.",
    ], [*judged, kept])


def steady(rig, job, number):
    """How busy the GPU was, in per cent, sampled while a job ran, without its beginning and its end."""
    asks = ["nvidia-smi", f"--id={number}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    samples, ended = [], threading.Event()

    def watch():
        while not ended.wait(PERIOD):
            answer = said(asks)
            if answer.isdecimal():  # not where it knows nothing of it
                samples.append(float(answer))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        rig.train(job, workers=CORES, max_workers=CORES)
    finally:
        ended.set()
        watcher.join()
    edge = int(len(samples) * EDGE)
    return samples[edge : len(samples) - edge]
