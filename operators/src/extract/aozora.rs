//! Takes the text out of a page of Aozora Bunko, of any age since 2002-08.
//!
//! The text is what `div.main_text` has, without the readings of ruby and the transcriber's notes;
//! gaiji are Unicode, or 〓 where they cannot be. A line ends at `<br>` and at the end of a block;
//! the line ends of the source mean nothing. Older pages have no such element: see [`super::handmade`].

use std::collections::VecDeque;

use ego_tree::NodeRef;
use scraper::{
    Node,
    node::{Element, Text},
};

use super::{
    gaiji,
    lines::Lines,
    markup::{Visit, attribute, has_class, is_block, is_dropped, walk},
};

/// What stands for a gaiji that a note explains.
const MARK: &str = "※";
/// How many marks may wait for their notes: far more than the base of any ruby has.
const WAITING: usize = 32;

/// The element with the text, if the page has one.
pub fn main_text<'a>(
    mut nodes: impl Iterator<Item = NodeRef<'a, Node>>,
) -> Option<NodeRef<'a, Node>> {
    nodes.find(|node| {
        node.value().as_element().is_some_and(|element| has_class(element, "main_text"))
    })
}

/// The text in `main_text`; `length` is about how many bytes it will have.
pub fn text(main_text: NodeRef<'_, Node>, length: usize) -> String {
    let mut reader = Reader {
        lines: Lines::with_capacity(length),
        marks: VecDeque::new(),
        in_ruby: false,
        torn: false,
    };
    walk(main_text, &mut reader);
    without_colophon(reader.lines.finish())
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
}

impl Reader {
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

    fn image(&mut self, image: &Element) {
        if !has_class(image, "gaiji") && attribute(image, "gaiji").is_none() {
            return;
        }
        let alternative = attribute(image, "alt").unwrap_or_default();
        self.torn = alternative.contains('<');
        let address = attribute(image, "src").unwrap_or_default();
        let character = gaiji::of_image(alternative, address);
        self.push(character.as_deref().unwrap_or(gaiji::UNRESOLVED));
    }

    fn note(&mut self, note: NodeRef<'_, Node>) {
        // Only its own words: what an image within it shows is a part of the character.
        let words: String = note
            .descendants()
            .filter_map(|node| node.value().as_text().map(|text| &**text))
            .collect();
        let about_print = ["底本では", "ママ", "ルビ", "傍点", "傍線"];
        if about_print.iter().any(|word| words.contains(word)) {
            return;
        }
        if let Some(place) = self.marks.pop_front() {
            let character = gaiji::of_note(&words);
            let character = character.as_deref().unwrap_or(gaiji::UNRESOLVED);
            self.lines.replace(place, MARK.len(), character);
            for later in &mut self.marks {
                *later = *later + character.len() - MARK.len();
            }
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn open(&mut self, element: &'a Element, node: NodeRef<'a, Node>) -> bool {
        match element.name() {
            "br" => self.lines.end_line(),
            "img" => self.image(element),
            "ruby" => {
                self.marks.clear();
                self.in_ruby = true;
            }
            "span" if has_class(element, "notes") => {
                self.note(node);
                return false;
            }
            name if is_dropped(name) => return false,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
        true
    }

    fn close(&mut self, element: &'a Element) {
        match element.name() {
            "ruby" => self.in_ruby = false,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
    }

    fn text(&mut self, text: &'a Text) {
        let mut text = &**text;
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
