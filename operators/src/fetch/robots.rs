//! What a site lets programs read (RFC 9309).
//!
//! Pure: from the answer to `/robots.txt` come rules, from the rules come verdicts.

use std::time::Duration;

use texting_robots::Robot;
use url::Url;

use super::trouble::Refusal;

/// How much of a robots.txt is read: RFC 9309, 2.5, asks for no less.
pub const READ: u64 = 500 << 10;

/// What a site lets us read.
#[derive(Debug)]
pub enum Rules {
    /// Everything: it has no robots.txt.
    Everything,
    /// What its robots.txt says.
    Said(Robot),
}

impl Rules {
    /// Reads a robots.txt, of which only what is addressed to `name` (or to everyone) counts.
    ///
    /// # Errors
    /// In words, for a rule that cannot be understood: it may have meant us.
    pub fn read(name: &str, text: &[u8]) -> Result<Self, String> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let robot = Robot::new(name, text).map_err(|error| error.to_string())?;
        Ok(Self::Said(robot))
    }

    /// The rules of a site whose robots.txt was refused.
    ///
    /// # Errors
    /// In words, where the refusal leaves open what the site wants: RFC 9309, 2.3.1.4, says to
    /// stay away from a site that is in trouble, and 2.3.1.3 to go ahead where there is no file.
    pub fn without(refusal: &Refusal) -> Result<Self, String> {
        match refusal {
            Refusal::GaveUp { .. } => Err(refusal.to_string()),
            _ => Ok(Self::Everything),
        }
    }

    /// Whether we may read this page.
    pub fn allow(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Said(robot) => robot.allowed(url.as_str()),
        }
    }

    /// The time that the site wants between two requests.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Self::Everything => None,
            Self::Said(robot) => Duration::try_from_secs_f32(robot.delay?).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::trouble::Failure, *};

    fn url(path: &str) -> Url {
        Url::parse("https://example.org").and_then(|site| site.join(path)).expect("an address")
    }

    fn allowed<'a>(text: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let rules = Rules::read("seseragi", text.as_bytes()).expect("rules");
        paths.iter().copied().filter(|path| rules.allow(&url(path))).collect()
    }

    #[test]
    fn the_longest_rule_wins_and_ours_replace_everyones() {
        let paths = ["/", "/cards/1", "/cards/secret/1", "/api"];
        let everyone = "User-agent: *\nDisallow: /cards\nAllow: /cards/secret\n";
        assert_eq!(allowed(everyone, &paths), ["/", "/cards/secret/1", "/api"]);
        let ours = format!("{everyone}\nUser-agent: Seseragi\nDisallow: /api\n");
        assert_eq!(allowed(&ours, &paths), ["/", "/cards/1", "/cards/secret/1"]);
        let others = "User-agent: otherbot\nDisallow: /\n";
        assert_eq!(allowed(others, &paths), paths);
        assert_eq!(allowed("User-agent: *\nDisallow:\n", &paths), paths);
        assert_eq!(allowed("\u{feff}User-agent: *\nDisallow: /\n", &paths), [""; 0]);
        assert_eq!(allowed("<!doctype html><p>not found</p>", &paths), paths);
    }

    #[test]
    fn the_delay_is_read_and_nonsense_is_not() {
        let delay = |text: &str| Rules::read("seseragi", text.as_bytes()).expect("rules").delay();
        assert_eq!(delay("User-agent: *\nCrawl-delay: 2.5\n"), Some(Duration::from_millis(2500)));
        assert_eq!(delay("User-agent: *\nCrawl-delay: -3\n"), None);
        assert_eq!(delay("User-agent: *\nDisallow: /api\n"), None);
    }

    #[test]
    fn no_file_allows_everything_and_a_site_in_trouble_nothing() {
        for refusal in [Refusal::Status(404), Refusal::Status(403), Refusal::TooManyRedirects(5)] {
            let rules = Rules::without(&refusal).expect("the site has no rules");
            assert!(rules.allow(&url("/cards/1")));
        }
        let down = Refusal::GaveUp { tries: 3, last: Failure::Status(503) };
        assert!(Rules::without(&down).is_err());
    }
}
