//! Gives a body's text as UTF-8, by the charset that its server, its byte order mark or the page
//! itself declares; by detection where none of them does.
//!
//! Labels mean what they mean to browsers (so `Shift_JIS` and `x-sjis` are cp932, and a byte order
//! mark outranks the server). A label that nobody knows is passed over, and is an error where
//! nothing else declares a charset. A few bytes that are not text become U+FFFD each; more than
//! four of them, and more than one character in a thousand, are an error: then the charset is
//! wrong, or this is no text at all.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use thiserror::Error;

/// How far into a page its own declaration is looked for.
const HEAD: usize = 4096;
/// So many characters that are not text are borne, however short the text.
const BORNE: usize = 4;
/// One character in so many may be none.
const ONE_IN: usize = 1000;

/// What a body is, which decides whether it can declare its own charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// HTML: `<?xml encoding=…>` and `<meta charset=…>` count.
    Html,
    /// Plain text.
    Text,
}

/// Why a body has no text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// All that declare a charset declare one that does not exist.
    #[error("no charset is called \"{0}\"")]
    UnknownCharset(String),
    /// Too many bytes are not text in the charset that applies.
    #[error(
        "{invalid} of {characters} characters are not text in {charset}, which was {authority}"
    )]
    Invalid {
        /// How many characters could not be decoded, or are control characters.
        invalid: usize,
        /// How many characters there are in all.
        characters: usize,
        /// The charset.
        charset: &'static str,
        /// Who said so: `declared` or `detected`.
        authority: &'static str,
    },
}

/// The text of `body`, whose server declared the charset `declared`.
pub fn decode<'a>(
    body: &'a [u8],
    declared: Option<&str>,
    content: Content,
) -> Result<Cow<'a, str>, Undecodable> {
    let (encoding, body, authority) = match Encoding::for_bom(body) {
        Some((encoding, mark)) => (encoding, &body[mark..], "declared"),
        None => match declaration(body, declared, content)? {
            Some(encoding) => (encoding, body, "declared"),
            None => (detect(body), body, "detected"),
        },
    };
    let (text, malformed) = encoding.decode_without_bom_handling(body);
    let invalid = invalid_characters(&text, malformed);
    if invalid > BORNE {
        let characters = text.chars().count();
        if invalid > characters / ONE_IN {
            return Err(Undecodable::Invalid {
                invalid,
                characters,
                charset: encoding.name(),
                authority,
            });
        }
    }
    Ok(text)
}

fn declaration(
    body: &[u8],
    declared: Option<&str>,
    content: Content,
) -> Result<Option<&'static Encoding>, Undecodable> {
    let mut unknown = None;
    let own = (content == Content::Html).then(|| own_label(body)).flatten();
    // What can be read as ASCII is no UTF-16, whatever the page says of itself.
    let own = own.map(|label| match Encoding::for_label(&label) {
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(String::from_utf8_lossy(&label).into_owned()),
    });
    let server =
        declared.map(|label| Encoding::for_label(label.as_bytes()).ok_or_else(|| label.to_owned()));
    for said in [server, own].into_iter().flatten() {
        match said {
            Ok(encoding) => return Ok(Some(encoding)),
            Err(label) => unknown = unknown.or(Some(label)),
        }
    }
    unknown.map_or(Ok(None), |label| Err(Undecodable::UnknownCharset(label)))
}

/// The label in the page's `<?xml encoding="…">`, `<meta charset="…">` or
/// `<meta content="…; charset=…">`, whichever comes first.
fn own_label(body: &[u8]) -> Option<Vec<u8>> {
    let head = body[..body.len().min(HEAD)].to_ascii_lowercase();
    let mut rest = &head[..];
    while let Some(start) = rest.iter().position(|&byte| byte == b'<') {
        rest = &rest[start..];
        let (name, end): (&[u8], &[u8]) = if rest.starts_with(b"<!--") {
            (b"", b"-->")
        } else if rest.starts_with(b"<?xml") {
            (b"encoding", b">")
        } else if rest.starts_with(b"<meta") {
            (b"charset", b">")
        } else {
            (b"", b"<")
        };
        let from = 1;
        let length = find(&rest[from..], end).map_or(rest.len(), |at| from + at);
        let (tag, after) = rest.split_at(length);
        if !name.is_empty()
            && let Some(label) = label_after(tag, name)
        {
            return Some(label.to_vec());
        }
        rest = after;
    }
    None
}

