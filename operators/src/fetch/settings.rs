//! How pages are fetched: as written in a job file, and as meant.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::retry::Patience;

/// How pages are fetched, as written. The defaults are polite; times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What we call ourselves. Up to the first `/` it is the name that robots.txt knows us by.
    pub user_agent: String,
    /// Where the people who run the job can be reached, an address of the web or of mail: sent
    /// with the name, so that a site in trouble can say so. Empty sends none.
    pub contact: String,
    /// Requests under way at once, over all workers.
    pub in_flight: usize,
    /// Requests under way at once to one host.
    pub per_host: usize,
    /// Seconds from the start of one request to a host to the start of the next, at least. Loopback
    /// addresses are exempt. A longer `Crawl-delay` in robots.txt takes its place.
    pub delay: f64,
    /// Seconds until a connection must stand.
    pub connect_timeout: f64,
    /// Seconds until a whole answer must be there, body and all.
    pub timeout: f64,
    /// Seconds that the tries for one entry and the waits between them may take; waiting for its
    /// first turn at a busy host is not counted.
    pub deadline: f64,
    /// Tries for one entry at most.
    pub tries: u32,
    /// Seconds to wait after a first failure at most; the wait is drawn from zero to that.
    pub backoff: f64,
    /// Seconds that the doubling waits grow to.
    pub backoff_limit: f64,
    /// Bytes that a body may have, once decompressed.
    pub body_limit: u64,
    /// Whether robots.txt is asked for and obeyed.
    pub respect_robots: bool,
    /// Redirects that are followed for one page.
    pub redirects: usize,
    /// Whether addresses of this machine and of private networks may be asked. Sites that were
    /// permitted by name may be in any case.
    pub allow_private: bool,
    /// The folder where pages are kept between runs; none keeps none.
    pub cache_dir: Option<PathBuf>,
    /// Whether the server is asked if a page that is kept has changed.
    pub revalidate: Revalidate,
}

/// Whether the server is asked if a page that is kept has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revalidate {
    /// On every use, with a conditional request.
    #[default]
    Always,
    /// Never: what is kept is what there is, and no request is sent for it.
    Never,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("seseragi/", env!("CARGO_PKG_VERSION")).to_owned(),
            contact: String::new(),
            in_flight: 8,
            per_host: 4,
            delay: 1.0,
            connect_timeout: 10.0,
            timeout: 60.0,
            deadline: 120.0,
            tries: 8,
            backoff: 1.0,
            backoff_limit: 30.0,
            body_limit: 32 << 20,
            respect_robots: true,
            redirects: 5,
            allow_private: false,
            cache_dir: None,
            revalidate: Revalidate::Always,
        }
    }
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A setting that means nothing.
    #[error("`{name}` is {value}; {advice}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What to do.
        advice: &'static str,
    },
    /// The cache's folder cannot be used.
    #[error("could not write to the cache `{}`: {source}; set another `cache_dir`", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The HTTP library refuses.
    #[error("could not set up the HTTP client: {0}")]
    Http(String),
}

/// How pages are fetched, as meant.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub user_agent: String,
    pub robots_name: String,
    pub in_flight: usize,
    pub per_host: usize,
    pub delay: Duration,
    pub connect_timeout: Duration,
    pub timeout: Duration,
    pub patience: Patience,
    pub body_limit: u64,
    pub respect_robots: bool,
    pub redirects: usize,
    pub allow_private: bool,
    pub revalidate: Revalidate,
}

impl Settings {
    /// Checks the settings without opening anything: what a job file is validated with.
    ///
    /// # Errors
    /// [`ClientError::Setting`] for the first setting that means nothing.
    pub fn check(&self) -> Result<(), ClientError> {
        self.resolve().map(drop)
    }

