//! The formats of vector files, and how to tell them by their first bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many bytes of a file are enough to tell its format: a word and two numbers.
pub(super) const HEAD: u64 = 4096;

/// fastText's mark, as the bytes stand in its files.
pub(super) const FAST_TEXT: [u8; 4] = 793_712_314_u32.to_le_bytes();

/// finalfusion's mark.
pub(super) const FINALFUSION: [u8; 4] = *b"FiFu";

/// The format of a file of word vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Told by the file's first bytes.
    #[default]
    Auto,
    /// word2vec's binary format, with line ends between the vectors (word2vec.c) or without (gensim).
    Word2Vec,
    /// fastText's `.bin`: words and their subwords.
    FastText,
    /// GloVe's text: a word and its components a line.
    Glove,
    /// word2vec's or fastText's text (`.vec`): like GloVe's, below a line with the number of words
    /// and of components.
    Text,
    /// finalfusion's `.fifu`.
    Finalfusion,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "known",
            Self::Word2Vec => "word2vec",
            Self::FastText => "fastText",
            Self::Glove => "GloVe",
            Self::Text => "text",
            Self::Finalfusion => "finalfusion",
        })
    }
}

/// The format of a file that begins with `head`.
pub(super) fn detect(head: &[u8]) -> Option<Format> {
    if head.starts_with(&FINALFUSION) {
        return Some(Format::Finalfusion);
    }
    if head.starts_with(&FAST_TEXT) {
        return Some(Format::FastText);
    }
    let end = head.iter().position(|&byte| byte == b'\n')?;
    let first = std::str::from_utf8(&head[..end]).ok()?;
    if let Some((_, dimension)) = shape(first) {
        let second = head[end + 1..].split(|&byte| byte == b'\n').next().unwrap_or_default();
        // A line of text that was cut off by the end of the head has at least its first number.
        let text = std::str::from_utf8(second).is_ok_and(|line| {
            let mut numbers = line.trim_end().split(BLANKS).skip(1).peekable();
            numbers.peek().is_some() && numbers.take(dimension.min(2)).all(is_number)
        });
        return Some(if text { Format::Text } else { Format::Word2Vec });
    }
    let mut numbers = first.trim_end().split(BLANKS).skip(1).peekable();
    (numbers.peek().is_some() && numbers.all(is_number)).then_some(Format::Glove)
}

/// What stands between a word and its components in text.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// The number of words and of components, where a line has these two and no more.
pub(super) fn shape(line: &str) -> Option<(usize, usize)> {
    let (words, dimension) = line.trim_end().split_once(BLANKS)?;
    Some((words.parse().ok()?, dimension.parse().ok()?))
}

fn is_number(text: &str) -> bool {
    text.parse::<f32>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let told: [(&[u8], Option<Format>); 10] = [
            (b"FiFu\0\0\0\0", Some(Format::Finalfusion)),
            (&FAST_TEXT, Some(Format::FastText)),
            (b"2 3\na 1 2 3\nb 4 5 6\n", Some(Format::Text)),
            (b"2 3 \na 1 2 3 \n", Some(Format::Text)),
            (b"2 1\na \0\0\x80\x3f\nb ", Some(Format::Word2Vec)),
            (b"1 2\na 1234ABCD", Some(Format::Word2Vec)),
            (b"a 1 2.5e-3 -3\n", Some(Format::Glove)),
            (b"a b c\n", None),
            (b"PK\x03\x04\n", None),
            (b"\xff\xfe\n", None),
        ];
        for (head, format) in told {
            assert_eq!(detect(head), format, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
