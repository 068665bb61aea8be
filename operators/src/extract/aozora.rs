//! Takes the text out of a page of Aozora Bunko, of any age since 2002-08.
//!
//! The text is what `div.main_text` has, without the readings of ruby and the transcriber's notes;
//! gaiji are Unicode, or 〓 where they cannot be. A line ends at `<br>` and at the end of a block;
//! the line ends of the source mean nothing. Older pages have no such element: see [`super::handmade`].

use std::collections::VecDeque;

use ego_tree::NodeRef;
use scraper::Node;

use super::{
    gaiji,
    lines::Lines,
    markup::{Place, Tag, Visit, is_block, is_dropped, parse, walk},
    well_formed,
};

/// How the main text begins.
const START: &str = "<div class=\"main_text\">";
/// What stands for a gaiji that a note explains.
const MARK: &str = "※";
/// How many marks may wait for their notes: far more than the base of any ruby has.
const WAITING: usize = 32;

/// The element with the text, if the page has one.
pub fn main_text<'a>(
    mut nodes: impl Iterator<Item = NodeRef<'a, Node>>,
) -> Option<NodeRef<'a, Node>> {
    nodes.find(|&node| Place::of(node).is_some_and(|place| place.is_of_class("main_text")))
}

/// The text in `main_text`; `length` is about how many bytes it will have.
pub fn text(main_text: NodeRef<'_, Node>, length: usize) -> String {
    let mut reader = Reader::new(length);
    walk(main_text, &mut reader);
    reader.finish()
}

/// The same, read without a tree, of a page whose main text is well-formed; nothing if that is not
/// sure. What comes before the main text is parsed, for it decides how the main text is read.
pub fn well_formed_text(page: &str) -> Option<String> {
    let start = page.find(START)?;
    let (before, behind) = page.split_at(start + START.len());
    let html = parse(before).ok()?;
    let mut nodes = html.tree.nodes();
    let last = nodes.next_back()?;
    let is_there = main_text(html.tree.nodes()).is_some_and(|first| first.id() == last.id());
    let is_plain =
        nodes.filter_map(Place::of).all(|place| well_formed::leaves_nothing(place.name()))
            && last
                .ancestors()
                .filter_map(Place::of)
                .all(|above| matches!(above.name(), "html" | "body" | "div"));
    if !(is_there && is_plain) {
        return None;
    }
    let mut reader = Reader::new(behind.len());
    well_formed::read(behind, &mut reader)?;
    Some(reader.finish()).filter(|text| !text.is_empty())
}

/// Cuts off the colophon, which a few pages have within the text: the line that starts with 底本
/// and what follows, if the line that ends every colophon comes after it.
pub fn without_colophon(mut text: String) -> String {
    let start = text.rfind("\n青空文庫作成ファイル").and_then(|end| {
        ["\n底本：", "\n底本「"].into_iter().filter_map(|mark| text[..end].rfind(mark)).min()
    });
    if let Some(start) = start {
        text.truncate(text[..start].trim_end().len());
        text.push('\n');
    }
    text
}

struct Reader {
    lines: Lines,
    // Where marks stand that the next note may explain. A note follows its mark at once, or the
    // ruby whose base has the mark.
    marks: VecDeque<usize>,
    in_ruby: bool,
    // The last image's alternative text was torn by a quotation mark in it: the rest of it is
    // about to come as if it were text.
    torn: bool,
    note: Option<Note>,
}

/// A note that is being read.
#[derive(Default)]
struct Note {
    // Only its own words: what an image within it shows is a part of the character.
    words: String,
    // How many elements are open in it.
    depth: usize,
}

impl Reader {
    /// One for a text of about `length` bytes.
    fn new(length: usize) -> Self {
        Self {
            lines: Lines::with_capacity(length),
            marks: VecDeque::new(),
            in_ruby: false,
            torn: false,
            note: None,
        }
    }

    fn finish(self) -> String {
        without_colophon(self.lines.finish())
    }

    /// Writes what has no line ends.
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut may_wait = text;
        if !self.in_ruby {
            self.marks.clear();
            may_wait = &text[text.trim_end_matches(MARK).len()..];
        }
        let place = self.lines.place() + text.len() - may_wait.len();
        let room = WAITING - self.marks.len();
        self.marks.extend(may_wait.match_indices(MARK).map(|(at, _)| place + at).take(room));
        self.lines.push(text);
    }

    fn image(&mut self, image: &impl Tag) {
        if !image.is_of_class("gaiji") && image.attribute("gaiji").is_none() {
            return;
        }
        let alternative = image.attribute("alt").unwrap_or_default();
        self.torn = alternative.contains('<');
        let address = image.attribute("src").unwrap_or_default();
        let character = gaiji::of_image(alternative, address);
        self.push(character.as_deref().unwrap_or(gaiji::UNRESOLVED));
    }

    fn end_note(&mut self, words: &str) {
        let about_print = ["底本では", "ママ", "ルビ", "傍点", "傍線"];
        if about_print.iter().any(|word| words.contains(word)) {
            return;
        }
        if let Some(place) = self.marks.pop_front() {
            let character = gaiji::of_note(words);
            let character = character.as_deref().unwrap_or(gaiji::UNRESOLVED);
            self.lines.replace(place, MARK.len(), character);
            for later in &mut self.marks {
                *later = *later + character.len() - MARK.len();
            }
        }
    }
}

impl<T: Tag> Visit<T> for Reader {
    fn open(&mut self, tag: &T) -> bool {
        if let Some(note) = &mut self.note {
            note.depth += 1;
            return true;
        }
        match tag.name() {
            "br" => self.lines.end_line(),
            "img" => self.image(tag),
            "ruby" => {
                self.marks.clear();
                self.in_ruby = true;
            }
            "span" if tag.is_of_class("notes") => self.note = Some(Note::default()),
            name if is_dropped(name) => return false,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
        true
    }

    fn close(&mut self, name: &str) {
        match self.note.take() {
            None => {}
            Some(Note { depth: 0, words }) => return self.end_note(&words),
            Some(Note { depth, words }) => {
                self.note = Some(Note { depth: depth - 1, words });
                return;
            }
        }
        match name {
            "ruby" => self.in_ruby = false,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
    }

    fn text(&mut self, mut text: &str) {
        if let Some(note) = &mut self.note {
            note.words.push_str(text);
            return;
        }
        if std::mem::take(&mut self.torn)
            && let Some((_, rest)) = text.split_once("/>")
        {
            text = rest;
        }
        for piece in text.split(['\n', '\r']) {
            self.push(piece);
        }
    }
}