    pub(super) fn resolve(&self) -> Result<Policy, ClientError> {
        let robots_name = self.user_agent.split(['/', ' ']).next().unwrap_or_default().to_owned();
        let text = [("user_agent", &self.user_agent), ("contact", &self.contact)];
        for (name, value) in text {
            let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            require(printable, name, value, "use printable ASCII: it is sent as a header")?;
        }
        let named = !robots_name.is_empty();
        require(named, "user_agent", &self.user_agent, "begin with a name: sites ask who calls")?;
        for (name, value) in [("in_flight", self.in_flight), ("per_host", self.per_host)] {
            require((1..=4096).contains(&value), name, &value, "use a number from 1 to 4096")?;
        }
        require(self.tries > 0, "tries", &self.tries, "use 1 or more")?;
        require(self.body_limit > 0, "body_limit", &self.body_limit, "use 1 or more bytes")?;
        let user_agent = match self.contact.as_str() {
            "" => self.user_agent.clone(),
            contact => format!("{} (+{contact})", self.user_agent),
        };
        Ok(Policy {
            user_agent,
            robots_name,
            in_flight: self.in_flight,
            per_host: self.per_host,
            delay: seconds("delay", self.delay, 0.0)?,
            connect_timeout: seconds("connect_timeout", self.connect_timeout, 0.001)?,
            timeout: seconds("timeout", self.timeout, 0.001)?,
            patience: Patience {
                tries: self.tries,
                deadline: seconds("deadline", self.deadline, 0.001)?,
                backoff: seconds("backoff", self.backoff, 0.0)?,
                backoff_limit: seconds("backoff_limit", self.backoff_limit, 0.0)?,
            },
            body_limit: self.body_limit,
            respect_robots: self.respect_robots,
            redirects: self.redirects,
            allow_private: self.allow_private,
            revalidate: self.revalidate,
        })
    }
}

fn require(
    holds: bool,
    name: &'static str,
    value: &dyn ToString,
    advice: &'static str,
) -> Result<(), ClientError> {
    if holds {
        Ok(())
    } else {
        Err(ClientError::Setting { name, value: value.to_string(), advice })
    }
}

fn seconds(name: &'static str, value: f64, least: f64) -> Result<Duration, ClientError> {
    const DAY: f64 = 86_400.0;
    // Not-a-number is in no range.
    let advice = if least > 0.0 {
        "use seconds above 0, up to 86400"
    } else {
        "use seconds from 0 to 86400"
    };
    require((least..=DAY).contains(&value), name, &value, advice)?;
    Ok(Duration::from_secs_f64(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_meant_and_say_who_calls() {
        let contact = "https://example.org/why".to_owned();
        let policy = Settings { contact, ..Settings::default() }.resolve().expect("defaults");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(policy.user_agent, format!("seseragi/{version} (+https://example.org/why)"));
        assert_eq!(policy.robots_name, "seseragi");
    }

    #[test]
    fn a_setting_that_means_nothing_is_named_with_advice() {
        let defaults = Settings::default;
        let refused = [
            Settings { delay: -1.0, ..defaults() },
            Settings { timeout: f64::NAN, ..defaults() },
            Settings { deadline: 0.0, ..defaults() },
            Settings { in_flight: 0, ..defaults() },
            Settings { tries: 0, ..defaults() },
            Settings { user_agent: "せせらぎ".to_owned(), ..defaults() },
            Settings { user_agent: "/1.0".to_owned(), ..defaults() },
        ]
        .map(|settings| settings.check().expect_err("it means nothing").to_string());
        assert_eq!(
            refused,
            [
                "`delay` is -1; use seconds from 0 to 86400",
                "`timeout` is NaN; use seconds above 0, up to 86400",
                "`deadline` is 0; use seconds above 0, up to 86400",
                "`in_flight` is 0; use a number from 1 to 4096",
                "`tries` is 0; use 1 or more",
                "`user_agent` is せせらぎ; use printable ASCII: it is sent as a header",
                "`user_agent` is /1.0; begin with a name: sites ask who calls",
            ]
        );
    }

    #[test]
    fn unknown_settings_are_refused_and_missing_ones_are_the_defaults() {
        let read = |text| serde_json::from_str::<Settings>(text);
        let expected = Settings { revalidate: Revalidate::Never, ..Settings::default() };
        assert_eq!(read(r#"{"revalidate": "never"}"#).expect("one setting"), expected);
        assert!(read(r#"{"revalidates": "never"}"#).is_err());
    }
}
