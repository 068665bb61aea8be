"""The pages that the benchmarks read: a mirror of a part of Aozora Bunko, or the sample library.

A mirror lies in `aozora/mirror` of the folder that SESERAGI_TEST_DATA names (by default `../shared`
beside the checkout), word vectors in `vectors/*.bin`. Where there is none, the sample library is
repeated, each copy of a page with a line of its own so that its text is another's nowhere.

Every corpus is written anew into a folder, as the site has it: an index in a zip, and the pages.
"""
import csv
import dataclasses
import functools
import http.server
import io
import os
import pathlib
import re
import socketserver
import subprocess
import sys
import zipfile

from rig import ROOT, Trouble, start

INDEX = "index_pages/list_person_all_extended_utf8.zip"
SITE = "https://www.aozora.gr.jp/"
# How many are read where nothing else is said; the mirror has as many.
PAGES = 600


@dataclasses.dataclass
class Corpus:
    """Pages in a folder, laid out as on the site."""

    folder: pathlib.Path
    paths: list  # of the pages, sorted
    name: str

    @functools.cached_property
    def bytes(self):
        return sum(path.stat().st_size for path in self.paths)


def mirror():
    data = pathlib.Path(os.environ.get("SESERAGI_TEST_DATA", ROOT / "../shared")).resolve()
    return data / "aozora/mirror"


def vectors():
    """A file of pretrained vectors, or nothing."""
    files = sorted((mirror().parents[1] / "vectors").glob("*.bin"))
    return files[0] if files else None


def is_real():
    return (mirror() / INDEX).is_file()


def corpus(folder, pages=PAGES, copies=1):
    """Writes the first pages, in the order of their paths, and as many distinct copies of each."""
    if is_real():
        base, name = mirror(), "mirror of Aozora Bunko"
        with zipfile.ZipFile(base / INDEX) as archive:
            table = archive.read(archive.namelist()[0]).decode("utf-8-sig")
        read = pathlib.Path.read_bytes
    else:
        base, name = ROOT / "graphs/sample", "sample library, repeated"
        table = next(base.glob("*.csv")).read_text("utf-8")
        read = lambda path: path.read_text("utf-8").encode("cp932")
    rows = list(csv.reader(io.StringIO(table)))
    address = rows[0].index("XHTML/HTMLファイルURL")
    works = {}
    for row in rows[1:]:
        works.setdefault(row[address].removeprefix(SITE), []).append(row)
    originals = sorted(path for path in works if (base / path).is_file())
    if not originals:
        raise Trouble(f"{base} has an index, and none of its pages")
    # Copies are numbered from 1; the sample's few pages are copied to as many as were asked for.
    number = min(pages, len(originals)) if is_real() else pages
    places = [
        (originals[place % len(originals)], copy * PAGES + place // len(originals))
        for copy in range(copies) for place in range(number)
    ]
    paths, index = [], [rows[0]]
    for path, copy in places:
        page = read(base / path)
        there = path if copy == 0 else path.replace("cards/", f"cards/{copy:06d}", 1)
        place = folder / there
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(page if copy == 0 else distinct(page, copy))
        paths.append(place)
        for row in works[path]:
            row = list(row)
            row[0] = row[0] if copy == 0 else f"{copy:06d}{row[0]}"
            row[address] = SITE + there
            index.append(row)
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(index)
    (folder / INDEX).parent.mkdir(parents=True)
    with zipfile.ZipFile(folder / INDEX, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list_person_all_extended_utf8.csv", "\ufeff" + written.getvalue())
    return Corpus(folder, sorted(paths), name)


def distinct(page, copy):
    """A page whose every line has a mark of the copy: no text comes twice, nor any paragraph of one."""
    # Not an empty line: an old page's colophon is known by what comes next after a rule. But at the ends of divisions:
    # a text may be one line, and all line ends be in what stands below it.
    mark = f"{copy}".encode()
    return re.sub(rb"(?<!\s)<br ?/?>(?=\s)|</div>|</body>", lambda found: mark + found[0], page, flags=re.IGNORECASE)


class Server:
    """Serves a folder on a loopback port until it is closed, in a process of its own."""

    def __init__(self, folder, log):
        self.process = start([sys.executable, __file__, folder], log=log, stdout=subprocess.PIPE)
        self.base = self.process.stdout.readline().strip()
        if not self.base:
            raise Trouble(f"no server came up over {folder}; see {log}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in as few packets as they need
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass


class Threading(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


# Nothing beside the training itself.
BARE = """
[commit]
every = "never"
[plots]
every_seconds = 0
"""


def job(path, source, more, embedded):
    """Writes a job file over a source, with the vectors where there are some and they are asked for."""
    found = vectors() if embedded else None
    text = f"{source}\n[fetch]\nallow_private = true\n"
    if found:
        text += f'[vectors]\nfile = "{found}"\n'
    path.write_text(text + more, "utf-8")
    return path


def over_http(path, base, more="", embedded=True):
    source = f'[[source]]\nkind = "aozora"\nmirror = "{base}"\nwanted.copyright = true\n'
    return job(path, source, more, embedded)


def over_files(path, corpus, more="", embedded=True):
    """The same library as a copy on disk."""
    return over_http(path, corpus.folder.as_uri(), more, embedded)


if __name__ == "__main__":
    server = Threading(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
