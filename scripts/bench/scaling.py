"""From one worker to two, and what the whole river keeps of tokenizing's own speed."""
from concurrent.futures import ThreadPoolExecutor

import corpus
from rig import CORES, Finding, Promise, at_least, built, interleaved, median, spread

# Each page so many times, distinct: at the beginning of a run workers wait for the first pages and at its end for each other,
# some 0.1 s together, and what is asked is how fast they are between.
COPIES = 4


def measure(rig):
    whole, manifold = (corpus.corpus(rig.folder(f"pages-{n}"), copies=n) for n in (1, COPIES))
    job, short = (corpus.over_files(rig.work / f"scaling-{len(it.paths)}.toml", it) for it in (manifold, whole))
    pages = rig.work / "scaling.list"
    pages.write_text("\n".join(map(str, whole.paths)))
    counts = [n for n in (1, 2, 4, 8, 16) if n <= CORES]

    def export(workers, job=job, cores=None):
        return lambda: rig.export(job, workers=workers, cores=cores)[0]

    workers = lambda n: f"{n} worker{'s' * (n > 1)}"
    contestants = {workers(n): export(n) for n in counts}
    contestants["1 worker, all on one core"] = export(1, cores={0})
    contestants.update({f"{workers(n)}, {len(whole.paths)} pages": export(n, short) for n in counts[:2]})

    def cut(core):
        return rig.run([built("bench-cut"), pages], cores={core})

    def cut_twice():
        """Two processes that share nothing: what of a second core this machine gives at all."""
        with ThreadPoolExecutor(2) as both:
            return list(both.map(cut, (0, 1)))

    contestants["tokenizing alone"] = lambda: cut(0)
    if CORES >= 2:
        contestants["tokenizing twice"] = cut_twice
    gave = interleaved(rig.rounds, contestants)

    alone, twice = gave.pop("tokenizing alone"), gave.pop("tokenizing twice", [])
    rates = {name: [run.json["characters"] / run.json["seconds"] / 1e6 for run in runs] for name, runs in gave.items()}
    rows = [
        (name, f"{median(rate):.3f}", spread(rate, "{:.3f}"), f"{median([run.processor / run.seconds for run in gave[name]]):.2f}",
         f"{median([run.processor for run in gave[name]]):.2f}")
        for name, rate in rates.items()
    ]
    for what, says in (("lattice", "tokenizing alone: lindera's lattice"), ("analyzer", "tokenizing alone: our analyzer")):
        rate = [run.json["characters"] / run.json[what] / 1e6 for run in alone]
        rates[what] = rate
        rows.append((says, f"{median(rate):.3f}", spread(rate, "{:.3f}"), "1", ""))
    if twice:
        rate = [sum(run.json["characters"] / run.json["analyzer"] for run in runs) / 1e6 for runs in twice]
        times = median(rate) / median(rates["analyzer"])
        rows.append((f"our analyzer alone, two processes at once, a core each: {times:.2f}×", f"{median(rate):.3f}", spread(rate, "{:.3f}"), "2", ""))
    one = median(rates["1 worker"])
    finding = Finding("Scaling, and the limit", [(("what", "million characters/s", "spread", "cores in use", "processor s"), rows)], [
        f"{whole.name}: {len(whole.paths)} pages, as they are and {COPIES - 1} times more with a mark in every line, so that no text comes twice: "
        f"{len(manifold.paths)} from files, {manifold.bytes / 1e6:.0f} MB; below, the {len(whole.paths)} alone, where the beginning "
        "and the end of the run weigh more. Tokenizing alone has the text of those. `export --format ids` with vectors, so extraction to embedding and the weir after it.",
        "With one worker the reading of files, the weir and the writing already use a part of a second core; "
        "\"all on one core\" has them share the worker's.",
    ])
    if CORES >= 2:
        finding.promises.append(at_least("two workers: ≥ 1.9× one, on two cores", median(rates["2 workers"]) / one, 1.9))
    if CORES >= 16:
        finding.promises.append(at_least("sixteen workers: ≥ 13× one", median(rates["16 workers"]) / one, 13))
    else:
        finding.promises.append(Promise("sixteen workers: ≥ 13× one", f"this machine has {CORES} cores", None))
    finding.promises.append(at_least("the whole river, one worker: ≥ 0.75× of lindera's lattice alone", one / median(rates["lattice"]), 0.75))
    return finding
