//! `char.def` as MeCab reads it: where lines overlap, the last one holds.
//!
//! lindera gives a character the categories of every line that has it. In IPADIC that makes 々 and
//! 〇 both kanji and symbols, and half of the lines on which it parted from MeCab had one of them.

use std::collections::BTreeSet;

/// Rewrites the ranges of characters so that none overlaps another; the rest stays as it is.
/// A line that is no range stays too: the compiler says what is wrong with it.
pub(super) fn without_overlaps(char_def: &str) -> String {
    let (mut ranges, mut text) = (Vec::new(), String::new());
    for line in char_def.lines() {
        match range(line) {
            Some(range) => ranges.push(range),
            None => text.extend([line, "\n"]),
        }
    }
    let bounds: BTreeSet<u32> =
        ranges.iter().flat_map(|&(first, last, _)| [first, last.saturating_add(1)]).collect();
    for (&first, &next) in bounds.iter().zip(bounds.iter().skip(1)) {
        let holds = |&&(from, to, _): &&(u32, u32, &str)| from <= first && first <= to;
        if let Some((_, _, categories)) = ranges.iter().rev().find(holds) {
            // A character's own category stands first, behind it those it may be taken for. lindera
            // compares neighbours place by place: for 一 to end a run of kanji, as it may, what it
            // shares with them has to stand where they have it.
            let shared_first: Vec<_> = categories.split_ascii_whitespace().rev().collect();
            let (last, categories) = (next - 1, shared_first.join(" "));
            text.push_str(&format!("0x{first:04X}..0x{last:04X} {categories}\n"));
        }
    }
    text
}

/// The first and last character of a line's range, and its categories.
fn range(line: &str) -> Option<(u32, u32, &str)> {
    let line = line.split('#').next()?.trim();
    let (span, categories) = line.split_once(|c: char| c.is_ascii_whitespace())?;
    let number = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let (first, last) = span.split_once("..").unwrap_or((span, span));
    Some((number(first)?, number(last)?, categories.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_lines_overlap_the_last_one_holds() {
        let text = "KANJI 0 0 2\n# 々\n0x3005 KANJI\n0x4E00..0x4E02  KANJI # three\n\
                    0x4E01 KANJINUMERIC KANJI\n0x3000..0x303F\tSYMBOL # last\n";
        assert_eq!(
            without_overlaps(text),
            "KANJI 0 0 2\n# 々\n\
             0x3000..0x3004 SYMBOL\n0x3005..0x3005 SYMBOL\n0x3006..0x303F SYMBOL\n\
             0x4E00..0x4E00 KANJI\n0x4E01..0x4E01 KANJI KANJINUMERIC\n0x4E02..0x4E02 KANJI\n"
        );
    }

    #[test]
    fn what_is_no_range_is_left_to_the_compiler() {
        let text = "0xZZ KANJI\n0x30..0x KANJI\n0x3005\n";
        assert_eq!(without_overlaps(text), text);
    }
}
