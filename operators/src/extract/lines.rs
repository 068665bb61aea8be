//! Gathers text into clean lines: none ends with white space, none that is blank stands at either
//! end of the whole, and each is ended by `\n`, the last one too.

/// Text, line by line.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    // Where the line that is being written starts.
    line: usize,
}

impl Lines {
    /// Lines that together will have about `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { text: String::with_capacity(capacity), line: 0 }
    }

    /// How many bytes have been written: the place of what is written next.
    pub fn place(&self) -> usize {
        self.text.len()
    }

    /// The line that is being written.
    pub fn line(&self) -> &str {
        &self.text[self.line..]
    }

    /// Whether nothing but white space has been written.
    pub fn is_blank(&self) -> bool {
        self.line == 0 && self.line().trim().is_empty()
    }

    /// Writes on as it is; `text` must have no line ends.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Puts `text` where there are `length` bytes at `place`, in the line that is being written;
    /// nothing happens if they are gone with the end of an earlier line.
    pub fn replace(&mut self, place: usize, length: usize, text: &str) {
        if place >= self.line && place + length <= self.text.len() {
            self.text.replace_range(place..place + length, text);
        }
    }

    /// Ends the line, blank or not.
    pub fn end_line(&mut self) {
        self.text.truncate(self.line + self.line().trim_end().len());
        // Blank lines at the start are never written.
        if !self.text.is_empty() {
            self.text.push('\n');
            self.line = self.text.len();
        }
    }

    /// Ends the line if anything stands on it.
    pub fn end_started_line(&mut self) {
        if !self.line().is_empty() {
            self.end_line();
        }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_ends_and_white_space_at_line_ends_are_never_there() {
        let mut lines = Lines::default();
        for line in ["", "　 ", "　一 ", "", "二　", "", " "] {
            lines.push(line);
            lines.end_line();
        }
        assert_eq!(lines.finish(), "　一\n\n二\n");
    }

    #[test]
    fn only_what_is_on_the_line_is_replaced() {
        let mut lines = Lines::default();
        lines.push("一※");
        lines.replace(3, 3, "丂");
        lines.end_line();
        lines.replace(3, 3, "no");
        lines.push("二");
        lines.replace(7, 9, "no");
        assert_eq!(lines.finish(), "一丂\n二\n");
    }
}
