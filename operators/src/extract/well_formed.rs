//! Goes through markup that has no mistake, without making a tree of it.
//!
//! HTML has an answer to every mistake, and a parser spends its time on being ready for one. The main
//! texts of nearly all pages have none: each element is closed where it should be, each attribute is
//! quoted, and there are no elements but those that a book needs. Of such markup the tags themselves
//! are the tree. At the first thing of which that is not sure this gives up, and the page is to be
//! parsed. What is sure follows from "in body" in the HTML standard (§13.2.6.4.7); that both ways read
//! the same is tested on random markup.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::markup::{Tag, Visit, is_heading};

/// Elements that may lie in each other: more than any book needs, fewer than parsing allows.
const DEPTH: usize = 64;

/// What the standard does with an element, where it matters for what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Has nothing in it and no end.
    Void,
    /// Opened in another heading, it ends that.
    Heading,
    /// Opened in another part of ruby, it ends that.
    RubyPart,
    /// Opened in another link, it ends that.
    Link,
    /// Opened and closed as it is written.
    Plain,
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "br" | "img" => Kind::Void,
        name if is_heading(name) => Kind::Heading,
        "rb" | "rp" | "rt" => Kind::RubyPart,
        "a" => Kind::Link,
        "b" | "big" | "cite" | "code" | "div" | "em" | "i" | "ruby" | "s" | "small" | "span"
        | "strike" | "strong" | "sub" | "sup" | "tt" | "u" => Kind::Plain,
        _ => return None,
    })
}

/// Whether an element, once it is over, has no part in how what comes after it is parsed.
pub fn leaves_nothing(name: &str) -> bool {
    is_heading(name)
        || matches!(
            name,
            "body"
                | "br"
                | "div"
                | "head"
                | "hr"
                | "html"
                | "img"
                | "link"
                | "meta"
                | "p"
                | "script"
                | "span"
                | "style"
                | "title"
        )
}

/// An element whose end has not come.
struct Open<'a> {
    name: &'a str,
    kind: Kind,
    // Whether what is in it is gone through.
    seen: bool,
}

/// Goes through an element whose start tag, a `<div>`, ends where `markup` begins, up to its end.
/// Nothing if it is not sure that a parser would read it so; then what was visited does not count.
pub fn read(markup: &str, visit: &mut impl for<'a> Visit<Start<'a>>) -> Option<()> {
    let start = Start { name: "div", attributes: "" };
    let seen = visit.open(&start);
    let mut open = vec![Open { name: start.name, kind: Kind::Plain, seen }];
    let mut rest = markup;
    while let Some(top) = open.last() {
        let (text, tag) = rest.split_at(text_length(rest)?);
        if !text.is_empty() && top.seen {
            visit.text(&without_references(text)?);
        }
        let tag = tag.strip_prefix('<')?;
        if let Some(end) = tag.strip_prefix('/') {
            rest = end.strip_prefix(top.name)?.strip_prefix('>')?;
            if top.seen {
                visit.close(top.name);
            }
            open.pop();
            continue;
        }
        let (start, closes_itself, behind) = start_tag(tag)?;
        rest = behind;
        let kind = kind(start.name)?;
        let ends_another = match kind {
            Kind::Void | Kind::Plain => false,
            Kind::Heading | Kind::RubyPart => top.kind == kind,
            Kind::Link => open.iter().any(|above| above.kind == Kind::Link),
        };
        let is_left_open = closes_itself && kind != Kind::Void;
        if ends_another || is_left_open || open.len() > DEPTH {
            return None;
        }
        let seen = top.seen && visit.open(&start);
        if kind != Kind::Void {
            open.push(Open { name: start.name, kind, seen });
        } else if seen {
            visit.close(start.name);
        }
    }
    Some(())
}

/// A start tag, as it is written.
pub struct Start<'a> {
    name: &'a str,
    attributes: &'a str,
}

impl Tag for Start<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let mut rest = self.attributes;
        while let Some((own, value, behind)) = first_attribute(rest) {
            if own == name {
                return Some(value);
            }
            rest = behind;
        }
        None
    }
}

/// How many bytes of text come before the next tag. Nothing if no tag comes, or a byte before it that
/// is no text.
fn text_length(markup: &str) -> Option<usize> {
    let at = memchr2(b'<', 0, markup.as_bytes())?;
    markup[at..].starts_with('<').then_some(at)
}

/// The text with what its character references stand for, if they are the four that markup needs.
fn without_references(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr(b'&', text.as_bytes()) else { return Some(Cow::Borrowed(text)) };
    let (start, mut rest) = text.split_at(first);
    let mut whole = start.to_owned();
    while !rest.is_empty() {
        let named = [("&amp;", '&'), ("&quot;", '"'), ("&lt;", '<'), ("&gt;", '>')];
        let found = named.iter().find_map(|(name, sign)| Some((rest.strip_prefix(name)?, sign)));
        let (behind, sign) = found?;
        let (text, next) = behind.split_at(memchr(b'&', behind.as_bytes()).unwrap_or(behind.len()));
        whole.push(*sign);
        whole.push_str(text);
        rest = next;
    }
    Some(Cow::Owned(whole))
}

/// The start tag whose `<` stands before `markup`, whether it closes itself, and what comes after it.
fn start_tag(markup: &str) -> Option<(Start<'_>, bool, &str)> {
    let is_of_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (name, behind) = markup.split_at(markup.bytes().position(|byte| !is_of_name(&byte))?);
    let mut rest = behind;
    while let Some((_, _, behind)) = first_attribute(rest) {
        rest = behind;
    }
    let attributes = &behind[..behind.len() - rest.len()];
    let rest = rest.trim_ascii_start();
    let (closes_itself, rest) = match rest.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    Some((Start { name, attributes }, closes_itself, rest.strip_prefix('>')?))
}

/// The name and the value of the attribute that comes first, and what comes after it; nothing if
/// none does that is written in the one way that leaves no question.
fn first_attribute(markup: &str) -> Option<(&str, &str, &str)> {
    let from = markup.trim_ascii_start();
    if from.len() == markup.len() {
        return None;
    }
    let is_of_name = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b':' | b'_');
    let (name, behind) = from.split_at(from.bytes().position(|byte| !is_of_name(&byte))?);
    let value = behind.strip_prefix("=\"").filter(|_| !name.is_empty())?;
    let end = memchr3(b'"', b'&', b'\r', value.as_bytes())?;
    let (value, behind) = value.split_at(end);
    let behind = behind.strip_prefix('"').filter(|_| memchr(0, value.as_bytes()).is_none())?;
    Some((name, value, behind))
}
