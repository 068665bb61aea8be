//! What is read without a tree is what a parser reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// Markup by chance: mostly as it should be, now and then with a mistake.
fn book(choices: &[(u8, u8)]) -> String {
    const TEXTS: [&str; 10] = [
        "文",
        "※",
        "\r\n",
        " ",
        "［＃改ページ］",
        "&amp;",
        "&quot;※",
        "/>",
        "\n底本：「本」",
        "&nbsp;",
    ];
    const STARTS: [&str; 20] = [
        "ruby",
        "ruby",
        "rb",
        "rt",
        "rp",
        "div class=\"jisage_2\" style=\"margin\"",
        "div",
        "h3 class=\"a\"",
        "h4",
        "a class=\"midashi_anchor\" id=\"m\"",
        "em",
        "strong",
        "b",
        "i",
        "sup",
        "span class=\"notes\"",
        "span class='notes'",
        "p",
        "table",
        "span class=\"a notes\"",
    ];
    const ALONE: [&str; 8] = [
        "<br />",
        "<br>",
        "<br/>",
        "<img class=\"gaiji\" alt=\"※(「牛＋建」、第3水準1-87-71)\" />",
        "<img class=\"gaiji\" alt=\"<x\">",
        "<!R>",
        "<img gaiji=\"gaiji\" alt=\"a\"b />",
        "<hr />",
    ];
    let of = |of: &[&'static str], choice: u8| of[usize::from(choice) % of.len()];
    let (mut markup, mut open) = (String::new(), Vec::new());
    for &(what, choice) in choices {
        match what % 16 {
            0..4 => markup += of(&TEXTS, choice),
            4..8 => {
                let start = of(&STARTS, choice);
                open.push(start.split(' ').next().unwrap());
                write!(markup, "<{start}>").unwrap();
            }
            8..13 => {
                if let Some(name) = open.pop() {
                    write!(markup, "</{name}>").unwrap();
                }
            }
            13 | 14 => markup += of(&ALONE, choice),
            _ if choice < 16 => markup += "</div>",
            _ if choice < 32 => markup += "</b>",
            _ => markup += "石",
        }
    }
    while let Some(name) = open.pop() {
        write!(markup, "</{name}>").unwrap();
    }
    markup
}

/// What may come before the main text, and how it can lead a reader astray.
const BEFORE: [&str; 10] = [
    "",
    "<h1>題</h1><br />",
    "<b>",
    "<table>",
    "<!--",
    "<p>",
    "<span>",
    "</body></html>",
    "<script>\"",
    "<div class='a main_text'>前</div>",
];

#[test]
fn a_book_without_mistakes_is_read_without_a_tree() {
    let ruby = "<ruby><rb>小川</rb><rp>（</rp><rt>おがわ</rt><rp>）</rp></ruby>";
    let markup = "<div class=\"jisage_2\" style=\"margin-left: 2em\"><h4 class=\"naka-midashi\">\
         <a class=\"midashi_anchor\" id=\"midashi10\">一</a></h4></div><em class=\"sesame_dot\">水</em><br />\r\n\
         <img src=\"a.png\" alt=\"絵\" /><span class=\"notes\">［＃改ページ］</span><sub class=\"kaeriten\">二</sub>";
    let sure = |before: &str, markup: &str| {
        let page = page(&format!("{ruby}{markup}")).replace("<body>", &format!("<body>{before}"));
        aozora::well_formed_text(&page).is_some()
    };
    assert!(sure("", markup));
    for before in &BEFORE[..2] {
        assert!(sure(before, markup), "{before}");
    }
    for before in &BEFORE[2..] {
        // These leave something open, or are no part of what is known; or nothing.
        assert_eq!(sure(before, markup), matches!(*before, "<p>" | "</body></html>"), "{before}");
    }
    for mistake in [
        "<b>",
        "</b>",
        "<!-- -->",
        "&nbsp;",
        "&amp",
        "<br",
        "<BR>",
        "<div/>",
        "<a><b><a></a></b></a>",
        "<h3><h4></h4></h3>",
        "<rt><rb></rb></rt>",
        "<p></p>",
        "<i class=x></i>",
        "<i a=\"&\"></i>",
        "<i a=\"\"b=\"\"></i>",
        "<b ></b >",
        "\0",
        "<",
        "<1>",
    ] {
        assert!(!sure("", mistake), "{mistake}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn whatever_is_read_without_a_tree_is_read_as_by_a_parser(
        choices in proptest::collection::vec(any::<(u8, u8)>(), 0..40),
        before in 0..3 * BEFORE.len(),
    ) {
        let before = BEFORE.get(before).copied().unwrap_or_default();
        let page = page(&book(&choices)).replace("<body>", &format!("<body>{before}"));
        if let Some(text) = aozora::well_formed_text(&page) {
            prop_assert_eq!(Ok(text), aozora_text(&page));
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "tells a person that a test did nothing, and what it found")]
fn the_pages_of_a_mirror_are_read_the_same_both_ways_and_most_without_a_tree() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("SESERAGI_TEST_DATA").map_or_else(beside, PathBuf::from);
    let pattern = data.join("aozora/mirror/cards/**/*.html");
    let paths = glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap);
    let (mut pages, mut sure) = (0, 0);
    for path in paths {
        let body = fs::read(&path).unwrap();
        let page = decode(&body, None, Content::Html).unwrap();
        pages += 1;
        if let Some(text) = aozora::well_formed_text(&page) {
            assert_eq!(aozora_text(&page), Ok(text), "{path:?}");
            sure += 1;
        }
    }
    if pages == 0 {
        eprintln!("skipped: there are no pages at {pattern:?}; set SESERAGI_TEST_DATA");
        return;
    }
    eprintln!("{sure} of {pages} pages are read without a tree");
    assert!(sure * 10 >= pages * 9, "{sure} of {pages} pages");
}
