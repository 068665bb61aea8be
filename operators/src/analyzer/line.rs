//! What is decided about a line without a dictionary: where to cut it, what its words span.
//!
//! Everything here keeps every byte: the pieces of a line, joined, are the line, and so are spans.

/// The longest piece that is analyzed as a whole, in characters. The lattice counts characters in
/// sixteen bits.
pub const LONGEST: usize = 60_000;

/// The line, whole if it can be, else cut behind the ends of sentences.
pub(super) fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(cut(rest, LONGEST));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Where to cut a line so that the first piece has at most `longest` characters, in bytes: behind
/// its last sentence, clause or space, in that order of preference; or, where a line has none of
/// them, inside what it has.
fn cut(line: &str, longest: usize) -> usize {
    // A line that has no more bytes than that has no more characters either, and most are so.
    if line.len() <= longest {
        return line.len();
    }
    let Some((limit, _)) = line.char_indices().nth(longest) else { return line.len() };
    let head = &line[..limit];
    let behind = |marks: &[char]| {
        let (at, mark) = head.char_indices().rev().find(|(_, c)| marks.contains(c))?;
        Some(at + mark.len_utf8())
    };
    behind(&['。', '！', '？'])
        .or_else(|| behind(&['、', '，', '．', '」']))
        .or_else(|| behind(&['\u{3000}', ' ', '\t']))
        .unwrap_or(limit)
}

/// The words of a piece whose words start at `starts`. A word ends where the next one starts.
///
/// The first start is taken for 0 and a piece without one for a single word, so that no text can
/// be lost to an analysis that went wrong.
pub(super) fn spans(
    piece: &str,
    starts: impl Iterator<Item = usize>,
) -> impl Iterator<Item = &str> {
    let ends = starts.skip(1).chain(std::iter::once(piece.len()));
    ends.scan(0, |start, end| Some(&piece[std::mem::replace(start, end)..end]))
}

/// Whether a word is made of what IPADIC counts as white space, which MeCab leaves out of its
/// output.
pub(super) fn is_blank(word: &str) -> bool {
    word.bytes().all(|byte| matches!(byte, b' ' | b'\t' | 0x0b))
}

/// The characters of a word, as words.
pub(super) fn characters(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(|_: char| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lines_are_whole() {
        assert_eq!(pieces("雨。風。").collect::<Vec<_>>(), ["雨。風。"]);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn a_line_is_cut_behind_the_last_sentence_that_fits() {
        // 7 characters fit: `雨。風、雪。霧` ends inside the third sentence.
        let line = "雨。風、雪。霧、雷";
        assert_eq!(&line[..cut(line, 7)], "雨。風、雪。");
        assert_eq!(&line[..cut(line, 5)], "雨。");
        assert_eq!(&line[..cut("雨風、雪霧雷", 5)], "雨。風");
        assert_eq!(cut("ab cd", 4), 3);
        assert_eq!(cut("abcde", 4), 4);
    }

    #[test]
    fn no_piece_is_longer_than_the_longest() {
        let line = "あ".repeat(2 * LONGEST + 1);
        let lengths: Vec<_> = pieces(&line).map(|piece| piece.chars().count()).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 1]);
    }

    #[test]
    fn spans_cover_the_piece_whatever_the_starts() {
        let joined = |starts: &[usize]| spans("雨風", starts.iter().copied()).collect::<Vec<_>>();
        assert_eq!(joined(&[0, 3]), ["雨", "風"]);
        assert_eq!(joined(&[3]), ["雨風"]);
        assert_eq!(joined(&[]), ["雨風"]);
    }

    #[test]
    fn blanks_are_what_the_dictionary_counts_as_space() {
        assert!(is_blank("  \t\u{b}"));
        assert!(!is_blank("\u{3000}") && !is_blank(" a") && !is_blank("\r") && !is_blank("\0"));
        assert_eq!(characters(" \u{3000}\t").collect::<Vec<_>>(), [" ", "\u{3000}", "\t"]);
    }
}