fn label_after<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = tag;
    while let Some(at) = find(rest, name) {
        rest = rest[at + name.len()..].trim_ascii_start();
        // `charset` may also be a word in the description; only an assignment counts.
        let Some(value) = rest.strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
        let end = value
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || b"\"';/>?".contains(byte))
            .unwrap_or(value.len());
        return (end > 0).then(|| &value[..end]);
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn detect(body: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(body, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// Replacement characters, and control characters: a single-byte charset "decodes" any bytes, and
/// only these betray that they were no text.
fn invalid_characters(text: &str, malformed: bool) -> usize {
    let control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r');
    let controls = text.bytes().filter(|&byte| control(byte)).count();
    let replaced = if malformed { text.matches(char::REPLACEMENT_CHARACTER).count() } else { 0 };
    controls + replaced
}

#[cfg(test)]
mod tests {
    use encoding_rs::{EUC_JP, SHIFT_JIS};

    use super::*;

    const TEXT: &str = "せせらぎは、小さな流れの音である。①";

    fn html(head: &str, encoding: &'static Encoding) -> Vec<u8> {
        encoding.encode(&format!("<html><head>{head}</head><body>{TEXT}</body>")).0.into_owned()
    }

    fn reads(body: &[u8], declared: Option<&str>) -> bool {
        decode(body, declared, Content::Html).is_ok_and(|text| text.contains(TEXT))
    }

    #[test]
    fn every_way_of_declaring_a_charset_is_understood() {
        for encoding in [UTF_8, SHIFT_JIS, EUC_JP] {
            let name = encoding.name();
            assert!(reads(&html("", encoding), Some(name)), "{name}: the server");
            for head in [
                format!("<meta charset={name}>"),
                format!("<META CHARSET = '{name}' />"),
                format!(
                    "<meta name=charset content=x><meta http-equiv=\"Content-Type\" \
                     content=\"text/html; charset={name}\">"
                ),
                format!("<!-- <meta charset=none> --><meta charset={name}>"),
                format!("<?xml version=\"1.0\" encoding=\"{name}\"?><meta charset=none>"),
            ] {
                assert!(reads(&html(&head, encoding), None), "{name}: {head}");
            }
        }
        assert!(reads(&html("<meta content='text/html;CHARSET=x-sjis'>", SHIFT_JIS), None));
    }

    #[test]
    fn the_mark_outranks_the_server_and_the_server_the_page() {
        let marked = [b"\xef\xbb\xbf", &html("<meta charset=euc-jp>", UTF_8)[..]].concat();
        assert!(reads(&marked, Some("Shift_JIS")));
        assert!(!decode(&marked, None, Content::Html).unwrap().contains('\u{feff}'));
        assert!(reads(&html("<meta charset=utf-8>", SHIFT_JIS), Some("Shift_JIS")));
    }

    #[test]
    fn an_undeclared_charset_is_detected() {
        for encoding in [UTF_8, SHIFT_JIS, EUC_JP] {
            let body = encoding.encode(&TEXT.repeat(20)).0.into_owned();
            let text = decode(&body, None, Content::Text).unwrap();
            assert_eq!(text, TEXT.repeat(20), "{}", encoding.name());
        }
    }

    #[test]
    fn plain_text_declares_nothing_of_itself() {
        let body = format!("<meta charset=euc-jp>{TEXT}");
        assert_eq!(decode(body.as_bytes(), None, Content::Text).unwrap(), body);
    }

    #[test]
    fn an_unknown_label_is_an_error_only_if_nothing_else_declares() {
        let unknown = Err(Undecodable::UnknownCharset("klingon".to_owned()));
        assert_eq!(decode(&html("", UTF_8), Some("klingon"), Content::Html), unknown);
        assert_eq!(decode(&html("<meta charset=klingon>", UTF_8), None, Content::Html), unknown);
        assert!(reads(&html("<meta charset=euc-jp>", EUC_JP), Some("klingon")));
        assert!(reads(&html("<meta charset=klingon>", EUC_JP), Some("euc-jp")));
    }

    #[test]
    fn a_few_bad_bytes_are_replaced_and_many_are_an_error() {
        let mut body = TEXT.repeat(1000).into_bytes();
        let characters = TEXT.chars().count() * 1000;
        // Each breaks a character of three bytes into three that are none.
        for at in 0..characters / ONE_IN / 3 {
            body[at * 900] = 0xff;
        }
        let text = decode(&body, Some("utf-8"), Content::Text).unwrap();
        assert!(text.contains(char::REPLACEMENT_CHARACTER));
        for at in 0..body.len() / 300 {
            body[at * 300] = 0xff;
        }
        assert!(matches!(
            decode(&body, Some("utf-8"), Content::Text),
            Err(Undecodable::Invalid { charset: "UTF-8", authority: "declared", .. })
        ));
    }

    #[test]
    fn a_short_body_cut_within_a_character_is_still_read() {
        let body = &TEXT.as_bytes()[..TEXT.len() - 1];
        assert!(decode(body, Some("utf-8"), Content::Text).unwrap().starts_with("せせらぎは"));
    }

    #[test]
    fn a_picture_is_no_text() {
        let picture: Vec<u8> =
            (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for declared in [None, Some("utf-8"), Some("windows-1252")] {
            assert!(matches!(
                decode(&picture, declared, Content::Html),
                Err(Undecodable::Invalid { .. })
            ));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_text_or_an_error(
            body: Vec<u8>,
            declared in proptest::option::of("[a-z0-9_-]{0,12}"),
        ) {
            let _ = decode(&body, declared.as_deref(), Content::Html);
            let page = [b"<meta charset=".as_slice(), &body].concat();
            let _ = decode(&page, declared.as_deref(), Content::Html);
        }
    }
}
