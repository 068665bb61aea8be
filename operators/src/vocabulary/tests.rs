use proptest::prelude::*;

use super::*;

fn keyed(words: &[String]) -> (Vec<u32>, Vec<String>) {
    let mut distinct: Vec<String> = Vec::new();
    let keys = words
        .iter()
        .map(|word| {
            distinct.iter().position(|known| known == word).unwrap_or_else(|| {
                distinct.push(word.clone());
                distinct.len() - 1
            }) as u32
        })
        .collect();
    (keys, distinct)
}

/// As a dictionary of the words that do not begin with あ numbers them.
fn numbered(surface: &str) -> Word<'_> {
    let digit = |character| character as u32 - 'あ' as u32 + 1;
    let number = surface.chars().fold(0, |number, character| number * 8 + digit(character));
    Word { surface, number: (!surface.starts_with('あ')).then_some(number) }
}

/// Documents of short words, many of which come again.
fn books() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[あ-う]{1,3}", 0..20), 1..8)
}

/// Soon the table is full, and some words come too seldom.
fn admission() -> impl Strategy<Value = Admission> {
    (SURFACES..SURFACES + 40, 1..4u64)
        .prop_map(|(limit, minimum_count)| Admission { limit, minimum_count })
}

proptest! {
    #[test]
    fn every_text_comes_back_from_its_ids(
        documents in prop::collection::vec(prop::collection::vec(".{1,4}", 0..20), 1..6),
        admission in admission(),
    ) {
        let mut vocabulary = Vocabulary::default();
        for words in &documents {
            let (keys, distinct) = keyed(words);
            let read = vocabulary.read(&keys, distinct.iter().map(|s| Word::from(&**s)), &admission);
            prop_assert_eq!(vocabulary.decode(&read.ids), words.concat());
            let characters = words.concat().chars().count() as u64;
            prop_assert_eq!(vocabulary.characters(&read.ids), characters);
            prop_assert!(vocabulary.len() <= admission.limit);
        }
        // And by a vocabulary that has never seen them.
        for words in &documents {
            let (keys, distinct) = keyed(words);
            let encoded = Vocabulary::default().encode(&keys, distinct.iter().map(|s| &**s), SURFACES);
            prop_assert_eq!(vocabulary.decode(&encoded.ids), words.concat());
        }
    }

    #[test]
    fn what_the_dictionary_numbers_is_the_same_word(
        documents in books(),
        admission in admission(),
    ) {
        let (mut plain, mut by_number) = (Vocabulary::default(), Vocabulary::default());
        for words in &documents {
            let (keys, distinct) = keyed(words);
            let distinct = || distinct.iter().map(|surface| &**surface);
            let read = by_number.read(&keys, distinct().map(numbered), &admission);
            prop_assert_eq!(read, plain.read(&keys, distinct().map(Word::from), &admission));
            prop_assert_eq!(&by_number, &plain);
        }
    }

    #[test]
    fn whoever_follows_knows_the_same(
        documents in books(),
        admission in admission(),
        joins in 0..8usize,
    ) {
        let (mut leader, mut follower) = (Vocabulary::default(), Vocabulary::default());
        for (number, words) in documents.iter().enumerate() {
            if number == joins {
                // As after a kill: both begin with what was kept.
                let kept = |of: &Vocabulary| {
                    let surfaces: Vec<_> = of.surfaces().map(String::from).collect();
                    let mut counts: Vec<_> = of.counts().map(|(w, n)| (w.to_owned(), n)).collect();
                    counts.sort();
                    Vocabulary::from_parts(surfaces, counts)
                };
                (leader, follower) = (kept(&leader), kept(&follower));
            }
            let (keys, distinct) = keyed(words);
            let distinct = || distinct.iter().map(|surface| &**surface);
            let known = leader.len();
            let read = leader.read(&keys, distinct().map(Word::from), &admission);
            follower.follow(distinct(), &read.counted, leader.surfaces_from(known));
            prop_assert_eq!(&follower, &leader);
        }
    }

    #[test]
    fn ids_never_change(
        documents in prop::collection::vec(prop::collection::vec("[あ-お]{1,2}", 0..20), 1..6),
    ) {
        let admission = Admission { limit: 400, minimum_count: 2 };
        let mut vocabulary = Vocabulary::default();
        for words in &documents {
            let before: Vec<String> = vocabulary.surfaces().map(String::from).collect();
            let (keys, distinct) = keyed(words);
            vocabulary.read(&keys, distinct.iter().map(|s| Word::from(&**s)), &admission);
            let after: Vec<&str> = vocabulary.surfaces().take(before.len()).collect();
            prop_assert_eq!(before, after);
        }
    }
}

#[test]
fn a_word_enters_once_it_was_seen_often_enough() {
    let admission = Admission { limit: 1000, minimum_count: 3 };
    let mut vocabulary = Vocabulary::default();
    // 小 is E5 B0 8F and 川 E5 B7 9D; then they are characters 257 and 258. With the third
    // sight 小川 is a word.
    let bytes = [0xE5, 0xB0, 0x8F, 0xE5, 0xB7, 0x9D].map(|byte| byte + 1);
    let mut once =
        |keys: &[u32]| vocabulary.read(keys, ["小川"].map(Word::from).into_iter(), &admission);
    let encoded = |ids: &[u32], spelled, admitted: &[Option<usize>], times| Encoded {
        ids: ids.to_vec(),
        spelled,
        admitted: admitted.to_vec(),
        counted: vec![Counted { number: 0, times }],
    };
    assert_eq!(once(&[0]), encoded(&bytes, 1, &[None, None], 1));
    assert_eq!(once(&[0]), encoded(&[257, 258], 1, &[], 1));
    assert_eq!(once(&[0, 0]), encoded(&[259, 259], 0, &[Some(0)], 2));
    assert_eq!(vocabulary.parts("小川", 259), [257, 258]);
    assert_eq!(vocabulary.parts("小", 257), [1 + 0xE5, 1 + 0xB0, 1 + 0x8F]);
    // A character that is a word of the document as well is told by that word's key.
    let distinct = ["水車", "魚", "水"].map(Word::from).into_iter();
    let read = vocabulary.read(&[0, 1, 2], distinct, &admission);
    assert_eq!(vocabulary.surfaces().skip(3).collect::<Vec<_>>(), ["水", "車", "魚"]);
    assert_eq!(read.admitted, [Some(2), None, Some(1)]);
}

#[test]
fn words_are_spelled_in_characters_of_every_plane() {
    let mut vocabulary = Vocabulary::default();
    let (of_basic_plane, beyond) = (vocabulary.append("叱"), vocabulary.append("𠮟"));
    vocabulary.append("川る");
    assert_eq!(vocabulary.spell("叱𠮟", vocabulary.len()), [of_basic_plane, beyond]);
    // Those that a model has no row for yet are bytes still.
    assert_eq!(vocabulary.spell("叱𠮟", beyond).len(), 1 + "𠮟".len());
    assert_eq!(vocabulary.spell("叱", of_basic_plane).len(), "叱".len());
    // A word's first character is not known by the word.
    assert!(vocabulary.spell("川", vocabulary.len()).iter().all(|id| *id < SURFACES));
}
