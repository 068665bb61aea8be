//! Where a document is within its file, as the fragment of an address.

use std::ops::Range;

use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// Where a document is within its file; the whole file if it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The name of a member, if the file is an archive.
    pub member: Option<String>,
    /// The record, if the file (or the member) is a table.
    pub record: Option<Record>,
}

/// A record of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes: in the table as it is unpacked, or in the column's unpacked texts.
    pub bytes: Range<u64>,
    /// The first 64 bits of its text's SHA-256, in hexadecimal.
    pub hash: String,
    /// How its text is written.
    pub form: Form,
}

/// How a record's text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A field of a JSON object, by its name.
    Json(String),
    /// A field between commas, or whatever the delimiter is, by its number from 0.
    Csv(usize, u8),
    /// A column of Parquet, by its name; its bytes are those of the text.
    Parquet(String),
}

impl Form {
    /// The charset, where the format leaves no choice.
    pub(super) fn charset(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) | Self::Parquet(_) => Some("utf-8"),
            Self::Csv(..) => None,
        }
    }
}

/// A fragment that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`#{0}` is no place within a file")]
pub struct BadAddress(pub String);

impl Address {
    /// A record of a table that is the file itself.
    pub fn of(record: Record) -> Self {
        Self { member: None, record: Some(record) }
    }

    /// As the fragment of an address; none for the whole file.
    pub fn fragment(&self) -> Option<String> {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        if let Some(member) = &self.member {
            pairs.append_pair("member", member);
        }
        if let Some(Record { bytes, hash, form }) = &self.record {
            pairs.append_pair("bytes", &format!("{}-{}", bytes.start, bytes.end));
            pairs.append_pair("hash", hash);
            match form {
                Form::Json(field) => pairs.append_pair("json", field),
                Form::Csv(field, b'\t') => pairs.append_pair("tsv", &field.to_string()),
                Form::Csv(field, _) => pairs.append_pair("csv", &field.to_string()),
                Form::Parquet(column) => pairs.append_pair("parquet", column),
            };
        }
        Some(pairs.finish()).filter(|fragment| !fragment.is_empty())
    }

    /// Reads a fragment.
    ///
    /// # Errors
    /// If it is none of ours.
    pub fn parse(fragment: Option<&str>) -> Result<Self, BadAddress> {
        let Some(fragment) = fragment else { return Ok(Self::default()) };
        read(fragment).ok_or_else(|| BadAddress(fragment.to_owned()))
    }
}

fn read(fragment: &str) -> Option<Address> {
    let (mut member, mut bytes, mut hash, mut form) = (None, None, None, None);
    for (key, value) in form_urlencoded::parse(fragment.as_bytes()) {
        match &*key {
            "member" => member = Some(value.into_owned()),
            "bytes" => {
                let (start, end) = value.split_once('-')?;
                let range: Range<u64> = start.parse().ok()?..end.parse().ok()?;
                bytes = Some(range).filter(|range| range.start <= range.end);
            }
            "hash" => hash = Some(value.into_owned()),
            "json" => form = Some(Form::Json(value.into_owned())),
            "csv" => form = Some(Form::Csv(value.parse().ok()?, b',')),
            "tsv" => form = Some(Form::Csv(value.parse().ok()?, b'\t')),
            "parquet" => form = Some(Form::Parquet(value.into_owned())),
            _ => return None,
        }
    }
    let record = match (bytes, hash, form) {
        (Some(bytes), Some(hash), Some(form)) => Some(Record { bytes, hash, form }),
        (None, None, None) => None,
        _ => return None,
    };
    Some(Address { member, record })
}

/// What tells one text from another in an address.
pub(super) fn hash(text: &[u8]) -> String {
    Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fragment_of_another_kind_is_an_error() {
        for fragment in
            ["top", "bytes=3-1&hash=0&json=text", "bytes=1-3", "member=a&row=7", "csv=x"]
        {
            assert!(Address::parse(Some(fragment)).is_err(), "{fragment}");
        }
        assert_eq!(Address::parse(None), Ok(Address::default()));
    }

    proptest! {
        #[test]
        fn an_address_survives_being_part_of_a_url(
            member in prop::option::of(".+"),
            start: u32,
            length: u32,
            field in ".*",
        ) {
            let forms = [Form::Json(field.clone()), Form::Parquet(field), Form::Csv(3, b'\t')];
            let start = u64::from(start);
            for form in forms {
                let record = Record { bytes: start..start + u64::from(length), hash: hash(b"x"), form };
                let address = Address { member: member.clone(), record: Some(record) };
                let mut url = url::Url::parse("file:///a%23b.jsonl").expect("an address");
                url.set_fragment(address.fragment().as_deref());
                let url = url::Url::parse(url.as_str()).expect("an address");
                prop_assert_eq!(Address::parse(url.fragment()), Ok(address));
            }
        }
    }
}
