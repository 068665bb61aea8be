//! Extraction against texts that an independent extractor made of real pages, and over a whole
//! mirror. The pages are no part of the project: `SESERAGI_TEST_DATA` names the folder that has
//! them, else `shared` beside the checkout; without either these tests say so and pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use operators::extract::{Extractor, Rule};

#[allow(clippy::print_stderr)] // tells a person that a test did nothing
fn aozora() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("SESERAGI_TEST_DATA").map_or_else(beside, PathBuf::from);
    let folder = data.join("aozora");
    if !folder.is_dir() {
        eprintln!("skipped: there is no test data at {}; set SESERAGI_TEST_DATA", folder.display());
        return None;
    }
    Some(folder)
}

/// The files in `folder`, at any depth, whose names end with `ending`.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let pattern = format!("{}/**/*{ending}", folder.display());
    let mut files: Vec<_> = glob::glob(&pattern).unwrap().map(Result::unwrap).collect();
    files.sort();
    files
}

fn text(page: &Path) -> Result<String, String> {
    let extractor = Extractor::new(&Rule::Aozora).unwrap();
    extractor.text(&fs::read(page).unwrap(), None).map_err(|reason| reason.to_string())
}

/// Says where two texts part.
fn difference(expected: &str, text: &str) -> Option<String> {
    let at = expected.chars().zip(text.chars()).position(|(one, other)| one != other);
    let at = at.unwrap_or(expected.chars().count().min(text.chars().count()));
    let near =
        |text: &str| -> String { text.chars().skip(at.saturating_sub(20)).take(50).collect() };
    (expected != text).then(|| format!("at {at}: {:?}, not {:?}", near(text), near(expected)))
}

fn check(golden: &str, pages: &str, count: usize) {
    let Some(aozora) = aozora() else { return };
    let golden = aozora.join("golden").join(golden);
    let expected = files(&golden, ".clean.txt");
    assert_eq!(expected.len(), count, "pages in {}", golden.display());
    let mut different = Vec::new();
    for clean in expected {
        let name = clean.strip_prefix(&golden).unwrap().to_str().unwrap();
        let name = name.replace(".clean.txt", ".html");
        let page = aozora.join(pages).join(&name);
        let clean = fs::read_to_string(&clean).unwrap();
        let difference = match text(&page) {
            Ok(text) => difference(&clean, &text),
            Err(reason) => Some(reason),
        };
        if let Some(difference) = difference {
            different.push(format!("{name} {difference}"));
        }
    }
    assert!(different.is_empty(), "{} differ\n{}", different.len(), different.join("\n"));
}

#[test]
fn mirror_pages_give_the_expected_texts_to_the_character() {
    check("dev", "mirror", 42);
}

#[test]
fn real_pages_give_the_expected_texts_to_the_character() {
    check("real", "real", 43);
}

#[test]
fn every_page_of_the_mirror_gives_text() {
    let Some(aozora) = aozora() else { return };
    let pages = files(&aozora.join("mirror"), ".html");
    assert_eq!(pages.len(), 600);
    let mut characters = 0;
    for page in pages {
        let text = text(&page).unwrap_or_else(|reason| panic!("{}: {reason}", page.display()));
        characters += text.chars().count();
        for markup in ['\r', '<'] {
            assert!(!text.contains(markup), "{}: {markup:?}", page.display());
        }
        assert!(!text.contains("底本："), "{}: the colophon", page.display());
    }
    assert!((8_300_000..8_500_000).contains(&characters), "{characters} characters");
}
