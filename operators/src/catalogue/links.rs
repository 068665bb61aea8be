//! Finds the links of a page that a selector names, in page order.

use scraper::{Html, Selector};
use url::Url;

use crate::{
    decode::{Content, decode},
    extract::BadSelector,
};

/// A selector of links.
#[derive(Clone, Debug)]
pub struct Links {
    selector: Selector,
    base: Selector,
}

impl Links {
    /// Links that `selector` matches, such as `a.next`.
    ///
    /// # Errors
    /// If it is no selector.
    pub fn new(selector: &str) -> Result<Self, BadSelector> {
        let parse = |written: &str| {
            Selector::parse(written).map_err(|cause| BadSelector {
                selector: written.to_owned(),
                cause: cause.to_string(),
            })
        };
        Ok(Self { selector: parse(selector)?, base: parse("base[href]")? })
    }

    /// Where the links of a page lead that was found at `address`: web addresses without fragments,
    /// in page order, each once. A page that is no HTML has none.
    pub fn of(&self, body: &[u8], charset: Option<&str>, address: &Url) -> Vec<Url> {
        let Ok(page) = decode(body, charset, Content::Html) else { return Vec::new() };
        let Ok(html) = crate::extract::parse(&page) else { return Vec::new() };
        self.in_page(&html, address)
    }

    fn in_page(&self, html: &Html, address: &Url) -> Vec<Url> {
        let based = html.select(&self.base).next().and_then(|base| base.attr("href"));
        let base = based.and_then(|href| address.join(href).ok());
        let base = base.as_ref().unwrap_or(address);
        let mut found: Vec<Url> = Vec::new();
        for href in html.select(&self.selector).filter_map(|link| link.attr("href")) {
            let Ok(mut url) = base.join(href) else { continue };
            url.set_fragment(None);
            if matches!(url.scheme(), "http" | "https") && !found.contains(&url) {
                found.push(url);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(selector: &str, page: &str) -> Vec<String> {
        let address = "https://example.org/a/1?x".parse().expect("an address");
        let links = Links::new(selector).expect("a selector");
        links.of(page.as_bytes(), None, &address).iter().map(Url::to_string).collect()
    }

    #[test]
    fn links_come_in_page_order_each_once_and_lead_to_the_web() {
        let page = "<a href='2'>2</a><a class=next href='/3#top'>3</a><a href='mailto:x@y'>m</a>\
                    <a href='file:///etc/passwd'>f</a><a href='/3'>3</a><a>none</a>";
        assert_eq!(links("a", page), ["https://example.org/a/2", "https://example.org/3"]);
        assert_eq!(links("a.next", page), ["https://example.org/3"]);
        let based = format!("<base href='https://other.example/b/'>{page}");
        assert_eq!(links("a", &based), ["https://other.example/b/2", "https://other.example/3"]);
        assert!(Links::new("a[").is_err());
    }
}
