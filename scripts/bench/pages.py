"""Pages to vectors: the original Python stack, a careful one, and the river, on the same pages in turns."""
import corpus
from rig import ROOT, Finding, Trouble, at_least, interleaved, median, spread

PAGES = 150


def measure(rig):
    if corpus.vectors() is None:
        raise Trouble("there are no pretrained vectors; put some into vectors/*.bin of SESERAGI_TEST_DATA")
    library = corpus.corpus(rig.folder("pages"), PAGES)
    whole = corpus.corpus(rig.folder("whole"))
    peers = ROOT / "scripts/bench/peers/pages.py"
    with corpus.Server(library.folder, rig.log) as near, corpus.Server(whole.folder, rig.log) as far:
        files, addresses = rig.work / "files.list", rig.work / "addresses.list"
        files.write_text("\n".join(map(str, library.paths)))
        addresses.write_text("\n".join(f"{near.base}/{path.relative_to(library.folder)}" for path in library.paths))
        over = {
            "files": corpus.over_files(rig.work / "files.toml", library),
            "HTTP": corpus.over_http(rig.work / "http.toml", near.base),
            "HTTP, all": corpus.over_http(rig.work / "whole.toml", far.base),
        }
        lists = {"files": files, "HTTP": addresses}

        def stack(which, way):
            return lambda: rig.run([rig.peer, peers, which, lists[way], corpus.vectors()])

        def ours(way, workers):
            return lambda: rig.export(over[way], workers=workers)[0]

        contestants = {}
        for way in ("files", "HTTP"):
            contestants |= {
                (way, "original"): stack("original", way),
                (way, "careful"): stack("careful", way),
                (way, "1 worker"): ours(way, 1),
                (way, "2 workers"): ours(way, 2),
            }
        contestants |= {("HTTP, all", f"{n} worker{'s' * (n > 1)}"): ours("HTTP, all", n) for n in (1, 2)}
        gave = interleaved(rig.rounds, contestants)

    # One count of characters for all: the clean text of the pages, as our own extraction has it.
    clean = {way: gave[way, "1 worker"][0].json["characters"] for way in over}
    rows, rates = [], {}
    for (way, who), runs in gave.items():
        rate = [clean[way] / ran.json["seconds"] / 1e6 for ran in runs]
        rates[way, who] = median(rate)
        rows.append((
            way, who if "worker" not in who else f"**seseragi, {who}**", runs[0].json["pages"],
            f"{runs[0].json['characters']:,}", f"{median([ran.json['seconds'] for ran in runs]):.2f}",
            f"{median(rate):.3f}", spread(rate, "{:.3f}"), f"{median([ran.seconds for ran in runs]):.2f}",
            f"{median([ran.processor for ran in runs]):.2f}",
            f"{median([ran.peak_mib for ran in runs]):.0f}",
        ))
    finding = Finding("Pages to vectors", [(
        ("over", "who", "pages with text", "characters of it", "s", "million characters/s", "spread", "whole process, s", "processor s", "peak MiB"),
        rows,
    )], [
        f"{library.name}: the first {PAGES} pages in the order of their paths ({library.bytes / 1e6:.1f} MB), and all {len(whole.paths)}.",
        "Rates are by one count of characters, that of the clean text of the same pages; each stack's own count "
        "differs with what it takes for text. Seconds leave out the loading of vectors and dictionary, of ours as of the peers'; "
        "the whole process holds everything, and so does its processor time, which tells even where other work has the cores too.",
        "Original: BeautifulSoup (html.parser), MeCab through natto-py, gensim. Careful: selectolax, MeCab through fugashi, numpy. "
        "Both are one process with one thread; HTTP is asked for a page after the other, as such scripts do. "
        "Vectors: of every word, the original has a view of the table and the careful stack a copy; we have the number of a "
        f"table's row once for each distinct word of a page. Rounds: {rig.rounds}.",
    ])
    for way in ("files", "HTTP"):
        one, two = rates[way, "1 worker"], rates[way, "2 workers"]
        finding.promises += [
            at_least(f"{way}, one worker: ≥ 25× the original stack", one / rates[way, "original"], 25),
            at_least(f"{way}, one worker: ≥ 2.2× the careful stack", one / rates[way, "careful"], 2.2),
            at_least(f"{way}, two workers: ≥ 4× the careful stack", two / rates[way, "careful"], 4),
        ]
    return finding
