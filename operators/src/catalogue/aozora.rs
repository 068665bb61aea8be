//! Reads the index of Aozora Bunko, `list_person_all_extended_utf8.zip`, into works.
//!
//! The index has a row for each person of a work; a work comes out once, where its first row
//! stands. Works that were not asked for are passed over in silence; works that were, and cannot
//! be fetched or understood, come out beside the others with the reason. Only an index that is
//! broken as a whole is an error. In doubt a work is taken to be in copyright.

mod people;

use std::{
    collections::HashMap,
    io::{Cursor, Read},
};

use csv::{ErrorKind, StringRecord};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;
use zip::{ZipArchive, result::ZipError};

use people::{Person, credit};

/// The host whose pages the index lists; others have layouts of their own.
const HOST: &str = "www.aozora.gr.jp";
/// How long an index may be, unpacked: fifteen times what it was in 2025.
const BYTES: u64 = 256 << 20;

/// Which works are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Orthographies such as 新字新仮名; empty for all.
    pub orthography: Vec<String>,
    /// Parts of the full names (姓名) of people, in any role; empty for all.
    pub authors: Vec<String>,
    /// Parts of titles; empty for all.
    pub titles: Vec<String>,
    /// Also works that are in copyright, or one of whose people is.
    pub copyright: bool,
    /// At most so many works.
    pub limit: Option<usize>,
}

/// A work that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The numbers of its first person and of the work, such as `000879/000127`.
    pub id: String,
    /// When its HTML was last changed, and how often it had been by then.
    pub revision: String,
    /// Where its HTML is.
    pub url: Url,
    /// Title and subtitle.
    pub title: String,
    /// Its authors, and in brackets everybody else with what they did.
    pub credit: String,
    /// Such as 新字新仮名.
    pub orthography: String,
    /// Whether the work, or one of its people, is in copyright in Japan.
    pub copyright: bool,
}

/// A wanted work, or a row, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {id} {title}: {reason}")]
pub struct Skipped {
    /// The line of the index, from 1, where the work's first row or the row itself starts.
    pub line: u64,
    /// As in [`Work`]; empty if it could not be read.
    pub id: String,
    /// As in [`Work`]; empty if it could not be read.
    pub title: String,
    /// Why.
    pub reason: Reason,
}

/// Why a work or a row was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The index gives no address.
    #[error("the index has no address of an HTML page")]
    NoAddress,
    /// The address is none.
    #[error("`{0}` is no address of a page")]
    BadAddress(String),
    /// The page is not Aozora Bunko's own.
    #[error("the page is on another host, {0}")]
    ForeignHost(String),
    /// The row has not the fields that the header names.
    #[error("a row has {found} fields instead of {expected}")]
    Fields {
        /// How many the header names.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The row is not UTF-8.
    #[error("a row is not UTF-8")]
    NotUtf8,
    /// Another row of the work could not be read, so who made it is not known.
    #[error("the row on line {0} is of this work and could not be read")]
    UnreadRow(u64),
}

