//! Reads feeds: RSS, Atom and JSON Feed, oldest item first.

use feed_rs::model;
use url::Url;

/// An item of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What names it for good: its guid or id, or else a hash of its link and title.
    pub id: String,
    /// When it was last changed, or published, in RFC 3339, or empty.
    pub changed: String,
    /// Its title, or empty.
    pub title: String,
    /// Who wrote it, or empty.
    pub credit: String,
    /// Its page.
    pub link: Option<Url>,
    /// Its own text, as HTML: the content, or else the summary.
    pub content: Option<String>,
}

/// A feed that is none.
#[derive(Debug, thiserror::Error)]
#[error("it is no feed: {0}")]
pub struct FeedError(#[from] feed_rs::parser::ParseFeedError);

/// The items of the feed that was found at `address`. A feed has its newest item first; here the
/// oldest comes first, so that what is new comes last in every poll.
///
/// # Errors
/// If it is neither RSS nor Atom nor JSON Feed.
pub fn items(body: &[u8], address: &Url) -> Result<Vec<Item>, FeedError> {
    let parser = feed_rs::parser::Builder::new().base_uri(Some(address)).build();
    let feed = parser.parse(body)?;
    Ok(feed.entries.into_iter().rev().map(|entry| item(entry, address)).collect())
}

fn item(entry: model::Entry, address: &Url) -> Item {
    let own = entry.content.and_then(|content| content.body);
    let content = own.or_else(|| entry.summary.map(|summary| summary.content));
    let is_page = |link: &&model::Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate");
    let link = entry.links.iter().find(is_page).or(entry.links.first());
    let credit: Vec<_> = entry.authors.into_iter().filter_map(|author| author.name).collect();
    Item {
        id: entry.id,
        changed: entry
            .updated
            .or(entry.published)
            .map(|time| time.to_rfc3339())
            .unwrap_or_default(),
        title: entry.title.map(|title| title.content).unwrap_or_default(),
        credit: credit.join(", "),
        link: link.and_then(|link| address.join(&link.href).ok()),
        content: content.filter(|content| !content.trim().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Item> {
        items(text.as_bytes(), &"https://example.org/feed".parse().expect("an address")).unwrap()
    }

    #[test]
    fn rss_and_atom_give_the_same_items_oldest_first() {
        let rss = read(
            "<rss version='2.0'><channel><title>t</title><link>https://example.org/</link>\
             <item><guid>two</guid><title>二</title><link>https://example.org/2</link>\
             <pubDate>Fri, 02 Jan 2026 00:00:00 GMT</pubDate>\
             <description>&lt;p&gt;川&lt;/p&gt;</description></item>\
             <item><guid>one</guid><link>https://example.org/1</link></item></channel></rss>",
        );
        let atom = read(
            "<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title><id>f</id>\
             <updated>2026-01-02T00:00:00Z</updated>\
             <entry><id>two</id><title>二</title><link rel='self' href='/2.atom'/><link href='/2'/>\
             <updated>2026-01-02T00:00:00Z</updated>\
             <content type='html'>&lt;p&gt;川&lt;/p&gt;</content></entry>\
             <entry><id>one</id><link href='/1'/></entry></feed>",
        );
        assert_eq!(rss, atom);
        let [one, two] = rss.try_into().expect("two items");
        assert_eq!((one.id.as_str(), one.content), ("one", None));
        assert_eq!(one.link, "https://example.org/1".parse().ok());
        assert_eq!((two.title.as_str(), two.content.as_deref()), ("二", Some("<p>川</p>")));
        assert_eq!(two.changed, "2026-01-02T00:00:00+00:00");
    }

    #[test]
    fn an_item_without_an_id_has_the_same_name_in_every_poll() {
        let feed = "<rss version='2.0'><channel><item><title>a</title>\
                    <link>https://example.org/a</link></item></channel></rss>";
        assert_eq!(read(feed), read(feed));
        assert!(!read(feed)[0].id.is_empty());
    }

    #[test]
    fn what_is_no_feed_is_an_error() {
        let address = "https://example.org/".parse().expect("an address");
        assert!(items(b"<html><p>not found</p></html>", &address).is_err());
        assert!(items(b"", &address).is_err());
    }
}
