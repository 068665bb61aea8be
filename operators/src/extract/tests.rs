mod well_formed;

use std::{fmt::Write as _, sync::mpsc::Receiver};

use encoding_rs::SHIFT_JIS;
use proptest::prelude::*;
use timely::dataflow::operators::{Capture, Input, capture::Event};

use super::*;
use crate::{Epoch, batch::Container, record::Record};

const MARK: &str = "※";

fn page(main_text: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<html><head><title>題</title></head><body>\r\n\
         <div class=\"metadata\"><h1>題</h1></div>\r\n<div class=\"main_text\"><br />\r\n{main_text}\
         </div>\r\n<div class=\"bibliographical_information\">底本：「本」<br />\r\n</div></body></html>"
    )
}

fn read(rule: &Rule, page: &str) -> Result<String, Unreadable> {
    Extractor::new(rule).unwrap().text(page.as_bytes(), None)
}

fn main_text(markup: &str) -> String {
    read(&Rule::Aozora, &page(markup)).unwrap()
}

#[test]
fn only_the_main_text_is_taken_line_by_line() {
    let markup = "　流れは　\r\n細い。<br />\r\n<br />\r\n<div class=\"jisage_2\">\r\n<h3>一</h3>\r\n石\n</div>水<br />\r\n";
    assert_eq!(main_text(markup), "　流れは　細い。\n\n一\n石\n水\n");
}

#[test]
fn ruby_keeps_its_base_only() {
    let marked = "<ruby><rb>小川</rb><rp>（</rp><rt>おがわ</rt><rp>）</rp></ruby>の";
    let modern = "<ruby>水<rp>(</rp><rt>みず<rt>スイ</rt></ruby>";
    assert_eq!(main_text(&format!("{marked}{modern}")), "小川の水\n");
}

#[test]
fn signs_that_belong_to_the_text_are_kept() {
    let markup = "どん／＼<sub class=\"kaeriten\">レ</sub><sup class=\"okurigana\">ヲ</sup>\
        <span class=\"caption\">図</span><span class=\"warichu\">（割）</span>\
        <span class=\"notes\">［＃改ページ］</span><img class=\"illustration\" src=\"a.png\" alt=\"絵\" />";
    assert_eq!(main_text(markup), "どん／＼レヲ図（割）\n");
}

#[test]
fn gaiji_images_become_unicode() {
    let named = "<img gaiji=\"gaiji\" src=\"x/1-87/1-87-71.png\" alt=\"※(「牛＋建」、第3水準1-87-71)\" class=\"gaiji\" />";
    let filed = "<img src=\"../../../gaiji/1-02/1-02-22.png\" alt=\"※()\" class=\"gaiji\" />";
    let lost = "<img src=\"x.png\" alt=\"※(「謎」)\" class=\"gaiji\" />";
    assert_eq!(main_text(&format!("a{named}{filed}{lost}b")), "a犍〻〓b\n");
}

#[test]
fn an_image_whose_words_are_torn_by_an_image_leaves_no_crumbs() {
    let torn = "<img src=\"x.png\" class=\"gaiji\" alt=\"※(「<img src=\"1-85-57.png\" alt=\"※(第3水準1-85-57)\" class=\"gaiji\" />」の左)\" class=\"gaiji\" />";
    assert_eq!(main_text(&format!("前{torn}後")), "前〓後\n");
}

#[test]
fn a_note_explains_the_mark_before_it() {
    let note = |words| format!("<span class=\"notes\">［＃「{words}］</span>");
    let (named, lost) = (note("手偏」、U+639A、76-6"), note("口＋斗」、1-2-22"));
    assert_eq!(main_text(&format!("甲※{named}乙※{lost}丙")), "甲掚乙〓丙\n");
    // A note about the print explains nothing, and leaves the mark to the next.
    let print = note("乙」は底本では「甲」");
    assert_eq!(main_text(&format!("甲※{print}乙※{print}{named}")), "甲※乙掚\n");
    // A mark of the author's own is no gaiji.
    assert_eq!(main_text(&format!("※甲は{named}")), "※甲は\n");
}

