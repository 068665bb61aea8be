//! How long ago this process was started, what came before `main` included.
//!
//! That is what waiting for a command feels like: the system starts the face, the face becomes the
//! engine, libraries are loaded, and only then does any clock of ours begin. The system counts in
//! hundredths of a second.

use std::{fs, time::Duration};

use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_gettime},
};

/// The age of this process; none where the system does not tell.
pub fn age() -> Option<Duration> {
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
    let ticks = started(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let started = Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64);
    now.checked_sub(started)
}

/// When a process was started, in ticks since the system was, from its line in `/proc` (see proc(5)).
fn started(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_whatever_the_program_is_called() {
        // As Linux 6.18 gave it, but for the name.
        let stat = "17550 (a) 7 (b c) R 17548 17548 10171 0 -1 4194304 101 0 0 0 0 0 0 0 20 0 1 0 \
                    62788 3133440 382 18446744073709551615 94788745707520";
        assert_eq!(started(stat), Some(62_788));
        assert_eq!(started(""), None);
    }

    #[test]
    fn age_is_counted_from_a_start_that_stays_where_it_was() {
        let began = std::time::Instant::now();
        let first = age().expect("Linux tells");
        let second = age().expect("Linux tells");
        assert!(first <= second && second - first <= began.elapsed(), "{first:?}, {second:?}");
    }
}
