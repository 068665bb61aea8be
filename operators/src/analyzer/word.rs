//! A word of a text, and what can be remembered of words.

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// Its letters.
    pub surface: &'t str,
    /// Its number, if the dictionary has it: wherever that dictionary finds these letters, it is the same.
    pub number: Option<u32>,
}

/// A word that no dictionary was asked for.
impl<'t> From<&'t str> for Word<'t> {
    fn from(surface: &'t str) -> Self {
        Self { surface, number: None }
    }
}

/// Remembers what was looked up for the words of one dictionary, by their numbers there: nine words of
/// ten have one, and to find it by its letters takes several times as long.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    // By number: one more than what was found, 0 where nothing was looked for yet.
    found: Vec<u32>,
}

impl Memo {
    /// What `look_up` finds for a word, which must be always the same.
    pub fn find(&mut self, word: Word<'_>, look_up: impl FnOnce(&str) -> u32) -> u32 {
        let Some(number) = word.number else { return look_up(word.surface) };
        let place = number as usize;
        if let Some(found) = self.found.get(place).and_then(|found| found.checked_sub(1)) {
            return found;
        }
        if place >= self.found.len() {
            self.found.resize(place + 1, 0);
        }
        let found = look_up(word.surface);
        self.found[place] = found.wrapping_add(1);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_dictionary_is_looked_up_once() {
        let (mut memo, mut asked) = (Memo::default(), Vec::new());
        let mut find = |surface, number, found| {
            memo.find(Word { surface, number }, |surface| {
                asked.push(surface.to_owned());
                found
            })
        };
        assert_eq!(find("川", Some(7), 0), 0);
        assert_eq!(find("雨", Some(2), 5), 5);
        assert_eq!(find("川", Some(7), 9), 0);
        assert_eq!([find("せせらぎ丸", None, 3), find("せせらぎ丸", None, 4)], [3, 4]);
        assert_eq!(asked, ["川", "雨", "せせらぎ丸", "せせらぎ丸"]);
    }
}
