//! The kinds of source, as written in a job file.

use operators::{
    catalogue::aozora::Filter,
    extract::{Extractor, Rule},
};
use serde::{Deserialize, Serialize};

use super::JobError;

/// Something to read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Aozora Bunko, or a mirror of it.
    Aozora(Aozora),
    /// Files of this machine.
    Files(Files),
    /// The library that comes with seseragi, served over loopback HTTP by the job itself.
    Sample(Sample),
}

/// Aozora Bunko, or a mirror of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aozora {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Where the library's index lies.
    pub index: String,
    /// Replaces scheme and host of every address, the index's too; empty means the library itself.
    pub mirror: String,
    /// Which works are wanted.
    pub wanted: Filter,
}

impl Default for Aozora {
    fn default() -> Self {
        Self {
            name: "aozora".into(),
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
    /// Patterns such as `texts/**/*.txt`, relative to the folder that the job is started in.
    pub paths: Vec<String>,
    /// The CSS selector of the text in HTML files; empty takes the whole body.
    pub selector: String,
    /// The corpus that they are counted to, such as 新字新仮名; may be empty.
    pub orthography: String,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            name: "files".into(),
            paths: Vec::new(),
            selector: String::new(),
            orthography: String::new(),
        }
    }
}

/// The library that comes with seseragi.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Which works are wanted.
    pub wanted: Filter,
}

impl Default for Sample {
    fn default() -> Self {
        Self { name: "sample".into(), wanted: Filter::default() }
    }
}

impl Source {
    /// What the source is called in reports and checkpoints.
    pub fn name(&self) -> &str {
        match self {
            Self::Aozora(source) => &source.name,
            Self::Files(source) => &source.name,
            Self::Sample(source) => &source.name,
        }
    }
}

/// Refuses lists of sources that no job can read.
pub(super) fn check(sources: &[Source]) -> Result<(), JobError> {
    if sources.is_empty() {
        let advice = "add a [[source]] table, such as kind = \"sample\"";
        return Err(JobError::senseless("source", &"missing", advice));
    }
    for (index, source) in sources.iter().enumerate() {
        let name = source.name();
        let key = |field: &str| format!("source.{index}.{field}");
        if name.is_empty() {
            return Err(JobError::senseless(&key("name"), &"empty", "give the source a name"));
        }
        if sources[..index].iter().any(|other| other.name() == name) {
            let advice = "give each source a name of its own";
            return Err(JobError::senseless(&key("name"), &format!("\"{name}\" again"), advice));
        }
        match source {
            Source::Files(files) if files.paths.is_empty() => {
                let advice = "name files, such as [\"texts/*.txt\"]";
                return Err(JobError::senseless(&key("paths"), &"empty", advice));
            }
            Source::Files(Files { selector, .. }) if !can_select(selector) => {
                let advice = "write a CSS selector, such as \"article\"";
                return Err(JobError::senseless(&key("selector"), selector, advice));
            }
            Source::Aozora(aozora) => {
                for (field, address) in [("index", &aozora.index), ("mirror", &aozora.mirror)] {
                    let is_web = |url: operators::fetch::Url| {
                        ["http", "https"].contains(&url.scheme()) && url.has_host()
                    };
                    let unused = field == "mirror" && address.is_empty();
                    if !unused && !address.parse().is_ok_and(is_web) {
                        let advice = "use an address that begins with http:// or https://";
                        return Err(JobError::senseless(&key(field), address, advice));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether text can be taken by this selector; an empty one takes the whole body.
fn can_select(selector: &str) -> bool {
    selector.is_empty() || Extractor::new(&Rule::Sniffed(selector.to_owned())).is_ok()
}