#[test]
fn a_note_after_ruby_explains_the_mark_in_its_base() {
    let ruby =
        |base: &str| format!("<ruby><rb>{base}</rb><rp>（</rp><rt>※よみ</rt><rp>）</rp></ruby>");
    let note = |code: &str| format!("<span class=\"notes\">［＃「字」、{code}、1-2］</span>");
    let (first, second) = (note("第3水準1-87-71"), note("U+2000B"));
    assert_eq!(main_text(&format!("{}{first}ら", ruby("甲※乙"))), "甲犍乙ら\n");
    assert_eq!(main_text(&format!("{}{first}{second}ら", ruby("※甲※"))), "犍甲\u{2000b}ら\n");
    assert_eq!(main_text(&format!("{}{second}{first}ら", ruby("※甲※"))), "\u{2000b}甲犍ら\n");
    assert_eq!(main_text(&format!("{}、{first}", ruby("※"))), "※、\n");
}

#[test]
fn a_component_shown_within_a_note_is_not_the_character() {
    let part = "<img src=\"x\" alt=\"※(第3水準1-85-57)\" class=\"gaiji\" />";
    assert_eq!(
        main_text(&format!("※<span class=\"notes\">［＃「{part}のつくり」、1-2］</span>")),
        "〓\n"
    );
}

#[test]
fn a_colophon_within_the_main_text_is_cut_off() {
    let colophon = "<br />\n底本：「本」社<br />\n底本の親本：「本」<br />\n入力：人<br />\n青空文庫作成ファイル：<br />\n";
    assert_eq!(
        main_text(&format!("底本：とは何か<br />\n文<br />\n{colophon}")),
        "底本：とは何か\n文\n"
    );
}

const HANDMADE: &str = "<HTML><HEAD><TITLE>題</TITLE>\n<META HTTP-EQUIV=\"Content-Type\" \
    CONTENT=\"text/html;CHARSET=x-sjis\"></HEAD>\n<BODY BGCOLOR=\"#FFFFFF\"> \n<H1>題</H1>\n<H2>人</H2>\n<BR>\n\
    \u{3000}<!R>小川（おがわ）の（細い）水［＃「水」は［ママ］］<!R>※［＃注］（しぶき）①。<BR>\n\
    <A HREF=\"#gaiji\">の<!R>※々（つぎ）</A>と<A HREF=\"#gaiji\">※</A>と<A HREF=\"#gaiji\">※</A>と<A HREF=\"#gaiji\">誰※</A><BR>\n\
    <!R>終（<BR>\nわり）<BR>\n<BR>\n<HR>\n<BR>\n底本：「本」<BR>\n<HR><P>\n<A NAME=\"gaiji\"></A>●表記について<BR>\n\
    <TABLE BORDER=1><TR><TD>\n\t※\n</TD><TD><CENTER><IMG SRC=\"../g/1_2_22.gif\"><BR>二の字点</CENTER></TD></TR>\
    <TR><TD>※</TD><TD>第3水準1-87-71</TD></TR><TR><TD>\n\tの<!R>※々（つぎ）\n</TD><TD>第3水準1-87-71</TD></TR></TABLE></BODY></HTML>";

#[test]
fn a_page_made_by_hand_gives_its_text() {
    let body = SHIFT_JIS.encode(HANDMADE).0;
    let text = Extractor::new(&Rule::Aozora).unwrap().text(&body, None).unwrap();
    assert_eq!(text, "　小川の（細い）水※①。\nの犍々と〻と犍と誰〓\n終\nわり）\n");
}

#[test]
fn a_page_of_something_else_has_no_main_text() {
    for page in ["", "not found", "<html><body><h1>404</h1><hr>nginx</body></html>", "<!--"] {
        assert!(matches!(read(&Rule::Aozora, page), Err(Unreadable::NoMainText(_))), "{page}");
    }
    let selector = Rule::Selector("article".to_owned());
    assert!(matches!(read(&selector, "<p>a"), Err(Unreadable::NoMainText(_))));
}

#[test]
fn a_blank_text_is_none() {
    assert_eq!(read(&Rule::Aozora, &page("　<br />\n")), Err(Unreadable::Empty));
    assert_eq!(read(&Rule::Selector("p".to_owned()), "<p> <br></p>"), Err(Unreadable::Empty));
    assert_eq!(read(&Rule::PlainText, " \n　"), Err(Unreadable::Empty));
}

