#!/usr/bin/env python3
"""What others score on the works that a run has held out, trained on just those that it has learnt.

    scripts/bench/peers/setup.sh
    .peers/venv/bin/python scripts/baselines.py RUN [--json] [--seseragi target/release/seseragi]

Split and text come from seseragi itself: `inspect RUN --json` says what was learnt and held out, and
`export RUN/job.toml --format parquet` has the words (the site or mirror that the job reads must be
there, or `fetch.revalidate` be "never"). Printed are bits per character of the held-out text:

- Kneser-Ney: modified, interpolated 5-grams (Chen and Goodman 1999, their equations 26 to 28 and the
  discounts of section 3.4) over seseragi's own stream: MeCab's words, those met three times in the
  learnt text as they are, the others in characters, characters met once there in bytes, and a mark
  at a document's end. Nothing adapts.
- PPMd: variant H of order 16 with 2 GiB, which has read the learnt text and goes on to learn what it
  reads. "carried" reads the held-out works one after the other, "each alone" goes back to the learnt
  text before each work.
- xz: preset 9e, whose window is larger than the text, each in the same way.

A compressor's share is the size of learnt and held-out text together, less that of the learnt alone.
"""
import argparse, hashlib, json, lzma, subprocess, sys, tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as parquet

ORDER = 5
DOCUMENT, BYTES, SURFACES = 0, 1, 257  # ids as in operators/src/vocabulary.rs
PPMD_MEMORY = 2 << 30


def documents(run, seseragi):
    """The words of the learnt and of the held-out documents, in catalogue order, and their ids."""
    inspected = json.loads(subprocess.check_output([seseragi, "inspect", run, "--json"]))
    fates = {(line["source"], line["id"]): line["fate"] for line in inspected["documents"]}
    with tempfile.TemporaryDirectory() as folder:
        export = [seseragi, "export", f"{run}/job.toml", "--to", folder, "--format", "parquet"]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        rows = parquet.read_table(f"{folder}/words.parquet").to_pylist()
    found = {"learnt": [], "held_out": []}
    ids = []
    for row in rows:
        fate = fates.pop((row["entry"]["source"], row["entry"]["id"]))
        words = [row["surfaces"][key] for key in row["keys"]]
        assert sum(map(len, words)) == row["characters"]
        found[fate].append(words)
        if fate == "held_out":
            ids.append(row["entry"]["id"])
    left = [of for of, fate in fates.items() if fate in found]
    assert not left, f"the run has {left} and the export has not"
    return found["learnt"], found["held_out"], sorted(ids)


def written(learnt, held_out):
    """Both sets of documents in ids, and how many ids there are."""
    counts = Counter(word for words in learnt for word in words)
    kept = {word for word, count in counts.items() if count >= 3}
    characters = Counter()
    for word, count in counts.items():
        if word not in kept:
            for character in word:
                characters[character] += count
    kept |= {character for character, count in characters.items() if count >= 2}
    ids = {word: SURFACES + number for number, word in enumerate(sorted(kept))}

    def spelled(word):
        if word in ids:
            return [ids[word]]
        return [
            id
            for c in word
            for id in ([ids[c]] if c in ids else [BYTES + byte for byte in c.encode()])
        ]

    spellings = {word: spelled(word) for words in learnt + held_out for word in set(words)}

    def of(documents):
        return [[id for word in words for id in spellings[word]] + [DOCUMENT] for words in documents]

    return of(learnt), of(held_out), SURFACES + len(ids)


def stream(documents):
    """Documents one after the other, each behind marks that nobody predicts; and what is predicted."""
    ids, predicted = [], []
    for words in documents:
        ids += [DOCUMENT] * (ORDER - 1) + words
        predicted += [False] * (ORDER - 1) + [True] * len(words)
    return np.array(ids, np.int64), np.array(predicted)


