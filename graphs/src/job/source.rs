//! The kinds of source, as written in a job file.

mod check;
mod web;

use operators::catalogue::aozora::Filter;
use serde::{Deserialize, Serialize};

pub(super) use check::check;
pub use check::check_attached;
pub use web::{Feed, FeedText, Pages};

/// Something to read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Aozora Bunko, or a mirror of it.
    Aozora(Aozora),
    /// Pages of the web: listed, in a sitemap, or found by following links.
    Pages(Pages),
    /// A feed, asked again and again.
    Feed(Feed),
    /// Files of this machine.
    Files(Files),
    /// Lines of JSON on standard input.
    Stdin(Stdin),
    /// The library that comes with seseragi, served over loopback HTTP by the job itself.
    Sample(Sample),
}

/// Aozora Bunko, or a mirror of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aozora {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Where the library's index lies.
    pub index: String,
    /// Replaces scheme and host of every address, the index's too; `file:///` and a path is a copy on
    /// this machine's disk; empty means the library itself.
    pub mirror: String,
    /// Which works are wanted.
    pub wanted: Filter,
}

impl Default for Aozora {
    fn default() -> Self {
        Self {
            name: "aozora".into(),
            weight: None,
            index: "https://www.aozora.gr.jp/index_pages/list_person_all_extended_utf8.zip".into(),
            mirror: String::new(),
            wanted: Filter::default(),
        }
    }
}

/// Files of this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Patterns such as `texts/**/*.txt`, relative to the folder that the job is started in.
    pub paths: Vec<String>,
    /// The CSS selector of the text in HTML files; empty takes the whole body.
    pub selector: String,
    /// The column, or the field, that has the text in tables.
    pub column: String,
    /// The column that names a record for good; empty numbers the records.
    pub id_column: String,
    /// The column with titles; empty means none.
    pub title_column: String,
    /// Whether it goes on to look for new and changed files.
    pub watch: bool,
    /// Seconds from one look to the next.
    pub every: f64,
    /// The corpus that they are counted to, such as 新字新仮名; may be empty.
    pub orthography: String,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            name: "files".into(),
            weight: None,
            paths: Vec::new(),
            selector: String::new(),
            column: "text".into(),
            id_column: String::new(),
            title_column: String::new(),
            watch: false,
            every: 5.0,
            orthography: String::new(),
        }
    }
}

/// Lines of JSON on standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stdin {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The corpus that they are counted to, such as 新字新仮名; may be empty.
    pub orthography: String,
}

impl Default for Stdin {
    fn default() -> Self {
        Self { name: "stdin".into(), weight: None, orthography: String::new() }
    }
}

/// The library that comes with seseragi.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Which works are wanted.
    pub wanted: Filter,
}

impl Default for Sample {
    fn default() -> Self {
        Self { name: "sample".into(), weight: None, wanted: Filter::default() }
    }
}

impl Source {
    /// What the source is called in reports and checkpoints.
    pub fn name(&self) -> &str {
        match self {
            Self::Aozora(source) => &source.name,
            Self::Pages(source) => &source.name,
            Self::Feed(source) => &source.name,
            Self::Files(source) => &source.name,
            Self::Stdin(source) => &source.name,
            Self::Sample(source) => &source.name,
        }
    }

    /// Its share of the entries; without one it is read in turn.
    pub fn weight(&self) -> Option<f64> {
        match self {
            Self::Aozora(source) => source.weight,
            Self::Pages(source) => source.weight,
            Self::Feed(source) => source.weight,
            Self::Files(source) => source.weight,
            Self::Stdin(source) => source.weight,
            Self::Sample(source) => source.weight,
        }
    }
}
