//! Measurements as TensorBoard's event files.
//!
//! A file is a row of records, each framed as TFRecord has it (length and payload, each with its
//! masked CRC-32C), and each an `Event` of TensorFlow's `event.proto`, of which only what scalars need
//! is declared here. There are libraries, but none that is kept up.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crc::{CRC_32_ISCSI, Crc};
use graphs::metrics::series::{Curves, Point, Quantity};
use prost::Message;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Steps of the optimizer.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// In the first event alone.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// In the others.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// The name of the quantity.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The value.
    #[prost(float, tag = "2")]
    pub simple_value: f32,
}

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Writes an event file for each model below `folder`, in a folder of its name if it has one. What a
/// file already has is kept, and the rest appended, so that a TensorBoard that reads it goes on.
pub fn write(folder: &Path, models: &[Curves]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for curves in models {
        let folder = match &curves.model {
            Some(model) => folder.join(super::plots::plain(model)),
            None => folder.to_owned(),
        };
        fs::create_dir_all(&folder)?;
        // The time in the name is how TensorBoard puts files in order: there is one.
        let path = folder.join("events.out.tfevents.0000000001.seseragi");
        let whole = encode(curves);
        let known = fs::read(&path).unwrap_or_default();
        match whole.strip_prefix(&known[..]) {
            Some(rest) if !known.is_empty() => {
                fs::File::options().append(true).open(&path)?.write_all(rest)?;
            }
            _ => fs::write(&path, whole)?,
        }
        files.push(path);
    }
    Ok(files)
}

fn encode(curves: &Curves) -> Vec<u8> {
    let named = curves.points.iter().map(|(quantity, points)| (tag(*quantity).to_owned(), points));
    let gauges = curves.repetition.iter();
    let gauges = gauges.map(|(name, points)| (format!("repetition/{name}"), points));
    let mut values: Vec<(Point, String)> = named
        .chain(gauges)
        .flat_map(|(tag, points)| points.iter().map(move |point| (*point, tag.clone())))
        .collect();
    // In the order of their lives, so that more measurements only make the file longer.
    values.sort_by(|(one, _), (other, _)| {
        (one.words, one.time).partial_cmp(&(other.words, other.time)).expect("times are numbers")
    });
    let begun = values.first().map_or(0.0, |(point, _)| point.time);
    let version = Event { file_version: Some("brain.Event:2".into()), ..Event::default() };
    let mut bytes = framed(&Event { wall_time: begun, ..version }.encode_to_vec());
    for (point, tag) in values {
        let value = vec![Value { tag, simple_value: point.value as f32 }];
        let event = Event {
            wall_time: point.time,
            step: point.step as i64,
            file_version: None,
            summary: Some(Summary { value }),
        };
        bytes.extend(framed(&event.encode_to_vec()));
    }
    bytes
}

fn tag(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::PrequentialLoss => "loss/prequential",
        Quantity::HeldOutLoss => "loss/held_out",
        Quantity::PrequentialBits => "bits_per_character/prequential",
        Quantity::HeldOutBits => "bits_per_character/held_out",
        Quantity::LearningRate => "learning_rate",
        Quantity::GradientNorm => "gradient_norm",
        Quantity::ClippedShare => "clipped_share",
        Quantity::Perplexity => "perplexity/held_out",
        Quantity::Throughput => "ids_per_second",
    }
}

/// A TFRecord: length, masked CRC of the length, payload, masked CRC of the payload.
fn framed(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let parts = [
        &length[..],
        &masked(CRC32C.checksum(&length)).to_le_bytes(),
        payload,
        &masked(CRC32C.checksum(payload)).to_le_bytes(),
    ];
    parts.concat()
}