def kneser_ney(learnt, held_out, vocabulary):
    """-log2 p of the held-out ids, summed."""
    ids, predicted = stream(learnt)
    test, wanted = stream(held_out)

    def keys(ids, before):  # `before`: the shorter gram that ends one place earlier
        return np.concatenate([[-1], before[:-1]]) * vocabulary + ids

    # Of each order: the distinct grams of the learnt text, each place's gram, and the test's (-1 if
    # the learnt text has no such gram).
    ends, test_ends = [np.zeros(len(ids), np.int64)], [np.zeros(len(test), np.int64)]
    tables, grams = [None], [None]
    for order in range(1, ORDER + 1):
        table, first, end = np.unique(
            keys(ids, ends[-1]), return_index=True, return_inverse=True
        )
        key = keys(test, test_ends[-1])
        place = np.minimum(np.searchsorted(table, key), len(table) - 1)
        before = np.concatenate([[-1], test_ends[-1][:-1]])
        test_ends.append(np.where((table[place] == key) & (before >= 0), place, -1))
        ends.append(end)
        tables.append(table)
        grams.append(first)

    probability = np.full(len(test), 1.0 / vocabulary)
    for order in range(1, ORDER + 1):
        size = len(tables[order])
        raw = np.bincount(ends[order][predicted], minlength=size)
        if order == ORDER:
            counts = raw
        else:  # how many different ids stand before it
            longer = grams[order + 1]
            longer = longer[predicted[longer] & (longer > 0)]
            counts = np.bincount(ends[order][longer], minlength=size)
            counts[raw == 0] = 0
        context = np.concatenate([[0], ends[order - 1][:-1]])[grams[order]]
        contexts = len(tables[order - 1]) if order > 1 else 1
        n = [np.count_nonzero(counts == times) for times in (1, 2, 3, 4)]
        y = n[0] / (n[0] + 2 * n[1])
        discounts = np.array([0.0] + [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)])
        discount = discounts[np.minimum(counts, 3)]
        total = np.bincount(context, weights=counts, minlength=contexts)
        freed = np.bincount(context, weights=discount, minlength=contexts)

        gram, before = test_ends[order], np.concatenate([[0], test_ends[order - 1][:-1]])
        known = (before >= 0) & (total[before] > 0)
        own = np.where(gram >= 0, counts[gram] - discount[gram], 0.0)
        divisor = np.where(known, total[before], 1.0)
        lower = np.where(known, freed[before] / divisor, 1.0) * probability
        probability = np.where(known, own / divisor, 0.0) + lower
    return -np.log2(probability[wanted]).sum()


def ppmd(*texts):
    import pyppmd

    encoder = pyppmd.Ppmd7Encoder(16, PPMD_MEMORY)
    return sum(len(encoder.encode(text)) for text in texts) + len(encoder.flush())


def xz(*texts):
    return len(lzma.compress(b"".join(texts), preset=9 | lzma.PRESET_EXTREME))


def compressed(size, learnt, held_out):
    """Bits of the held-out texts: carried, and each alone."""
    alone = size(learnt)
    carried = size(learnt, b"".join(held_out)) - alone
    with ThreadPoolExecutor(2) as pool:
        each = sum(pool.map(lambda text: size(learnt, text) - alone, held_out))
    return 8 * carried, 8 * each


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("run", metavar="RUN")
    arguments.add_argument("--seseragi", default="target/release/seseragi")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--carried", action="store_true", help="leave out `each alone`")
    given = arguments.parse_args()
    learnt, held_out, ids = documents(given.run, given.seseragi)
    if not learnt or not held_out:
        sys.exit("the run has learnt nothing, or held nothing out")
    count = lambda documents: sum(len(word) for words in documents for word in words)
    characters = count(held_out)
    told = {
        "held_out": len(held_out),
        "held_out_hash": hashlib.sha256("".join(id + "\n" for id in ids).encode()).hexdigest(),
        "held_out_characters": characters,
        "learnt": len(learnt),
        "learnt_characters": count(learnt),
    }
    bits = {"Kneser-Ney, 5-grams": kneser_ney(*written(learnt, held_out))}
    # A mark stands for a document's end here too, which a compressor must tell like the others.
    text = lambda words: ("".join(words) + "\0").encode()
    learnt, held_out = b"".join(map(text, learnt)), list(map(text, held_out))
    for name, size in [("PPMd, order 16", ppmd), ("xz", xz)]:
        if given.carried:
            held_out = [b"".join(held_out)]
        carried, each = compressed(size, learnt, held_out)
        bits[f"{name}, carried"] = carried
        if not given.carried:
            bits[f"{name}, each alone"] = each
    told["bits_per_character"] = {name: bits / characters for name, bits in bits.items()}
    if given.json:
        print(json.dumps(told, indent=2))
        return
    for name, value in told.items():
        if name != "bits_per_character":
            print(f"{name:<28}{value}")
    for name, value in told["bits_per_character"].items():
        print(f"{name:<28}{value:.4f} bits per character")


if __name__ == "__main__":
    main()
