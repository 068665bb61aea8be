//! Parses HTML into a tree within bounds, and walks the tree without recursion. What is done on the
//! way is a [`Visit`], which [`super::well_formed`] also takes through pages without a tree.
//!
//! Any page gives a tree, in time proportional to its length, or an error if its elements lie
//! deeper in each other than browsers allow, or multiply without end, or a tag has attributes
//! without end: the algorithm of HTML asks for work that grows with each of these.

use ego_tree::NodeRef;
use html5ever::{
    ParseOpts, driver,
    tendril::{StrTendril, TendrilSink},
};
use scraper::{Html, HtmlTreeSink, Node, node::Element};

use super::Unreadable;

/// How deep elements may lie in each other: what browsers allow.
pub const DEPTH: usize = 512;
/// Bytes parsed between two looks at the tree.
const PIECE: usize = 4096;
/// Signs that can part attributes, that one tag or comment may have: a tag with n attributes costs
/// the parser n² comparisons. Letters of a picture in an attribute count only where they are `/`.
const SEPARATORS: usize = 20_000;
/// Nodes that any page may have; beside them, one for two of its bytes.
const NODES: usize = 65_536;

/// Parses a page.
pub fn parse(page: &str) -> Result<Html, Unreadable> {
    let mut parser =
        driver::parse_document(HtmlTreeSink::new(Html::new_document()), ParseOpts::default());
    let (mut rest, mut separators, mut seen) = (page, 0, (0, 0));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        parser.process(StrTendril::from_slice(piece));
        rest = after;

        let html = parser.tokenizer.sink.sink.0.borrow();
        let nodes = html.tree.nodes();
        if nodes.len() > NODES + (page.len() - rest.len()) / 2 {
            return Err(Unreadable::Multiplying);
        }
        // The last node made lies where the parser is now.
        let last = html.tree.nodes().next_back();
        if last.is_some_and(|node| node.ancestors().nth(DEPTH).is_some()) {
            return Err(Unreadable::TooDeep);
        }
        // As long as the parser is within a tag or a comment, nothing is added to the tree.
        let text = last.and_then(|node| node.value().as_text().map(|text| text.len()));
        let now = (nodes.len(), text.unwrap_or_default());
        separators = match std::mem::replace(&mut seen, now) == now {
            true => separators + separators_in(piece.as_bytes()),
            false => 0,
        };
        if separators > SEPARATORS {
            return Err(Unreadable::EndlessTag);
        }
    }
    Ok(parser.finish())
}

/// How many bytes could part attributes, if all this were within a tag.
fn separators_in(piece: &[u8]) -> usize {
    // Whole end tags change nothing if nothing is open; within a tag one would have ended it.
    let ends_tag = |slash: usize| {
        let after = piece[slash + 1..].iter().find(|byte| !byte.is_ascii_alphanumeric());
        slash > 0 && piece[slash - 1] == b'<' && after == Some(&b'>')
    };
    let could_part = |(at, byte): &(usize, &u8)| match byte {
        b'/' => !ends_tag(*at),
        b'"' | b'\'' => true,
        _ => byte.is_ascii_whitespace(),
    };
    piece.iter().enumerate().filter(could_part).count()
}

/// The beginning of an element.
pub trait Tag {
    /// Its name, in small letters.
    fn name(&self) -> &str;
    /// An attribute's value.
    fn attribute(&self, name: &str) -> Option<&str>;

    /// Whether the element has a class.
    fn is_of_class(&self, class: &str) -> bool {
        self.attribute("class")
            .is_some_and(|classes| classes.split_ascii_whitespace().any(|own| own == class))
    }
}

/// What is done on the way through markup, in document order.
pub trait Visit<T: Tag> {
    /// At an element's start; whether to go through what is in it.
    fn open(&mut self, tag: &T) -> bool;
    /// At the end of an element that was gone through.
    fn close(&mut self, name: &str);
    /// At a piece of text.
    fn text(&mut self, text: &str);
    /// At a comment.
    fn comment(&mut self, _comment: &str) {}
}

/// An element of a tree.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where it is.
    pub node: NodeRef<'a, Node>,
    element: &'a Element,
}

impl<'a> Place<'a> {
    /// The place of a node, if that is an element.
    pub fn of(node: NodeRef<'a, Node>) -> Option<Self> {
        node.value().as_element().map(|element| Self { node, element })
    }
}

impl Tag for Place<'_> {
    fn name(&self) -> &str {
        self.element.name()
    }

    // `Element::attr` would intern the name on each call.
    fn attribute(&self, name: &str) -> Option<&str> {
        self.element.attrs.iter().find(|(own, _)| *own.local == *name).map(|(_, value)| &**value)
    }
}

/// Walks through `from`, and all that is in it, in document order.
pub fn walk<'a>(from: NodeRef<'a, Node>, visit: &mut impl Visit<Place<'a>>) {
    let mut node = from;
    loop {
        let inside = match node.value() {
            Node::Element(element) => visit.open(&Place { node, element }),
            Node::Text(text) => {
                visit.text(text);
                false
            }
            Node::Comment(comment) => {
                visit.comment(comment);
                false
            }
            Node::Document | Node::Fragment => true,
            Node::Doctype(_) | Node::ProcessingInstruction(_) => false,
        };
        match node.first_child() {
            Some(child) if inside => {
                node = child;
                continue;
            }
            _ if inside => close(node, visit),
            _ => {}
        }
        // On to what comes next: a sibling, or the sibling of the first ancestor that has one.
        loop {
            if node.id() == from.id() {
                return;
            }
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            let Some(parent) = node.parent() else { return };
            close(parent, visit);
            node = parent;
        }
    }
}

fn close<'a>(node: NodeRef<'a, Node>, visit: &mut impl Visit<Place<'a>>) {
    if let Node::Element(element) = node.value() {
        visit.close(element.name());
    }
}

/// Whether the element is a heading.
pub fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Whether a browser ends a line before and after the element.
pub fn is_block(name: &str) -> bool {
    is_heading(name)
        || matches!(
            name,
            "address"
                | "article"
                | "aside"
                | "blockquote"
                | "body"
                | "caption"
                | "center"
                | "dd"
                | "details"
                | "dialog"
                | "dir"
                | "div"
                | "dl"
                | "dt"
                | "fieldset"
                | "figcaption"
                | "figure"
                | "footer"
                | "form"
                | "header"
                | "hgroup"
                | "hr"
                | "html"
                | "legend"
                | "li"
                | "main"
                | "menu"
                | "nav"
                | "ol"
                | "optgroup"
                | "option"
                | "p"
                | "pre"
                | "search"
                | "section"
                | "summary"
                | "table"
                | "tbody"
                | "td"
                | "tfoot"
                | "th"
                | "thead"
                | "tr"
                | "ul"
        )
}

/// Whether what is in the element is no part of the text: scripts, styles, the readings of ruby.
pub fn is_dropped(name: &str) -> bool {
    matches!(
        name,
        "head"
            | "noscript"
            | "rp"
            | "rt"
            | "rtc"
            | "script"
            | "style"
            | "template"
            | "textarea"
            | "title"
    )
}
