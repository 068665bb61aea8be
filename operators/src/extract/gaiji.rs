//! Resolves a gaiji, a character that a page's charset lacks, to Unicode.
//!
//! A gaiji is an image or a note. Both say what it is by plane, row and cell of JIS X 0213 or by
//! Unicode; an image without such words, by its file's name. A description alone names nothing.

use std::{iter, sync::LazyLock};

/// What stands for a character that cannot be resolved, as in print.
pub const UNRESOLVED: &str = "〓";

const ROWS: usize = 94;
const CELLS: usize = 94;

// [plane, row, cell], each from 0; made by scripts/jisx0213.py.
static TABLE: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut table = vec![""; 2 * ROWS * CELLS];
    for line in include_str!("jisx0213.tsv").lines() {
        let mut cells = line.split('\t');
        let row = cells.next().and_then(|name| position(name.split('-'), 2));
        let start = row.expect("each line of the table starts with its plane and row");
        for (cell, character) in cells.enumerate() {
            table[start + cell] = character;
        }
    }
    table
});

/// The index of the position that `numbers` gives by plane, row and (if there are three) cell.
fn position<'a>(numbers: impl Iterator<Item = &'a str>, count: usize) -> Option<usize> {
    let mut numbers = numbers.map(|number| number.parse::<usize>().ok()?.checked_sub(1));
    let mut next = || numbers.next().flatten();
    let (plane, row) = (next()?, next()?);
    let cell = if count == 3 { next()? } else { 0 };
    (plane < 2 && row < ROWS && cell < CELLS).then_some((plane * ROWS + row) * CELLS + cell)
}

/// The character of JIS X 0213 whose plane, row and cell `text` starts with, parted by `separator`.
fn at_position(text: &str, separator: char) -> Option<&'static str> {
    let end = text.find(|c: char| c != separator && !c.is_ascii_digit()).unwrap_or(text.len());
    let text = &text[..end];
    let exact = text.split(separator).count() == 3;
    let character = TABLE[exact.then(|| position(text.split(separator), 3)).flatten()?];
    (!character.is_empty()).then_some(character)
}

fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark).map(move |(at, _)| &text[at + mark.len()..])
}

fn by_level(text: &str) -> Option<String> {
    let levels = after(text, "第3水準").chain(after(text, "第4水準"));
    levels.filter_map(|rest| at_position(rest, '-')).map(str::to_owned).next()
}

fn by_code_point(text: &str) -> Option<String> {
    after(text, "U+").find_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let code = (4..=6).contains(&end).then(|| u32::from_str_radix(&rest[..end], 16).ok())??;
        char::from_u32(code).filter(|character| !character.is_control()).map(String::from)
    })
}

/// What a note such as `［＃「てへん＋兩」、U+639A、76-6］` names.
// Three numbers alone are a place in the printed book here, not in JIS X 0213.
pub fn of_note(note: &str) -> Option<String> {
    by_level(note).or_else(|| by_code_point(note))
}

/// What an image names by its alternative text or its address.
pub fn of_image(alternative: &str, address: &str) -> Option<String> {
    let bare = || {
        let starts = iter::once(alternative).chain(after(alternative, "、"));
        starts.chain(after(alternative, "(")).find_map(|rest| at_position(rest, '-'))
    };
    of_note(alternative).or_else(|| bare().or_else(|| of_file(address)).map(str::to_owned))
}

/// What a file name such as `1-87-71.png` or `1_87_71.gif` says.
fn of_file(address: &str) -> Option<&'static str> {
    let name = address.rsplit('/').next()?;
    at_position(name, '-').or_else(|| at_position(name, '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_standard() {
        let cell = |position| at_position(position, '-');
        assert_eq!(cell("1-1-1"), Some("　"));
        assert_eq!(cell("1-16-1"), Some("亜"));
        assert_eq!(cell("1-84-6"), Some("熙"));
        assert_eq!(cell("1-87-71"), Some("犍"));
        assert_eq!(cell("2-1-1"), Some("\u{20089}"));
        assert_eq!(cell("2-94-86"), Some("\u{2a6b2}"));
        assert_eq!(cell("1-4-87"), Some("か\u{309a}"), "two code points");
        for nothing in
            ["1-0-1", "0-1-1", "3-1-1", "1-95-1", "1-1-95", "2-2-1", "1-16", "1-1-1-1", "--", ""]
        {
            assert_eq!(cell(nothing), None, "{nothing}");
        }
        assert_eq!(TABLE.iter().filter(|cell| !cell.is_empty()).count(), 11_233);
    }

    #[test]
    fn a_note_names_by_level_or_code_point_and_never_by_a_page_number() {
        let level = "［＃「牛＋建」、第3水準1-87-71、12-3］";
        assert_eq!(of_note(level).as_deref(), Some("犍"));
        assert_eq!(of_note("［＃「てへん＋兩」、U+639A、76-6］").as_deref(), Some("掚"));
        assert_eq!(of_note("［＃「火＋發」、U+243CB、624-3］").as_deref(), Some("\u{243cb}"));
        for nothing in [
            "［＃「口＋斗」、1-2-22］",
            "［＃U+12］",
            "［＃U+D800］",
            "［＃U+1234567］",
            "［＃U+0007］",
        ] {
            assert_eq!(of_note(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_image_names_by_its_words_or_else_by_its_file() {
        let image = |alternative, address| of_image(alternative, address);
        assert_eq!(image("※(「牛＋建」、第3水準1-87-71)", "").as_deref(), Some("犍"));
        assert_eq!(image("※(二の字点、1-2-22)", "x/1-02/1-02-99.png").as_deref(), Some("〻"));
        assert_eq!(image("※(1-2-22)", "").as_deref(), Some("〻"));
        assert_eq!(image("※(ドイツ語)", "../../../gaiji/1-09/1-09-53.png").as_deref(), Some("ß"));
        assert_eq!(image("", "../../../gaiji0213/109/1_87_71.gif").as_deref(), Some("犍"));
        assert_eq!(image("※()", "../../../gaiji/others/xxxx.png"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_words_are_borne(words in "(第[34]水準|U\\+|、|\\(|[0-9A-F一-]|-){0,40}") {
            let _ = of_image(&words, &words);
        }
    }
}
