//! Takes the text out of a page of Aozora Bunko that was made by hand, up to 2002-01.
//!
//! Such a page has no `main_text`. Its text stands between the title and the rule before the
//! colophon (底本…), which is also how the page is known. The base of ruby is marked by `<!R>` and
//! followed by the reading in brackets; a note is `［＃…］`; a gaiji is a ※ in a link to a table
//! after the colophon, each of whose rows quotes the linked words and says what the ※ is.

use std::collections::{HashMap, VecDeque};

use ego_tree::NodeRef;
use scraper::{Html, Node};

use super::{
    aozora::without_colophon,
    gaiji,
    lines::Lines,
    markup::{Place, Tag, Visit, is_block, is_dropped, walk},
};

const MARK: char = '※';

/// The text, if this is such a page.
pub fn text(html: &Html, length: usize) -> Option<String> {
    let colophon = rule_before_colophon(html)?;
    let mut reader = Reader {
        lines: Lines::with_capacity(length),
        end: colophon,
        over: false,
        gaiji: table(html),
        link: None,
        in_base: false,
        in_reading: false,
        in_note: 0,
    };
    walk(html.tree.root(), &mut reader);
    Some(without_colophon(reader.lines.finish()))
}

fn is_named(node: NodeRef<'_, Node>, name: &str) -> bool {
    node.value().as_element().is_some_and(|element| element.name() == name)
}

/// The rule that is followed by the first words of a colophon.
fn rule_before_colophon(html: &Html) -> Option<NodeRef<'_, Node>> {
    let mut rule = None;
    for node in html.tree.nodes() {
        match node.value() {
            Node::Element(element) if element.name() == "hr" => rule = Some(node),
            Node::Text(text) if !text.trim().is_empty() => {
                if rule.is_some() && text.trim_start().starts_with("底本") {
                    return rule;
                }
                rule = None;
            }
            _ => {}
        }
    }
    None
}

/// By the words quoted, what the ※ in each quotation of them is, in order.
type Table = HashMap<String, VecDeque<Option<String>>>;

fn table(html: &Html) -> Table {
    let mut table = Table::new();
    for row in html.tree.nodes().filter(|&node| is_named(node, "tr")) {
        let mut cells = row.children().filter(|&node| is_named(node, "td"));
        let (Some(quotation), Some(explanation)) = (cells.next(), cells.next()) else { continue };
        let image =
            explanation.descendants().find(|&node| is_named(node, "img")).and_then(Place::of);
        let address = image.as_ref().and_then(|image| image.attribute("src")).unwrap_or_default();
        let character =
            gaiji::of_note(&words(explanation)).or_else(|| gaiji::of_image("", address));
        table.entry(words(quotation)).or_default().push_back(character);
    }
    table
}

/// All that is written in an element, without white space.
fn words(element: NodeRef<'_, Node>) -> String {
    let texts = element.descendants().filter_map(|node| node.value().as_text());
    texts.flat_map(|text| text.split_whitespace()).collect()
}

struct Reader<'a> {
    lines: Lines,
    // The rule before the colophon, and whether it has been reached.
    end: NodeRef<'a, Node>,
    over: bool,
    gaiji: Table,
    // Within a link to the table: what a ※ is.
    link: Option<String>,
    in_base: bool,
    in_reading: bool,
    // How many notes are open: a note may quote brackets.
    in_note: usize,
}

impl Reader<'_> {
    /// Reads what has no line ends.
    fn read(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['［', '］', '（', '）', MARK]) {
            self.push(&rest[..at]);
            let mut characters = rest[at..].chars();
            let character = characters.next().expect("one was found here");
            let next = characters.as_str();
            let sign = &rest[at..rest.len() - next.len()];
            match character {
                '［' if self.in_note > 0 || next.starts_with('＃') => self.in_note += 1,
                '］' if self.in_note > 0 => self.in_note -= 1,
                '（' if self.in_base && self.in_note == 0 => {
                    self.in_base = false;
                    self.in_reading = true;
                }
                '）' if self.in_reading && self.in_note == 0 => self.in_reading = false,
                MARK => match self.link.clone() {
                    Some(character) => self.push(&character),
                    None => self.push(sign),
                },
                _ => self.push(sign),
            }
            rest = next;
        }
        self.push(rest);
    }

    fn push(&mut self, text: &str) {
        if self.in_note == 0 && !self.in_reading {
            self.lines.push(text);
        }
    }

    /// Neither ruby nor a note goes on over a line end; one that does was never closed.
    fn end_line(&mut self) {
        (self.in_base, self.in_reading, self.in_note) = (false, false, 0);
        self.lines.end_line();
    }
}

impl<'a> Visit<Place<'a>> for Reader<'a> {
    fn open(&mut self, tag: &Place<'a>) -> bool {
        self.over |= tag.node.id() == self.end.id();
        if self.over {
            return false;
        }
        match tag.name() {
            "br" => self.end_line(),
            "h1" => return false,
            // The people; a later one is a heading.
            "h2" if self.lines.is_blank() => return false,
            "a" if tag.attribute("href") == Some("#gaiji") => {
                let characters = self.gaiji.get_mut(&words(tag.node));
                let character = characters.and_then(VecDeque::pop_front).flatten();
                self.link = Some(character.unwrap_or_else(|| gaiji::UNRESOLVED.to_owned()));
            }
            name if is_dropped(name) => return false,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
        true
    }

    fn close(&mut self, name: &str) {
        match name {
            "a" => self.link = None,
            name if is_block(name) => self.lines.end_started_line(),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if !self.over {
            text.split(['\n', '\r']).for_each(|piece| self.read(piece));
        }
    }

    fn comment(&mut self, comment: &str) {
        self.in_base |= comment.eq_ignore_ascii_case("R");
    }
}
