//! Takes the text out of each page: one document a page, or one reject that says why there is none.
//!
//! A document leaves in the epoch and with the route that its page came with, as soon as the page
//! has come; nothing is held. Pages that have no text are data, not errors.

mod aozora;
mod gaiji;
mod handmade;
mod lines;
mod markup;
mod selected;
mod well_formed;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use scraper::Selector;
use sha2::{Digest, Sha256};
use thiserror::Error;
use timely::{
    container::DrainContainer,
    dataflow::{
        channels::pact::Pipeline,
        operators::generic::{OutputBuilder, builder_rc::OperatorBuilder},
    },
};

use crate::{
    Batches,
    batch::{Batch, Builder},
    decode::{Content, Undecodable, decode},
    record::{Document, DocumentRow, Entry, Page, PageRow, Reject, RejectRow, Stage},
};

/// Where the text of a source's pages is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Pages of Aozora Bunko, of any age: the main text, without readings and notes.
    Aozora,
    /// The elements that a CSS selector matches.
    Selector(String),
    /// The whole body, which is plain text; only byte order mark and line ends are changed.
    PlainText,
    /// By the selector if the body begins with `<`, else as plain text: for files of both kinds.
    Sniffed(String),
}

/// A selector that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("could not read the CSS selector `{selector}`: {cause}")]
pub struct BadSelector {
    /// As it was written.
    pub selector: String,
    /// What is wrong with it.
    pub cause: String,
}

/// Why a page gave no text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The bytes are not text.
    #[error("undecodable: {0}")]
    Undecodable(#[from] Undecodable),
    /// The page has not the element that should have the text.
    #[error("no main text: {0}")]
    NoMainText(String),
    /// The text is blank.
    #[error("empty text")]
    Empty,
    /// Elements lie too deep in each other.
    #[error("too deeply nested: more than {} elements in each other", markup::DEPTH)]
    TooDeep,
    /// A short page makes a huge tree.
    #[error("the markup is broken: it makes more elements than the page has room for")]
    Multiplying,
    /// A tag or a comment goes on and on.
    #[error("the markup is broken: a tag or a comment does not end within reason")]
    EndlessTag,
}

/// Takes text out of pages by one rule.
///
/// ```
/// use operators::extract::{Extractor, Rule};
///
/// let extractor = Extractor::new(&Rule::Selector("article".to_owned()))?;
/// let page = "<nav>menu</nav><article><ruby>小川<rt>おがわ</rt></ruby>の<br>水</article>";
/// assert_eq!(extractor.text(page.as_bytes(), Some("utf-8")).as_deref(), Ok("小川の\n水\n"));
/// # Ok::<(), operators::extract::BadSelector>(())
/// ```
#[derive(Clone, Debug)]
pub struct Extractor {
    means: Means,
}

#[derive(Clone, Debug)]
enum Means {
    Aozora,
    Selector { selector: Selector, written: String, sniffs: bool },
    PlainText,
}

impl Extractor {
    /// An extractor that follows `rule`.
    pub fn new(rule: &Rule) -> Result<Self, BadSelector> {
        let means = match rule {
            Rule::Aozora => Means::Aozora,
            Rule::Selector(written) | Rule::Sniffed(written) => Means::Selector {
                sniffs: matches!(rule, Rule::Sniffed(_)),
                selector: Selector::parse(written).map_err(|cause| BadSelector {
                    selector: written.clone(),
                    cause: cause.to_string(),
                })?,
                written: written.clone(),
            },
            Rule::PlainText => Means::PlainText,
        };
        Ok(Self { means })
    }

    /// The text of a page: lines ended by `\n`, never blank, no markup.
    pub fn text(&self, body: &[u8], charset: Option<&str>) -> Result<String, Unreadable> {
        let means = match &self.means {
            Means::Selector { sniffs: true, .. } if !looks_like_markup(body) => &Means::PlainText,
            means => means,
        };
        let content = match means {
            Means::PlainText => Content::Text,
            Means::Aozora | Means::Selector { .. } => Content::Html,
        };
        let page = decode(body, charset, content)?;
        let text = match means {
            Means::PlainText => page.replace("\r\n", "\n").replace('\r', "\n"),
            Means::Aozora => match aozora::well_formed_text(&page) {
                Some(text) => text,
                None => aozora_text(&page)?,
            },
            Means::Selector { selector, written, .. } => {
                let html = markup::parse(&page)?;
                selected::text(&html, selector, page.len())
                    .ok_or_else(|| Unreadable::NoMainText(format!("nothing matches `{written}`")))?
            }
        };
        if text.trim().is_empty() { Err(Unreadable::Empty) } else { Ok(text) }
    }
}