#[test]
fn a_body_that_ends_in_the_middle_gives_the_text_that_is_there() {
    let whole = page(
        "　流れは細い。<br />\n　<ruby><rb>石</rb><rp>（</rp><rt>いし</rt><rp>）</rp></ruby>は丸い。<br />\n",
    );
    let start = whole.find('流').unwrap() + 3;
    let full = main_text("　流れは細い。<br />\n　石は丸い。<br />\n");
    for length in start..whole.len() {
        let text =
            Extractor::new(&Rule::Aozora).unwrap().text(&whole.as_bytes()[..length], None).unwrap();
        // Half a character, and half a tag that could still have been text.
        let text = text.trim_end().trim_end_matches([char::REPLACEMENT_CHARACTER, '<', '/']);
        assert!(full.starts_with(text), "{length}: {text}");
    }
}

#[test]
fn a_selector_takes_its_elements_once_in_document_order() {
    let rule = Rule::Selector("article, .also".to_owned());
    let page = "<body><nav>menu</nav><p class=also>first\n   line</p>x<article><h1>二</h1><script>var x;</script>\
        <p class=also>漢字\nかな <b>bold</b> text<noscript><p>no</p></noscript></p><pre>a\n  b</pre>\
        <template>t</template><style>s</style><ruby>川<rt>かわ</rt></ruby>c<br>d</article>";
    assert_eq!(read(&rule, page).unwrap(), "first line\n二\n漢字かな bold text\na\n  b\n川c\nd\n");
}

#[test]
fn plain_text_changes_in_its_line_ends_only() {
    let text = "\u{feff}一《いち》\r\n　［＃注］<b> \r\r\n";
    assert_eq!(read(&Rule::PlainText, text).unwrap(), "一《いち》\n　［＃注］<b> \n\n");
}

#[test]
fn a_bad_selector_is_named() {
    let error = Extractor::new(&Rule::Selector("p[".to_owned())).unwrap_err();
    assert!(error.to_string().starts_with("could not read the CSS selector `p[`: "), "{error}");
}

#[test]
fn nesting_without_end_is_refused_and_deep_nesting_is_read() {
    for tag in ["div", "b", "span", "ruby", "table><tr><td", "font", "a", "ul><li", "p><b"] {
        let start = format!("<{tag}>");
        let deep = page(&format!("{}文", start.repeat(100_000)));
        for rule in [Rule::Aozora, Rule::Selector("body".to_owned())] {
            let refused = read(&rule, &deep);
            let is_flat = matches!(tag, "a"); // a link ends the link before it
            assert_eq!(refused.is_ok(), is_flat, "{tag}: {refused:?}");
        }
    }
    let deep = format!("{}文{}", "<div>".repeat(400), "</div>".repeat(400));
    assert_eq!(main_text(&deep), "文\n");
}

#[test]
fn formatting_that_is_reopened_without_end_is_refused() {
    let mut markup = "<p>".to_owned();
    for number in 0..400 {
        write!(markup, "<b id={number}>").unwrap();
    }
    let read = read(&Rule::Aozora, &page(&(markup + &"<p>x".repeat(100_000))));
    assert!(read == Err(Unreadable::Multiplying), "{:?}", read.err());
}

#[test]
fn attributes_without_end_are_refused_and_long_texts_and_pictures_are_read() {
    for separator in [" ", "/", "=''", "=\">\""] {
        let mut tag = "<a x".to_owned();
        for number in 0..30_000 {
            write!(tag, "{separator}a{number}").unwrap();
        }
        let read = read(&Rule::Aozora, &page(&(tag + ">文")));
        assert!(read == Err(Unreadable::EndlessTag), "{separator}: {:?}", read.err());
    }
    let text = "a b ".repeat(100_000);
    assert_eq!(main_text(&text).trim_end(), text.trim_end());
    let picture =
        format!("<img src=\"data:image/png;base64,{}\">文", "iVBORw0KGgo/".repeat(20_000));
    assert_eq!(main_text(&picture), "文\n");
}

#[test]
fn long_pages_of_one_kind_are_read_through() {
    // Work that grew with the square of any of these would keep this test for hours.
    for markup in [
        "<hr>",
        "※",
        "<ruby>※",
        "</i>",
        "<p>",
        "<br>",
        "（",
        "［＃",
        "<!R>",
        "<i>※</i>",
        "&",
        "<",
        "\"",
        "\n",
        " ",
    ] {
        let long = format!("文{}", markup.repeat(100_000));
        for page in [page(&long), format!("<h1>題</h1>{long}<hr>底本：")] {
            let read = read(&Rule::Aozora, &page);
            assert!(read.is_ok() || markup == "<ruby>※", "{markup}: {:?}", read.err());
        }
    }
    let notes = "<span class=notes>［＃「字」、U+639A］</span>".repeat(10_000);
    let ruby = format!("<ruby>{}</ruby>{notes}", MARK.repeat(10_000));
    assert!(main_text(&ruby).starts_with("掚"));
}

