//! Every format, sound and unsound, in files made here; and a real one where it is at hand.

use std::{fs, io::BufReader};

use finalfusion::{
    io::WriteEmbeddings,
    prelude::{Embeddings, ReadFastText, ReadWord2Vec},
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const WORDS: [(&str, [f32; 3]); 4] = [
    ("雨", [1.0, 2.0, -2.0]),
    ("\u{3000}", [0.1, 1e-7, 3.5]),
    ("無", [0.0, 0.0, 0.0]),
    ("</s>", [-0.3, 1e20, 4.0]),
];

fn word2vec(words: &[(&[u8], &[f32])], line_ends: bool) -> Vec<u8> {
    let dimension = words.first().map_or(0, |(_, vector)| vector.len());
    let mut bytes = format!("{} {dimension}\n", words.len()).into_bytes();
    for (word, vector) in words {
        bytes.extend([word, &b" "[..]].concat());
        bytes.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
        bytes.extend(line_ends.then_some(b'\n'));
    }
    bytes
}

fn words() -> Vec<(&'static [u8], &'static [f32])> {
    WORDS.iter().map(|(word, vector)| (word.as_bytes(), &vector[..])).collect()
}

fn text(header: bool) -> Vec<u8> {
    let lines = WORDS.iter().map(|(word, [a, b, c])| format!("{word} {a} {b} {c}\n"));
    let header = header.then(|| "4 3\n".to_owned());
    header.into_iter().chain(lines).collect::<String>().into_bytes()
}

fn finalfusion_file() -> Vec<u8> {
    let embeddings = Embeddings::read_word2vec_binary(&mut &small()[..]).unwrap();
    let mut bytes = io::Cursor::new(Vec::new());
    embeddings.write_embeddings(&mut bytes).unwrap();
    bytes.into_inner()
}

/// Words that the library takes as they are.
fn small() -> Vec<u8> {
    word2vec(&[("雨".as_bytes(), &[3.0, 4.0]), ("雪".as_bytes(), &[0.0, -2.0])], false)
}

/// fastText's layout with the given settings; every subword has the vector [1, 2].
fn fast_text_file(
    words: &[(&str, [f32; 2])],
    shortest: u32,
    longest: u32,
    buckets: u32,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = words.len() as u32;
    // Mark and version; then dimension, window, passes, minimum, negative, n-grams, loss, model.
    for number in [793_712_314, 12, 2, 5, 5, 1, 5, 1, 2, 2, buckets, shortest, longest, 100] {
        bytes.extend(u32::to_le_bytes(number));
    }
    bytes.extend(1e-4_f64.to_le_bytes());
    for number in [count, count, 0] {
        bytes.extend(u32::to_le_bytes(number));
    }
    bytes.extend(100_u64.to_le_bytes());
    bytes.extend((-1_i64).to_le_bytes());
    for (word, _) in words {
        bytes.extend(word.as_bytes());
        bytes.push(0);
        bytes.extend(7_u64.to_le_bytes());
        bytes.push(0);
    }
    bytes.push(0);
    bytes.extend((u64::from(count) + u64::from(buckets)).to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    let rows = words.iter().map(|(_, row)| *row);
    for row in rows.chain(std::iter::repeat_n([1.0, 2.0], buckets as usize)) {
        bytes.extend(row.iter().flat_map(|component| component.to_le_bytes()));
    }
    bytes
}

fn open(bytes: &[u8], format: Format) -> Result<Arc<Vectors>, VectorsError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vectors");
    fs::write(&path, bytes).unwrap();
    Vectors::open(&path, format)
}

fn trouble(bytes: &[u8], format: Format) -> Trouble {
    match open(bytes, format) {
        Ok(vectors) => panic!("{} vectors were read", vectors.len()),
        Err(VectorsError { trouble, .. }) => trouble,
    }
}

fn get(vectors: &Vectors, word: &str) -> Option<Vec<f32>> {
    let mut vector = vec![f32::NAN; vectors.dimension()];
    vectors.lookup(word, &mut vector).then_some(vector)
}

#[test]
fn plain_formats_give_what_stands_in_the_file_to_the_last_bit() {
    let files = [
        (word2vec(&words(), false), Format::Word2Vec),
        (word2vec(&words(), true), Format::Word2Vec),
        (text(true), Format::Text),
        (text(false), Format::Glove),
    ];
    for (bytes, format) in &files {
        for format in [*format, Format::Auto] {
            let vectors = open(bytes, format).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((vectors.len(), vectors.dimension()), (4, 3));
            for (word, vector) in WORDS {
                assert_eq!(get(&vectors, word).as_deref(), Some(&vector[..]), "{word}");
            }
            for missing in ["雪", "", " ", "\n"] {
                assert_eq!(get(&vectors, missing), None);
            }
        }
    }
}

#[test]
fn a_line_end_can_be_a_word() {
    for line_ends in [false, true] {
        let words = [(&b"a"[..], &[1.0][..]), (b"\n", &[2.0]), (b"b", &[3.0])];
        let vectors = open(&word2vec(&words, line_ends), Format::Auto).unwrap();
        assert_eq!(["a", "\n", "b"].map(|word| get(&vectors, word).unwrap()[0]), [1.0, 2.0, 3.0]);
    }
}

#[test]
fn a_word_that_is_missing_leaves_the_place_as_it_was() {
    let vectors = open(&text(true), Format::Auto).unwrap();
    let mut place = [7.0; 3];
    assert!(!vectors.lookup("雪", &mut place));
    assert_eq!(place, [7.0; 3]);
}

#[test]
fn finalfusion_gives_vectors_of_their_original_length() {
    let bytes = finalfusion_file();
    for format in [Format::Auto, Format::Finalfusion] {
        let vectors = open(&bytes, format).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((vectors.len(), vectors.dimension()), (2, 2));
        // 3² + 4² = 5²: stored as [0.6, 0.8] and 5.
        let rain = get(&vectors, "雨").unwrap();
        assert!((rain[0] - 3.0).abs() < 1e-6 && (rain[1] - 4.0).abs() < 1e-6, "{rain:?}");
        assert_eq!(get(&vectors, "雪"), Some(vec![0.0, -2.0]));
        assert_eq!(get(&vectors, "霧"), None);
    }
}

#[test]
fn fast_text_gives_a_missing_word_the_mean_of_its_subwords() {
    let bytes = fast_text_file(&[("あめ", [4.0, -1.0]), ("x", [0.0, 8.0])], 3, 3, 5);
    for format in [Format::Auto, Format::FastText] {
        let vectors = open(&bytes, format).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((vectors.len(), vectors.dimension()), (2, 2));
        let near = |word, [a, b]: [f32; 2]| {
            let vector = get(&vectors, word).unwrap();
            assert!((vector[0] - a).abs() < 1e-5 && (vector[1] - b).abs() < 1e-5, "{vector:?}");
        };
        // `<あめ>` has the subwords `<あめ` and `あめ>`: ([4, -1] + 2 · [1, 2]) / 3.
        near("あめ", [2.0, 1.0]);
        // `<x>` is its own and only one: ([0, 8] + [1, 2]) / 2.
        near("x", [0.5, 5.0]);
        // Every subword is [1, 2], so is their mean, however many there are.
        near("ゆきぐに", [1.0, 2.0]);
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let files = [
        (word2vec(&words(), false), Format::Word2Vec),
        (word2vec(&words(), true), Format::Word2Vec),
        (finalfusion_file(), Format::Finalfusion),
        (fast_text_file(&[("あめ", [4.0, -1.0])], 3, 3, 5), Format::FastText),
    ];
    for (bytes, format) in &files {
        // The line end behind the last vector may be missing.
        let whole = bytes.len() - usize::from(bytes.ends_with(b"\n"));
        for end in 0..whole {
            match trouble(&bytes[..end], *format) {
                Trouble::CutShort { found, needed } => {
                    assert!(found == end as u64 && needed > found, "{found} of {needed}");
                }
                Trouble::Empty => assert_eq!(end, 0),
                // Cut within the first line.
                Trouble::Foreign { .. } => assert!(end <= 4, "cut at {end}"),
                other => panic!("{format} cut at {end}: {other}"),
            }
        }
    }
    let cut = &text(true)[..40];
    assert!(matches!(trouble(cut, Format::Text), Trouble::Foreign { .. } | Trouble::Ragged { .. }));
}

#[test]
fn a_word_that_comes_twice_is_refused_by_name() {
    let one: &[f32] = &[1.0, 2.0];
    let twice = word2vec(&[("雨".as_bytes(), one), (b"b", one), ("雨".as_bytes(), one)], true);
    let mut finalfusion = finalfusion_file();
    let at = finalfusion.windows(3).position(|bytes| bytes == "雪".as_bytes()).unwrap();
    finalfusion[at..at + 3].copy_from_slice("雨".as_bytes());
    let files = [
        (twice, Format::Word2Vec),
        ("3 1\n雨 1\nb 2\n雨 3\n".into(), Format::Text),
        ("雨 1\nb 2\n雨 3\n".into(), Format::Glove),
        (fast_text_file(&[("雨", [0.0; 2]), ("雨", [0.0; 2])], 3, 3, 5), Format::FastText),
        (finalfusion, Format::Finalfusion),
    ];
    for (bytes, format) in &files {
        match trouble(bytes, *format) {
            Trouble::Duplicate { word } => assert_eq!(word, "雨", "{format}"),
            other => panic!("{format}: {other}"),
        }
    }
}

#[test]
fn a_word_that_is_no_text_is_refused_by_number() {
    let one: &[f32] = &[1.0];
    let mut finalfusion = finalfusion_file();
    let at = finalfusion.windows(3).position(|bytes| bytes == "雪".as_bytes()).unwrap();
    finalfusion[at] = 0xff;
    let files = [
        (word2vec(&[(b"a", one), (b"\xe9\x9b", one)], false), Format::Word2Vec),
        (b"2 1\na 1\n\xe9\x9b 2\n".to_vec(), Format::Text),
        (b"a 1\n\xe9\x9b 2\n".to_vec(), Format::Glove),
        (finalfusion, Format::Finalfusion),
    ];
    for (bytes, format) in &files {
        let trouble = trouble(bytes, *format);
        assert!(matches!(trouble, Trouble::NotUtf8 { number: 2 }), "{format}: {trouble}");
    }
}

#[test]
fn a_component_must_be_a_finite_number() {
    for bad in [f32::NAN, f32::INFINITY] {
        let bytes = word2vec(&[(b"a", &[1.0, 2.0]), (b"b", &[bad, 0.0])], false);
        assert!(
            matches!(trouble(&bytes, Format::Auto), Trouble::NotFinite { word } if word == "b")
        );
    }
    assert!(matches!(trouble(b"a 1\nb NaN\n", Format::Auto), Trouble::NotFinite { .. }));
    assert!(matches!(trouble(b"a 1\nb zwei\n", Format::Glove), Trouble::Foreign { .. }));
}

#[test]
fn lines_of_unequal_length_are_refused_even_where_the_sum_is_right() {
    let found = trouble(b"2 2\na 1 2 3\nb 4\n", Format::Text);
    assert!(matches!(found, Trouble::Ragged { expected: 2, found: 3, .. }), "{found}");
    let found = trouble(b"a 1 2\nb 4\n", Format::Glove);
    assert!(matches!(found, Trouble::Ragged { expected: 2, found: 1, .. }), "{found}");
}

#[test]
fn what_is_announced_is_checked_before_it_is_allocated() {
    let huge = format!("{0} {0}\na ", usize::MAX);
    assert!(matches!(trouble(huge.as_bytes(), Format::Word2Vec), Trouble::CutShort { .. }));
    assert!(matches!(trouble(b"1000000000000 300\n", Format::Word2Vec), Trouble::CutShort { .. }));
    let more = trouble(b"3 1\na 1\nb 2\n", Format::Text);
    assert!(more.to_string().contains("announces 3 vectors and has 2"), "{more}");
    let extra = [word2vec(&words(), false), b"more".to_vec()].concat();
    assert!(matches!(trouble(&extra, Format::Word2Vec), Trouble::Foreign { .. }));
}

#[test]
fn what_has_no_vectors_is_empty() {
    for (bytes, format) in [
        (&b""[..], Format::Auto),
        (b"", Format::Word2Vec),
        (b"0 200\n", Format::Word2Vec),
        (b"0 200\n", Format::Text),
        (b"", Format::Glove),
        (b"", Format::FastText),
        (b"", Format::Finalfusion),
    ] {
        let trouble = trouble(bytes, format);
        assert!(matches!(trouble, Trouble::Empty), "{format}: {trouble}");
    }
}

#[test]
fn what_is_no_vectors_file_is_foreign_in_every_format() {
    let picture = [b"\x89PNG\r\n\x1a\n".to_vec(), vec![7; 5000]].concat();
    for format in
        [Format::Auto, Format::Word2Vec, Format::Text, Format::FastText, Format::Finalfusion]
    {
        let trouble = trouble(&picture, format);
        assert!(matches!(trouble, Trouble::Foreign { .. }), "{format}: {trouble}");
    }
    assert!(matches!(trouble(&picture, Format::Glove), Trouble::NotUtf8 { number: 1 }));
    let error = Vectors::open("no/such/file".as_ref(), Format::Auto).err().expect("not there");
    assert!(
        matches!(error.trouble, Trouble::Unreadable(_)) && error.to_string().contains("no/such")
    );
}

#[test]
fn vectors_without_subwords_in_a_fast_text_file_are_refused() {
    for (shortest, longest, buckets) in [(0, 0, 5), (3, 2, 5), (3, 6, 0)] {
        let bytes = fast_text_file(&[("あめ", [4.0, -1.0])], shortest, longest, buckets);
        assert!(matches!(trouble(&bytes, Format::Auto), Trouble::Unsupported { .. }));
    }
    // The library is given what it can read, and reads it: the settings are where we look for them.
    let bytes = fast_text_file(&[("あめ", [4.0, -1.0])], 3, 6, 5);
    assert_eq!(Embeddings::read_fasttext(&mut &bytes[..]).unwrap().dims(), 2);
}

#[test]
fn another_dimension_than_the_jobs_is_an_error() {
    let vectors = open(&text(true), Format::Auto).unwrap();
    assert!(vectors.expect_dimension(3).is_ok());
    let error = vectors.expect_dimension(200).unwrap_err().to_string();
    assert!(error.contains("3 dimensions") && error.contains("200"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        mut bytes in prop_oneof![
            Just(word2vec(&words(), true)),
            Just(text(true)),
            Just(finalfusion_file()),
            Just(fast_text_file(&[("あめ", [4.0, -1.0]), ("x", [0.0, 8.0])], 3, 3, 5)),
        ],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        for format in [
            Format::Auto,
            Format::Word2Vec,
            Format::Text,
            Format::Glove,
            Format::FastText,
            Format::Finalfusion,
        ] {
            if let Ok(vectors) = open(&bytes, format) {
                let mut vector = vec![0.0; vectors.dimension()];
                vectors.lookup("雨", &mut vector);
                vectors.lookup("あめ", &mut vector);
            }
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_real_file_is_read_as_the_library_reads_it() {
    let data = std::env::var_os("SESERAGI_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = data.join("vectors/aozora-200d.w2v.bin");
    if !path.exists() {
        eprintln!(
            "skipped: {} is not there; name its folder in SESERAGI_TEST_DATA",
            path.display()
        );
        return;
    }
    let ours = Vectors::open(&path, Format::Auto).unwrap_or_else(|error| panic!("{error}"));
    let mut file = BufReader::new(File::open(&path).unwrap());
    let theirs = Embeddings::read_word2vec_binary(&mut file).unwrap();
    assert_eq!((ours.len(), ours.dimension()), (29_814, 200));
    assert_eq!((theirs.len(), theirs.dims()), (29_814, 200));
    for (word, vector) in theirs.iter_with_norms() {
        let vector = vector.into_unnormalized();
        let ours = get(&ours, word).unwrap();
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
        assert!(ours.iter().zip(vector.iter()).all(near), "{word}");
    }
}
