//! What is in a file: its documents by their places, without their texts.

use std::{fs::File, io::BufReader, path::Path};

use zip::ZipArchive;

use super::{
    ContainerError, Unpacked,
    address::{Address, Form, Record, hash},
    columnar,
    stream::{self, Compression, Format, told},
    table::{self, Fields, LineError},
};

/// Which columns of a table are read, by name; an empty name is no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The text.
    pub text: String,
    /// What names a record for good; without it records are numbered.
    pub id: String,
    /// The title.
    pub title: String,
    /// Bytes that a record may have.
    pub limit: u64,
}

/// A document in a file, or a record that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What is appended to the file's name to name it: `/member`, `#record`, or both, or nothing.
    pub suffix: String,
    /// Where it is.
    pub address: Address,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// A hash of its content, if listing has seen it: else it changes with the file.
    pub revision: Option<String>,
    /// Why it cannot be used.
    pub trouble: Option<String>,
}

/// Hands over the documents of the file at `path`, in its order: the members of an archive in that of
/// its directory, the records of a table as they come. Of a table a record at a time is in memory.
/// What is wrong with one record or member is told with it.
///
/// # Errors
/// If the file cannot be read, or not to its end; documents that were handed over are there.
pub fn documents(
    path: &Path,
    columns: &Columns,
    unpacked: &Unpacked,
    give: &mut dyn FnMut(Document),
) -> Result<(), ContainerError> {
    let source = Source { path, columns, unpacked };
    let name = path.to_string_lossy();
    match told(&name) {
        (Format::Zip, Compression::None) => source.members(give),
        (Format::Zip, _) => {
            give(unusable(String::new(), "a compressed archive is not read; decompress it"));
            Ok(())
        }
        (format, _) => source.part(None, format, None, give),
    }
}

struct Source<'a> {
    path: &'a Path,
    columns: &'a Columns,
    unpacked: &'a Unpacked,
}

impl Source<'_> {
    fn members(&self, give: &mut dyn FnMut(Document)) -> Result<(), ContainerError> {
        let mut archive = ZipArchive::new(BufReader::new(File::open(self.path)?))?;
        for index in 0..archive.len() {
            let (name, revision) = {
                let member = archive.by_index_raw(index)?;
                if member.is_dir() {
                    continue;
                }
                let name = member.name()?.into_owned();
                (name, format!("{:08x}+{}", member.crc32(), member.size()))
            };
            let suffix = format!("/{name}");
            if archive.index_for_name(&name) != Some(index) {
                give(unusable(suffix, "another member of the archive has the same name"));
                continue;
            }
            match told(&name).0 {
                Format::Zip => give(unusable(suffix, "an archive in an archive is not read")),
                format => {
                    // A damaged member costs no other.
                    if let Err(trouble) = self.part(Some(&name), format, Some(revision), give) {
                        give(unusable(suffix, &trouble.to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    /// The documents of the file itself, or of a member of it.
    fn part(
        &self,
        member: Option<&str>,
        format: Format,
        revision: Option<String>,
        give: &mut dyn FnMut(Document),
    ) -> Result<(), ContainerError> {
        let Self { path, columns, unpacked } = *self;
        let stem = member.map(|member| format!("/{member}")).unwrap_or_default();
        let mut offer = |number: u64, found: Result<(Record, Fields), String>| {
            give(match found {
                Err(trouble) => unusable(format!("{stem}#{number}"), &trouble),
                Ok((record, fields)) => Document {
                    suffix: format!("{stem}#{}", fields.id.unwrap_or_else(|| number.to_string())),
                    title: fields.title,
                    revision: Some(record.hash.clone()),
                    address: Address { member: member.map(str::to_owned), record: Some(record) },
                    trouble: None,
                },
            });
        };
        let no_text =
            |kind: &str, number| format!("{kind} {number}: it has no text in `{}`", columns.text);
        match format {
            Format::Whole | Format::Zip => {
                let address = Address { member: member.map(str::to_owned), record: None };
                give(Document { suffix: stem, address, title: None, revision, trouble: None });
                Ok(())
            }
            Format::JsonLines => stream::open(path, member, |stream| {
                table::lines(stream, columns.limit, &mut |line| {
                    let too_long = || LineError::TooLong(columns.limit);
                    let found = line.content.ok_or_else(too_long);
                    let found = found.and_then(|content| table::text_of(content, columns));
                    let found = found.map(|fields| {
                        let form = Form::Json(columns.text.clone());
                        (Record { bytes: line.bytes, hash: hash(&fields.text), form }, fields)
                    });
                    offer(
                        line.number,
                        found.map_err(|error| format!("line {}: {error}", line.number)),
                    );
                })
            }),
            Format::Csv(delimiter) => {
                let mut outcome = Ok(());
                stream::open(path, member, |stream| {
                    outcome = table::records(
                        stream,
                        delimiter,
                        columns,
                        &mut |number, bytes, form, fields| {
                            let found = fields.map(|fields| {
                                (Record { bytes, hash: hash(&fields.text), form }, fields)
                            });
                            offer(number, found.ok_or_else(|| no_text("record", number)));
                        },
                    );
                    Ok(())
                })?;
                outcome
            }
            Format::Parquet => {
                let mut start = 0;
                columnar::rows(path, member, columns, unpacked, &mut |number, fields| {
                    let found = fields.map(|fields| {
                        let bytes = start..start + fields.text.len() as u64;
                        start = bytes.end;
                        let form = Form::Parquet(columns.text.clone());
                        (Record { bytes, hash: hash(&fields.text), form }, fields)
                    });
                    offer(number, found.ok_or_else(|| no_text("row", number)));
                })
            }
        }
    }
}

fn unusable(suffix: String, trouble: &str) -> Document {
    Document {
        suffix,
        address: Address::default(),
        title: None,
        revision: None,
        trouble: Some(trouble.to_owned()),
    }
}
