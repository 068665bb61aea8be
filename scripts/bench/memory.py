"""Peak resident size: ten times the corpus, and a trainer ten times as slow."""
import corpus
from overlap import MODEL
from rig import CORES, Finding, at_most, interleaved, median, spread


def measure(rig):
    once, tenfold = (corpus.corpus(rig.folder(f"pages-{n}"), copies=n) for n in (1, 10))
    few = corpus.corpus(rig.folder("pages-few"), 24)
    jobs = {n: corpus.over_files(rig.work / f"memory-{n}.toml", library) for n, library in (("once", once), ("tenfold", tenfold))}
    with corpus.Server(few.folder, rig.log) as server:
        # Small epochs, so that reading ahead is a small part of so few pages.
        job = corpus.over_http(rig.work / "slow.toml", server.base, MODEL + "[flow]\nepoch_entries = 2\nepochs_in_flight = 4\n", embedded=False)

        def train(passes):
            return rig.train(job, workers=1, max_workers=CORES, **{"train.passes": passes})

        gave = interleaved(min(rig.rounds, 2), {
            "export, once": lambda: rig.export(jobs["once"], workers=CORES)[0],
            "export, tenfold": lambda: rig.export(jobs["tenfold"], workers=CORES)[0],
            "training, 1 pass": lambda: train(1),
            "training, 10 passes": lambda: train(10),
        })
    pages = {"export, once": len(once.paths), "export, tenfold": len(tenfold.paths)}
    peak = {name: [run.peak_mib for run in runs] for name, runs in gave.items()}
    rows = [
        (name, pages.get(name, len(few.paths)), f"{median(peak[name]):.0f}", spread(peak[name], "{:.0f}"),
         f"{pages.get(name, len(few.paths)) / median([run.seconds for run in runs]):.1f}")
        for name, runs in gave.items()
    ]
    grown = lambda less, more: median(peak[more]) / median(peak[less])
    return Finding("Memory", [(("what", "pages", "peak resident MiB", "spread", "pages/s"), rows)], [
        f"{once.name}, {once.bytes / 1e6:.0f} MB, from files, {CORES} workers, with vectors; tenfold: {tenfold.bytes / 1e6:.0f} MB, every line of "
        "every copy marked, so that no text comes twice. Libraries, dictionary and vectors are mapped, and counted as far as they were touched.",
        f"A trainer ten times as slow: {len(few.paths)} pages over loopback HTTP, `train.passes` 1 and 10, at most four epochs of two pages open.",
    ], [
        at_most("the pipeline's peak grows by at most 5 % with ten times the corpus", grown("export, once", "export, tenfold"), 1.05),
        at_most("a trainer that is ten times as slow slows the requests, not the memory (5 %)", grown("training, 1 pass", "training, 10 passes"), 1.05),
    ])