/// Why an index could not be read at all.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The bytes are no zip archive, or a damaged one.
    #[error("could not unpack the index: {0}")]
    NotZip(#[from] ZipError),
    /// The archive is a zip archive of something else.
    #[error("could not find a .csv file in the index's archive")]
    NoTable,
    /// The table goes on for too long.
    #[error("could not unpack the index: it is longer than {BYTES} bytes")]
    TooLong,
    /// A part of the archive is damaged.
    #[error("could not unpack the index: {0}")]
    Damaged(#[source] std::io::Error),
    /// The table cannot be read.
    #[error("could not read the index's table: {0}")]
    NotTable(#[from] csv::Error),
    /// The table lacks a column.
    #[error("could not find the column {0} in the index")]
    NoColumn(&'static str),
}

/// What an index has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The works, in the index's order.
    pub entries: Vec<Work>,
    /// What was wanted and cannot be had.
    pub skipped: Vec<Skipped>,
}

/// Reads an index; with a mirror, the works' addresses are there.
pub fn entries(zip: &[u8], wanted: &Filter, mirror: Option<&Url>) -> Result<Index, IndexError> {
    let (drafts, mut skipped) = drafts(&table(zip, BYTES)?)?;
    let mut entries = Vec::new();
    for draft in drafts.into_iter().filter(|draft| draft.is_wanted(wanted)) {
        if wanted.limit.is_some_and(|limit| entries.len() >= limit) {
            break;
        }
        match draft.address(mirror) {
            Ok(url) => entries.push(draft.finish(url)),
            Err(reason) => skipped.push(draft.skip(reason)),
        }
    }
    skipped.sort_by_key(|skipped| skipped.line);
    Ok(Index { entries, skipped })
}

/// Unpacks the table, at most `limit` bytes of it, whatever the archive says of its length.
fn table(zip: &[u8], limit: u64) -> Result<Vec<u8>, IndexError> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let is_table = |name: &str| name.to_ascii_lowercase().ends_with(".csv");
    let place = archive
        .file_names()
        .position(|name| name.is_ok_and(|name| is_table(&name)))
        .ok_or(IndexError::NoTable)?;
    unpack(archive.by_index(place)?, limit)
}

fn unpack(file: impl Read, limit: u64) -> Result<Vec<u8>, IndexError> {
    let mut table = Vec::new();
    file.take(limit + 1).read_to_end(&mut table).map_err(IndexError::Damaged)?;
    if table.len() as u64 > limit { Err(IndexError::TooLong) } else { Ok(table) }
}

const COLUMNS: [&str; 13] = [
    "作品ID",
    "作品名",
    "副題",
    "文字遣い種別",
    "作品著作権フラグ",
    "人物ID",
    "姓",
    "名",
    "役割フラグ",
    "人物著作権フラグ",
    "XHTML/HTMLファイルURL",
    "XHTML/HTMLファイル最終更新日",
    "XHTML/HTMLファイル修正回数",
];

/// The fields of a row that matter here.
struct Row<'a> {
    work: &'a str,
    title: String,
    orthography: &'a str,
    person_id: &'a str,
    person: Person,
    copyright: bool,
    address: &'a str,
    revision: String,
}

impl<'a> Row<'a> {
    fn of(record: &'a StringRecord, columns: &[usize; COLUMNS.len()]) -> Self {
        let [
            work,
            title,
            subtitle,
            orthography,
            copyright,
            person_id,
            family,
            given,
            role,
            theirs,
            address,
            date,
            count,
        ] = columns.map(|column| record[column].trim());
        // Long titles are broken in the index as on its pages.
        let title = [title, subtitle].map(|part| part.replace("<br>", "　"));
        Self {
            work,
            title: title.join("　").trim().to_owned(),
            orthography,
            person_id,
            person: Person::new(family, given, role),
            copyright: [copyright, theirs] != ["なし", "なし"],
            address,
            revision: format!("{date}+{count}"),
        }
    }
}

/// A work whose rows are being gathered.
struct Draft {
    line: u64,
    // Its URL is the one as written.
    address: String,
    id: String,
    revision: String,
    title: String,
    orthography: String,
    people: Vec<Person>,
    copyright: bool,
    unread_row: Option<u64>,
}

/// Counts lines up to where records start.
// The reader's own count is behind by one where lines end with CRLF, and by each blank line.
struct Lines<'a> {
    table: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which the record at `position` starts; records are asked for in order.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let from = position.map_or(self.at, |position| position.byte() as usize);
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = from + self.table[from..].iter().take_while(is_end).count();
        let passed = &self.table[self.at..start.max(self.at)];
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.at = start.max(self.at);
        self.line
    }
}

