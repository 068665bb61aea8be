//! Takes the text of the elements that a CSS selector matches, in document order.
//!
//! White space is what it is in a browser: a run of it is one space, none at a line's ends; a run
//! with a line end between two ideographs or kana is nothing, since these languages set no spaces
//! there. Within `<pre>` it is kept. A line ends at `<br>` and around each block.

use std::collections::HashSet;

use ego_tree::{NodeId, NodeRef};
use scraper::{Html, Node, Selector};

use super::{
    lines::Lines,
    markup::{Tag, Visit, is_block, is_dropped, walk},
};

/// The text, or nothing if no element matches.
pub fn text(html: &Html, selector: &Selector, length: usize) -> Option<String> {
    let chosen: HashSet<NodeId> = html.select(selector).map(|element| element.id()).collect();
    if chosen.is_empty() {
        return None;
    }
    let mut reader = Reader { lines: Lines::with_capacity(length), chosen, space: None, in_pre: 0 };
    // A chosen element in a chosen element is read with it, once.
    let outermost = |node: &NodeRef<'_, Node>| {
        reader.chosen.contains(&node.id())
            && !node.ancestors().any(|above| reader.chosen.contains(&above.id()))
    };
    let outermost: Vec<_> = html.tree.root().descendants().filter(outermost).collect();
    for element in outermost {
        walk(element, &mut reader);
        reader.lines.end_started_line();
    }
    Some(reader.lines.finish())
}

struct Reader {
    lines: Lines,
    chosen: HashSet<NodeId>,
    // White space that has been read and not written: whether a line end was in it.
    space: Option<bool>,
    in_pre: usize,
}

impl Reader {
    fn end_block(&mut self) {
        self.space = None;
        self.lines.end_started_line();
    }

    fn word(&mut self, word: &str) {
        if let Some(had_line_end) = self.space.take()
            && let Some(before) = self.lines.line().chars().next_back()
        {
            let after = word.chars().next().unwrap_or_default();
            if !(had_line_end && sets_no_spaces(before) && sets_no_spaces(after)) {
                self.lines.push(" ");
            }
        }
        self.lines.push(word);
    }
}

impl<T: Tag> Visit<T> for Reader {
    fn open(&mut self, tag: &T) -> bool {
        match tag.name() {
            "br" => {
                self.space = None;
                self.lines.end_line();
            }
            name if is_dropped(name) => return false,
            name if is_block(name) => {
                self.end_block();
                self.in_pre += usize::from(name == "pre");
            }
            _ => {}
        }
        true
    }

    fn close(&mut self, name: &str) {
        if is_block(name) {
            self.end_block();
            self.in_pre = self.in_pre.saturating_sub(usize::from(name == "pre"));
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_pre > 0 {
            for (number, line) in text.split('\n').enumerate() {
                if number > 0 {
                    self.lines.end_line();
                }
                self.lines.push(line.trim_end_matches('\r'));
            }
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.trim_ascii_start();
            let space = &rest[..rest.len() - word.len()];
            if !space.is_empty() {
                self.space = Some(self.space.unwrap_or(false) || space.contains('\n'));
            }
            let end = word.find(|c: char| c.is_ascii_whitespace()).unwrap_or(word.len());
            if end > 0 {
                self.word(&word[..end]);
            }
            rest = &word[end..];
        }
    }
}

/// Whether the character is of a script that sets no spaces between words.
fn sets_no_spaces(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{a4cf}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe4f}'
            | '\u{ff00}'..='\u{ffef}'
            | '\u{20000}'..='\u{3ffff}'
    )
}