/// The text of a page of Aozora Bunko, however it is made.
fn aozora_text(page: &str) -> Result<String, Unreadable> {
    let html = markup::parse(page)?;
    match aozora::main_text(html.tree.nodes()) {
        Some(main_text) => Ok(aozora::text(main_text, page.len())),
        None => handmade::text(&html, page.len()).ok_or_else(|| {
            Unreadable::NoMainText("neither `.main_text` nor a colophon".to_owned())
        }),
    }
}

/// Whether the first thing in the body, after a byte order mark and blanks, is `<`.
fn looks_like_markup(body: &[u8]) -> bool {
    let marked = [b"\xEF\xBB\xBF".as_slice(), b"\xFF\xFE", b"\xFE\xFF"];
    let body = marked.iter().find_map(|mark| body.strip_prefix(*mark)).unwrap_or(body);
    body.iter().find(|byte| !b" \t\r\n\0".contains(byte)) == Some(&b'<')
}

/// The extractors by the names of their sources, shared by all workers of a process. A source that
/// is attached while the job runs is inserted before its first entry is sent.
#[derive(Debug, Default)]
pub struct Rules {
    by_source: RwLock<HashMap<String, Arc<Extractor>>>,
}

impl Rules {
    /// Has the pages of `source` read by `extractor`.
    pub fn insert(&self, source: impl Into<String>, extractor: Extractor) {
        let mut rules = self.by_source.write().unwrap_or_else(PoisonError::into_inner);
        rules.insert(source.into(), Arc::new(extractor));
    }

    fn of(&self, source: &str) -> Option<Arc<Extractor>> {
        let rules = self.by_source.read().unwrap_or_else(PoisonError::into_inner);
        rules.get(source).cloned()
    }

    fn text(&self, page: &PageRow<'_>) -> Result<String, String> {
        let source = &page.entry.source;
        let extractor =
            self.of(source).ok_or_else(|| format!("no rule for source \"{source}\""))?;
        extractor.text(page.body, page.charset).map_err(|cause| cause.to_string())
    }
}

/// Parses a page into a tree, within bounds.
pub(crate) fn parse(page: &str) -> Result<scraper::Html, Unreadable> {
    markup::parse(page)
}

/// The first 128 bits of a text's SHA-256.
pub fn fingerprint(text: &str) -> u128 {
    let hash: [u8; 32] = Sha256::digest(text).into();
    let (first, _) = hash.split_first_chunk().expect("32 bytes start with 16");
    u128::from_be_bytes(*first)
}

/// Extraction on a stream of pages.
pub trait Extract<'scope> {
    /// The documents taken from the pages, each source's by its rule in `rules`; and beside them
    /// the rejects.
    fn extract(self, rules: &Arc<Rules>) -> (Batches<'scope, Document>, Batches<'scope, Reject>);
}

impl<'scope> Extract<'scope> for Batches<'scope, Page> {
    fn extract(self, rules: &Arc<Rules>) -> (Batches<'scope, Document>, Batches<'scope, Reject>) {
        let rules = Arc::clone(rules);
        let mut builder = OperatorBuilder::new("Extract".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        let (documents, document_stream) = builder.new_output();
        let (rejects, reject_stream) = builder.new_output();
        let mut documents = OutputBuilder::<_, Builder<Document>>::from(documents);
        let mut rejects = OutputBuilder::<_, Builder<Reject>>::from(rejects);
        builder.build(move |_| {
            move |_| {
                let (mut documents, mut rejects) = (documents.activate(), rejects.activate());
                input.for_each(|epoch, pages| {
                    for pages in pages.drain() {
                        let (read, unread) = extract_batch(&pages, &rules);
                        documents.session(&epoch).give_iterator(read.into_iter());
                        rejects.session(&epoch).give_iterator(unread.into_iter());
                    }
                });
            }
        });
        (document_stream, reject_stream)
    }
}

/// The documents and the rejects of a batch of pages, each in the batch's order; no empty batches.
fn extract_batch(
    pages: &Batch<Page>,
    rules: &Rules,
) -> (Option<Batch<Document>>, Option<Batch<Reject>>) {
    let (mut read, mut unread) =
        (Vec::<(PageRow<'_>, String)>::new(), Vec::<(Entry, String)>::new());
    for page in pages.iter() {
        match rules.text(&page) {
            Ok(text) => read.push((page, text)),
            Err(reason) => unread.push((page.entry, reason)),
        }
    }
    let documents = read.iter().map(|(page, text)| DocumentRow {
        entry: page.entry.clone(),
        content: page.content,
        fingerprint: fingerprint(text),
        characters: text.chars().count() as u64,
        text,
    });
    let rejects = unread.iter().map(|(entry, reason)| RejectRow {
        entry: entry.clone(),
        stage: Stage::Extract,
        reason,
    });
    (
        (!read.is_empty()).then(|| Batch::of(pages.route, documents)),
        (!unread.is_empty()).then(|| Batch::of(pages.route, rejects)),
    )
}

#[cfg(test)]
mod tests;
