//! Sources on the web, as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Pages of the web: listed, in a sitemap, or found by following links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pages {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Addresses.
    pub urls: Vec<String>,
    /// A file with an address a line; empty means none.
    pub list: PathBuf,
    /// Where a sitemap is, or an index of sitemaps; empty means none.
    pub sitemap: String,
    /// The CSS selector of the text; empty takes the whole body.
    pub selector: String,
    /// The CSS selector of links to follow, within the site that they are found on; empty follows
    /// none.
    pub follow: String,
    /// How many links away from the listed pages it goes.
    pub depth: u32,
    /// At most so many pages.
    pub limit: Option<usize>,
    /// The corpus that they are counted to, such as 新字新仮名; may be empty.
    pub orthography: String,
    /// Whether the sites that this source names may be in a private network.
    pub allow_private: bool,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            name: "pages".into(),
            weight: None,
            urls: Vec::new(),
            list: PathBuf::new(),
            sitemap: String::new(),
            selector: String::new(),
            follow: String::new(),
            depth: 1,
            limit: None,
            orthography: String::new(),
            allow_private: false,
        }
    }
}

/// A feed, asked again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feed {
    /// What the source is called in reports and checkpoints.
    pub name: String,
    /// Its share of the entries beside the other weights; without one it is read in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Where the feed is: RSS, Atom or JSON Feed.
    pub url: String,
    /// Seconds from one poll to the next.
    pub every: f64,
    /// Where an item's text is.
    pub text: FeedText,
    /// The CSS selector of the text; empty takes the whole body.
    pub selector: String,
    /// The corpus that they are counted to, such as 新字新仮名; may be empty.
    pub orthography: String,
    /// Whether the feed's site may be in a private network.
    pub allow_private: bool,
}

/// Where the text of a feed's item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedText {
    /// On the page that the item links to.
    Page,
    /// In the item itself.
    Content,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            name: "feed".into(),
            weight: None,
            url: String::new(),
            every: 900.0,
            text: FeedText::Page,
            selector: String::new(),
            orthography: String::new(),
            allow_private: false,
        }
    }
}
