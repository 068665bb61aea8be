//! Reads sitemaps and indexes of sitemaps (sitemaps.org, protocol 0.9), plain or gzipped.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use quick_xml::{Reader, XmlVersion, events::Event};

/// What a sitemap has, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sitemap {
    /// Pages.
    Pages(Vec<Place>),
    /// Further sitemaps.
    Index(Vec<Place>),
}

/// An address in a sitemap, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: String,
    /// When it was last changed, as it is written, or empty.
    pub changed: String,
}

/// Why a sitemap cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SitemapError {
    /// It is no XML.
    #[error("it is no XML: {0}")]
    Xml(#[from] quick_xml::Error),
    /// It cannot be decompressed.
    #[error("could not decompress it: {0}")]
    Gzip(std::io::Error),
    /// It is XML, or text, of another kind.
    #[error("it is neither a `urlset` nor a `sitemapindex`")]
    Neither,
    /// It is too large, once decompressed.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// The places in a sitemap of at most `limit` bytes.
///
/// # Errors
/// If it is none. What comes after damage in the middle is not guessed at.
pub fn read(body: &[u8], limit: u64) -> Result<Sitemap, SitemapError> {
    let mut text = Vec::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        let stream = MultiGzDecoder::new(body).take(limit.saturating_add(1));
        { stream }.read_to_end(&mut text).map_err(SitemapError::Gzip)?;
        if text.len() as u64 > limit {
            return Err(SitemapError::TooLarge(limit));
        }
    } else {
        text.extend_from_slice(body);
    }
    places(&text)
}

fn places(text: &[u8]) -> Result<Sitemap, SitemapError> {
    let mut reader = Reader::from_reader(text);
    let (mut is_index, mut places) = (None, Vec::new());
    // The elements that are open, by local name: a sitemap may have extensions of its own.
    let mut open: Vec<String> = Vec::new();
    let mut place = Place::default();
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer)? {
            Event::Start(element) => {
                let name = element.local_name().as_ref().to_owned();
                if open.is_empty() {
                    is_index = match name.as_str() {
                        "urlset" => Some(false),
                        "sitemapindex" => Some(true),
                        _ => return Err(SitemapError::Neither),
                    };
                } else if open.len() == 1 {
                    place = Place::default();
                }
                open.push(name);
            }
            Event::End(_) => {
                open.pop();
                if open.len() == 1 {
                    let Place { address, changed } = std::mem::take(&mut place);
                    let (address, changed) = (address.trim().to_owned(), changed.trim().to_owned());
                    if !address.is_empty() {
                        places.push(Place { address, changed });
                    }
                }
            }
            Event::Text(text) => add(&mut place, &open, &text.xml_content(XmlVersion::Explicit1_0)),
            Event::CData(text) => {
                add(&mut place, &open, &text.xml_content(XmlVersion::Explicit1_0))
            }
            Event::GeneralRef(reference) => {
                let named = match &*reference.xml10_content() {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref()?,
                };
                add(&mut place, &open, &named.map(String::from).unwrap_or_default());
            }
            Event::Eof => break,
            _ => {}
        }
        buffer.clear();
    }
    match is_index {
        Some(true) => Ok(Sitemap::Index(places)),
        Some(false) => Ok(Sitemap::Pages(places)),
        None => Err(SitemapError::Neither),
    }
}

fn add(place: &mut Place, open: &[String], text: &str) {
    let [_, _, name] = open else { return };
    match name.as_str() {
        "loc" => place.address.push_str(text),
        "lastmod" => place.changed.push_str(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const PAGES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="x">
          <url><loc> https://example.org/a?x=1&amp;y=2 </loc><lastmod>2026-01-02</lastmod>
               <image:image><image:loc>https://example.org/a.png</image:loc></image:image></url>
          <url><loc><![CDATA[https://example.org/b]]></loc></url>
          <url><lastmod>2026-01-03</lastmod></url>
        </urlset>"#;

    fn place(address: &str, changed: &str) -> Place {
        Place { address: address.into(), changed: changed.into() }
    }

    #[test]
    fn pages_come_in_their_order_and_pictures_are_none() {
        let pages = [
            place("https://example.org/a?x=1&y=2", "2026-01-02"),
            place("https://example.org/b", ""),
        ];
        let pages = Sitemap::Pages(pages.to_vec());
        assert_eq!(read(PAGES.as_bytes(), 10_000).unwrap(), pages);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(PAGES.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(read(&gzip, 10_000).unwrap(), pages);
        assert!(matches!(read(&gzip, 100), Err(SitemapError::TooLarge(100))));
    }

    #[test]
    fn an_index_names_sitemaps() {
        let index = "<s:sitemapindex xmlns:s='x'><s:sitemap><s:loc>https://example.org/1.xml\
                     </s:loc></s:sitemap></s:sitemapindex>";
        let expected = Sitemap::Index(vec![place("https://example.org/1.xml", "")]);
        assert_eq!(read(index.as_bytes(), 10_000).unwrap(), expected);
    }

    #[test]
    fn what_is_no_sitemap_is_an_error() {
        for text in
            ["", "not found", "<html><body>not found</body></html>", "<urlset><url></urlset>"]
        {
            assert!(read(text.as_bytes(), 10_000).is_err(), "{text}");
        }
    }
}