/// TFRecord's mask, so that a CRC over data that has CRCs keeps its worth.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graphs::metrics::series::curves;

    /// CRC-32C bit by bit (Castagnoli et al. 1993), to check the table-driven one.
    fn bitwise(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
            })
        })
    }

    /// An independent reader: frames and sums by hand, fields by their bytes.
    fn read(mut bytes: &[u8]) -> Vec<(f64, i64, String, f32)> {
        let mut values = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
            let unmasked = |at: usize| {
                let masked = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
                masked.wrapping_sub(0xA282_EAD8).rotate_left(15)
            };
            assert_eq!(unmasked(8), bitwise(&bytes[..8]), "the length's sum");
            let payload = &bytes[12..12 + length];
            assert_eq!(unmasked(12 + length), bitwise(payload), "the payload's sum");
            bytes = &bytes[16 + length..];
            assert_eq!(payload[0], 0x09, "field 1, eight bytes");
            let time = f64::from_le_bytes(payload[1..9].try_into().expect("eight"));
            if payload[9..].starts_with(b"\x1a\x0dbrain.Event:2") {
                continue;
            }
            assert_eq!(payload[9], 0x10, "field 2, a number");
            let (mut step, mut at) = (0_i64, 10);
            for shift in (0..).step_by(7) {
                step |= i64::from(payload[at] & 0x7F) << shift;
                at += 1;
                if payload[at - 1] < 0x80 {
                    break;
                }
            }
            // Field 5 with field 1 within it, with its field 1, the tag, first.
            assert_eq!([payload[at], payload[at + 2], payload[at + 4]], [0x2A, 0x0A, 0x0A]);
            let tag = &payload[at + 6..][..payload[at + 5].into()];
            let rest = &payload[at + 6 + tag.len()..];
            assert_eq!((rest[0], rest.len()), (0x15, 5), "field 2, four bytes");
            let value = f32::from_le_bytes(rest[1..].try_into().expect("four"));
            values.push((time, step, String::from_utf8(tag.to_vec()).expect("UTF-8"), value));
        }
        values
    }

    const LINES: [&str; 2] = [
        "{\"kind\":\"chunk\",\"time\":1.5,\"ids\":10,\"prequential_nats\":30.0,\"step\":300,\
         \"bits_per_character\":7.5,\"gradient_norm\":0.5,\"learning_rate\":0.25,\
         \"words_per_second\":100.0}\n",
        "{\"kind\":\"held_out\",\"time\":2.5,\"ids\":8,\"nats\":4.0,\"bits_per_character\":2.0}\n",
    ];

    #[test]
    fn an_independent_reader_finds_the_same_numbers_and_right_sums() {
        assert_eq!(bitwise(b"123456789"), 0xE306_9283, "the check value of CRC-32C");
        let folder = tempfile::tempdir().expect("a folder");
        let models = curves(&LINES.concat()).expect("whole lines");
        let files = write(folder.path(), &models).expect("written");
        let mut values = read(&fs::read(&files[0]).expect("it is there"));
        values.sort_by(|one, other| one.2.cmp(&other.2));
        let expected = [
            (2.5, "bits_per_character/held_out", 2.0),
            (1.5, "bits_per_character/prequential", 7.5),
            (1.5, "gradient_norm", 0.5),
            (1.5, "ids_per_second", 100.0),
            (1.5, "learning_rate", 0.25),
            (2.5, "loss/held_out", 0.5),
            (1.5, "loss/prequential", 3.0),
        ];
        let expected = expected.map(|(time, tag, value)| (time, 300, tag.to_owned(), value));
        assert_eq!(values, expected);
    }

    #[test]
    fn more_measurements_only_make_the_file_longer() {
        let models = |lines: &str| curves(lines).expect("whole lines");
        let (short, long) = (encode(&models(LINES[0])[0]), encode(&models(&LINES.concat())[0]));
        assert!(long.len() > short.len() && long.starts_with(&short));
        let folder = tempfile::tempdir().expect("a folder");
        for lines in [LINES[0], &LINES.concat()] {
            let files = write(folder.path(), &models(lines)).expect("written");
            let found = fs::read(&files[0]).expect("it is there");
            assert_eq!(found, encode(&models(lines)[0]));
        }
    }
}
