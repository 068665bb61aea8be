//! A small made-up library, laid out and written as Aozora Bunko's site is: an index in a zip, and
//! pages in Shift_JIS. Equal seeds give equal libraries, byte for byte.
//!
//! Among the works are some that nobody can use: pages that are missing, pages without a main text,
//! and works whose text another work before them has already.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use encoding_rs::SHIFT_JIS;
use loopback::{Behaviour, Delay, Page, Server};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Dice that fall the same way in every run: splitmix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// A number from 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.roll() as f64 / u64::MAX as f64
    }
}

/// What a work is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Text that no other work has.
    Own,
    /// The text of the work five before: in another epoch, where epochs are of four.
    Repeated,
    /// In the index, and nowhere else.
    Missing,
    /// A page that is none of a work.
    Textless,
}

impl Kind {
    fn of(work: u64) -> Self {
        match work % 12 {
            5 => Self::Repeated,
            7 => Self::Missing,
            10 => Self::Textless,
            _ => Self::Own,
        }
    }
}

/// The library's folder.
pub struct Library {
    folder: PathBuf,
    works: u64,
}

impl Library {
    /// Writes a library of so many works into a folder.
    pub fn write(folder: &Path, works: u64, seed: u64) -> Self {
        let library = Self { folder: folder.to_owned(), works };
        let mut dice = Dice(seed);
        let words = words(&mut dice);
        let mut texts: Vec<String> = Vec::new();
        for work in 0..works {
            let kind = Kind::of(work);
            texts.push(match kind {
                Kind::Repeated => texts[work as usize - 5].clone(),
                _ => passage(&words, &mut dice),
            });
            if kind != Kind::Missing {
                put(&library.file(work), &library.body(work, &texts[work as usize]));
            }
        }
        put(&library.folder.join(INDEX), &zipped(&index(works)));
        library
    }

    /// Serves the library, each answer after a while of at most `up_to`, drawn by `seed`.
    pub fn serve(&self, seed: u64, up_to: Duration) -> Server {
        Server::slow_folder(&self.folder, Delay { seed, up_to })
    }

    /// Has some pages fail in ways that another try mends: a server's error, and a body cut off.
    pub fn trouble(&self, server: &Server, dice: &mut Dice) {
        for work in 0..self.works {
            let Ok(body) = fs::read(self.file(work)) else { continue };
            // As it is served from the folder: the charset is the page's own to declare.
            let page = Page::html(body).header("Content-Type", "text/html");
            let trouble = match dice.below(6) {
                0 => Behaviour::Status(500),
                1 => Behaviour::Cut {
                    after: page.body.len() / 2,
                    page: page.clone(),
                    chunked: false,
                },
                _ => continue,
            };
            server.set(path(work), trouble.times(1).then(Behaviour::Page(page)));
        }
    }

    fn file(&self, work: u64) -> PathBuf {
        self.folder.join(path(work).trim_start_matches('/'))
    }

    fn body(&self, work: u64, text: &str) -> Vec<u8> {
        let text = match Kind::of(work) {
            Kind::Textless => "<p>この頁はありません。</p>".to_owned(),
            _ => format!("<div class=\"main_text\">{text}</div>"),
        };
        let page = format!(
            "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html;charset=Shift_JIS\" />\
             <title>第{work}話</title></head><body>{text}</body></html>"
        );
        let (bytes, _, unmappable) = SHIFT_JIS.encode(&page);
        assert!(!unmappable, "the library is written in characters of Shift_JIS");
        bytes.into_owned()
    }
}

const INDEX: &str = "index_pages/list_person_all_extended_utf8.zip";

fn path(work: u64) -> String {
    format!("/cards/000001/files/{work:06}_1.html")
}

fn put(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).expect("room for a library");
}

/// Words of no language, in the characters of Japanese.
fn words(dice: &mut Dice) -> Vec<String> {
    let kanji: Vec<char> = "山川海空雨雪花鳥風月水火木土石田森林村町家門道橋舟".chars().collect();
    let kana: Vec<char> =
        "あいうかきくさしすたちつなにのはまみもやゆよらりるれわん".chars().collect();
    let mut any = |of: &[char]| of[dice.below(of.len() as u64) as usize];
    (0..400)
        .map(|word| match word % 4 {
            0 => [any(&kanji)].iter().collect(),
            1 => [any(&kanji), any(&kanji)].iter().collect(),
            2 => [any(&kanji), any(&kana)].iter().collect(),
            _ => [any(&kana), any(&kana), any(&kana)].iter().collect(),
        })
        .collect()
}

/// A few paragraphs: early words are frequent, late ones rare, as in any language.
fn passage(words: &[String], dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..4 + dice.below(8) {
        for _ in 0..3 + dice.below(6) {
            for place in 0..4 + dice.below(8) {
                let word = (dice.share().powi(2) * words.len() as f64) as usize;
                text += &words[word.min(words.len() - 1)];
                text += ["は", "の", "を", "に"][(place % 4) as usize];
            }
            text += "。";
        }
        text += "<br />\r\n";
    }
    text
}

fn index(works: u64) -> String {
    let header = "作品ID,作品名,副題,文字遣い種別,作品著作権フラグ,人物ID,姓,名,役割フラグ,\
                  人物著作権フラグ,XHTML/HTMLファイルURL,XHTML/HTMLファイル最終更新日,\
                  XHTML/HTMLファイル修正回数";
    let rows = (0..works).map(|work| {
        let at = path(work);
        format!(
            "{work:06},第{work}話,,新字新仮名,なし,000001,見本,太郎,著者,なし,\
             https://www.aozora.gr.jp{at},2026-01-01,0"
        )
    });
    [header.to_owned()].into_iter().chain(rows).collect::<Vec<_>>().join("\r\n")
}

fn zipped(table: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let packed = archive
        .start_file("list_person_all_extended_utf8.csv", SimpleFileOptions::default())
        .and_then(|()| Ok(archive.write_all(table.as_bytes())?));
    packed.expect("an archive in memory");
    archive.finish().expect("an archive in memory").into_inner()
}

/// Flips one bit in the middle of a file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file to damage");
    let middle = bytes.len() / 2;
    match bytes.get_mut(middle) {
        Some(byte) => *byte ^= 0x10,
        // There is no bit in an empty file; then there is one that was not written.
        None => bytes.push(0x10),
    }
    fs::write(path, bytes).expect("room for a damaged file");
}

/// Takes the last byte from a file; one that is empty goes altogether.
pub fn truncate(path: &Path) {
    let file = File::options().write(true).open(path).expect("a file to damage");
    match file.metadata().expect("an open file").len() {
        0 => fs::remove_file(path).expect("a file to remove"),
        length => file.set_len(length - 1).expect("a shorter file"),
    }
}