proptest! {
    #[test]
    fn any_markup_gives_clean_text_or_a_reason(
        markup in "(</?(div|p|br|ruby|rb|rt|span class=notes|b|table|td|h3|pre)>|<!R>|<!--|[※［＃］（）文 　\r\n]|U\\+639A|&lt;){0,60}",
    ) {
        let handmade = format!("<h1>題</h1>{markup}<hr>底本：");
        for page in [page(&markup), handmade] {
            if let Ok(text) = read(&Rule::Aozora, &page) {
                prop_assert!(text.ends_with('\n') && !text.ends_with("\n\n") && !text.contains('\r'));
                prop_assert!(text.lines().all(|line| line.trim_end() == line));
            }
        }
        let _ = read(&Rule::Selector("div, p".to_owned()), &page(&markup));
    }

    #[test]
    fn any_bytes_give_text_or_a_reason(body: Vec<u8>) {
        for rule in [Rule::Aozora, Rule::Selector("body".to_owned()), Rule::PlainText] {
            let _ = Extractor::new(&rule).unwrap().text(&body, None);
        }
    }
}

fn entry(sequence: u64, source: &str) -> Entry {
    Entry { sequence, source: source.to_owned(), id: sequence.to_string(), ..Entry::default() }
}

fn row<'a>(entry: &Entry, body: &'a [u8]) -> PageRow<'a> {
    PageRow { entry: entry.clone(), content: [7; 32], media: "text/plain", charset: None, body }
}

fn captured<R: Record>(events: &Receiver<Event<Epoch, Container<R>>>) -> Vec<(Epoch, Batch<R>)> {
    let mut captured = Vec::new();
    for event in events.iter() {
        if let Event::Messages(stamp, mut batches) = event {
            let epoch = *stamp.iter().next().expect("a message has an epoch");
            captured.extend(batches.drain().map(|batch| (epoch, batch)));
        }
    }
    captured
}

#[test]
fn rules_are_shared_by_workers() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Rules>();
}

#[test]
fn each_page_leaves_as_one_document_or_one_reject_in_its_epoch_with_its_route() {
    let rules = Arc::new(Rules::default());
    rules.insert("plain", Extractor::new(&Rule::PlainText).unwrap());
    let [good, blank, lost] = [entry(1, "plain"), entry(2, "plain"), entry(3, "nobody")];
    let text = "一二\n";
    let mixed = [row(&good, text.as_bytes()), row(&blank, b" "), row(&lost, b"x")];
    let sent = [(3, Batch::<Page>::of(5, mixed)), (4, Batch::<Page>::of(6, [row(&blank, b"")]))];

    let (documents, rejects) = timely::execute_directly(move |worker| {
        let (mut input, captures) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (input, pages) = scope.new_input_with_builder::<Builder<Page>>();
            let (documents, rejects) = pages.extract(&rules);
            (input, (documents.capture(), rejects.capture()))
        });
        for (epoch, batch) in sent {
            input.advance_to(epoch);
            input.send(batch);
        }
        captures
    });

    let documents = captured(&documents);
    let [(3, batch)] = &documents[..] else { panic!("{documents:?}") };
    let expected = DocumentRow {
        entry: good,
        content: [7; 32],
        // sha256sum of the text begins so.
        fingerprint: 0x4c2cb536_f5cb7bb3_2b8de167_ea753bd2,
        characters: 3,
        text,
    };
    assert_eq!((batch.route, batch.iter().collect::<Vec<_>>()), (5, vec![expected]));

    let rejects = captured(&rejects);
    let [(3, first), (4, second)] = &rejects[..] else { panic!("{rejects:?}") };
    let reject =
        |entry: &Entry, reason| RejectRow { entry: entry.clone(), stage: Stage::Extract, reason };
    let lost = reject(&lost, "no rule for source \"nobody\"");
    let blank = reject(&blank, "empty text");
    assert_eq!((first.route, first.iter().collect::<Vec<_>>()), (5, vec![blank.clone(), lost]));
    assert_eq!((second.route, second.iter().collect::<Vec<_>>()), (6, vec![blank]));
}
