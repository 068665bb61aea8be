//! The letters of words, by number.

/// Words, in one piece of memory one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters {
    text: String,
    // Where each word ends, and the next begins.
    ends: Vec<u32>,
}

impl Letters {
    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a word, which gets the next number.
    pub fn push(&mut self, word: &str) {
        self.text.push_str(word);
        let end = u32::try_from(self.text.len()).expect("words have less than 4 GiB of letters");
        self.ends.push(end);
    }

    /// The word of this number.
    pub fn of(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.text[start as usize..self.ends[number] as usize]
    }

    /// The words in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|number| self.of(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_letters_by_number() {
        let mut letters = Letters::default();
        let words = ["川", "", "せせらぎ", "a"];
        words.iter().for_each(|word| letters.push(word));
        assert_eq!(letters.len(), words.len());
        assert!(letters.iter().eq(words));
        assert_eq!(letters.of(2), "せせらぎ");
    }
}
