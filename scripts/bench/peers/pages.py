"""Pages to vectors in Python, one process: what seseragi is compared with.

    pages.py {original|careful} LIST VECTORS

LIST names a page a line: paths, or addresses, which are fetched one after the other. `original` is
what many begin with: BeautifulSoup with html.parser, MeCab through natto-py, gensim. `careful` is what
somebody picks who looks for speed: selectolax, MeCab through fugashi, a table of numpy.

Both take the text of `.main_text` of each page, cut its lines into words, and gather the vectors of
those words that have one. Prints a line of JSON; the seconds do not hold imports, the loading of
vectors and of the dictionary, nor the first word.
"""
import json
import sys
import time
import urllib.request

from gensim.models import KeyedVectors


class Original:
    def __init__(self, vectors):
        from bs4 import BeautifulSoup
        from natto import MeCab

        self.soup, self.vectors = BeautifulSoup, vectors
        self.mecab = MeCab("-d /var/lib/mecab/dic/ipadic-utf8")

    def text(self, page):
        found = self.soup(page, "html.parser").find(class_="main_text")
        return found.get_text() if found else ""

    def words(self, text):
        nodes = (node for line in text.splitlines() for node in self.mecab.parse(line, as_nodes=True))
        return [node.surface for node in nodes if not node.is_eos()]

    def embedded(self, words):
        rows = []
        for word in words:
            try:
                rows.append(self.vectors[word])
            except KeyError:
                pass
        return rows


class Careful:
    def __init__(self, vectors):
        import fugashi
        import ipadic
        from selectolax.lexbor import LexborHTMLParser

        self.parser, self.table, self.rows = LexborHTMLParser, vectors.vectors, vectors.key_to_index.get
        self.mecab = fugashi.GenericTagger(ipadic.MECAB_ARGS + " -Owakati")

    def text(self, page):
        tree = self.parser(page.decode("cp932", "replace"))
        for reading in tree.css(".main_text rt, .main_text rp"):
            reading.decompose()
        found = tree.css_first(".main_text")
        return found.text() if found else ""

    def words(self, text):
        words = []
        for line in text.splitlines():
            words.extend(self.mecab.parse(line).split())
        return words

    def embedded(self, words):
        return self.table[[row for row in map(self.rows, words) if row is not None]]


def read(place):
    if place.startswith("http://"):
        with urllib.request.urlopen(place) as answer:
            return answer.read()
    with open(place, "rb") as file:
        return file.read()


def main(which, pages, vectors):
    with open(pages, encoding="utf-8") as file:
        pages = file.read().split()
    stack = {"original": Original, "careful": Careful}[which](KeyedVectors.load_word2vec_format(vectors, binary=True))
    stack.words("初めの言葉")
    stages = dict.fromkeys(["fetch", "extract", "tokenize", "embed"], 0.0)
    counts = dict.fromkeys(["pages", "characters", "words", "vectors"], 0)
    begun = time.perf_counter()
    for place in pages:
        ticks = [time.perf_counter()]
        page = read(place)
        ticks.append(time.perf_counter())
        text = stack.text(page)
        ticks.append(time.perf_counter())
        words = stack.words(text)
        ticks.append(time.perf_counter())
        vectors = stack.embedded(words)
        ticks.append(time.perf_counter())
        for stage, since, until in zip(stages, ticks, ticks[1:]):
            stages[stage] += until - since
        for count, more in zip(counts, (1, len(text), len(words), len(vectors))):
            counts[count] += more
    print(json.dumps({**counts, "stages": stages, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