fn drafts(table: &[u8]) -> Result<(Vec<Draft>, Vec<Skipped>), IndexError> {
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let mut lines = Lines { table, at: 0, line: 1 };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    let header = reader.headers()?.clone();
    let column = |name| header.iter().position(|own| own.trim() == name);
    let mut columns = [0; COLUMNS.len()];
    for (place, name) in columns.iter_mut().zip(COLUMNS) {
        *place = column(name).ok_or(IndexError::NoColumn(name))?;
    }
    let [work_column, ..] = columns;

    let (mut drafts, mut skipped) = (Vec::<Draft>::new(), Vec::new());
    let mut by_work = HashMap::<String, usize>::new();
    let mut unread = HashMap::new();
    for record in reader.into_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) if matches!(error.kind(), ErrorKind::Utf8 { .. }) => {
                skipped.push(skipped_row(lines.of(error.position()), Reason::NotUtf8));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let line = lines.of(record.position());
        if record.len() != header.len() {
            let reason = Reason::Fields { expected: header.len(), found: record.len() };
            skipped.push(skipped_row(line, reason));
            if let Some(work) = record.get(work_column) {
                unread.insert(work.trim().to_owned(), line);
            }
            continue;
        }
        let row = Row::of(&record, &columns);
        let at = *by_work.entry(row.work.to_owned()).or_insert_with(|| {
            drafts.push(Draft::new(line, &row));
            drafts.len() - 1
        });
        drafts[at].copyright |= row.copyright;
        drafts[at].people.push(row.person);
    }
    for (work, line) in unread {
        if let Some(&at) = by_work.get(&work) {
            drafts[at].unread_row = Some(line);
        }
    }
    Ok((drafts, skipped))
}

fn skipped_row(line: u64, reason: Reason) -> Skipped {
    Skipped { line, id: String::new(), title: String::new(), reason }
}

impl Draft {
    fn new(line: u64, row: &Row<'_>) -> Self {
        Self {
            line,
            address: row.address.to_owned(),
            id: format!("{}/{}", row.person_id, row.work),
            revision: row.revision.clone(),
            title: row.title.clone(),
            orthography: row.orthography.to_owned(),
            people: Vec::new(),
            copyright: false,
            unread_row: None,
        }
    }

    fn is_wanted(&self, wanted: &Filter) -> bool {
        let any = |asked: &[String], of: &dyn Fn(&str) -> bool| {
            asked.is_empty() || asked.iter().any(|asked| of(asked))
        };
        (wanted.copyright || !self.copyright)
            && any(&wanted.orthography, &|asked| self.orthography == asked)
            && any(&wanted.titles, &|asked| self.title.contains(asked))
            && any(&wanted.authors, &|asked| {
                self.people.iter().any(|person| person.full_name.contains(asked))
            })
    }

    fn address(&self, mirror: Option<&Url>) -> Result<Url, Reason> {
        if let Some(line) = self.unread_row {
            return Err(Reason::UnreadRow(line));
        }
        if self.address.is_empty() {
            return Err(Reason::NoAddress);
        }
        let bad = || Reason::BadAddress(self.address.clone());
        let url = Url::parse(&self.address).map_err(|_| bad())?;
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return Err(bad());
        };
        match mirror {
            _ if host != HOST && !mirror.is_some_and(|mirror| is_under(&url, mirror)) => {
                Err(Reason::ForeignHost(host.to_owned()))
            }
            Some(mirror) if host == HOST => Ok(moved(&url, mirror)),
            _ => Ok(url),
        }
    }

    fn finish(self, url: Url) -> Work {
        Work {
            credit: credit(&self.people),
            id: self.id,
            revision: self.revision,
            url,
            title: self.title,
            orthography: self.orthography,
            copyright: self.copyright,
        }
    }

    fn skip(self, reason: Reason) -> Skipped {
        Skipped { line: self.line, id: self.id, title: self.title, reason }
    }
}

fn is_under(url: &Url, mirror: &Url) -> bool {
    let path = mirror.path().trim_end_matches('/');
    url.origin() == mirror.origin()
        && url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// The address on a mirror: the same path below the mirror's own.
pub fn moved(url: &Url, mirror: &Url) -> Url {
    let mut moved = mirror.clone();
    moved.set_path(&format!("{}{}", mirror.path().trim_end_matches('/'), url.path()));
    moved.set_query(url.query());
    moved
}

#[cfg(test)]
mod tests;
