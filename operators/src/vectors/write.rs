//! Writes vectors in the formats that they are read in.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use finalfusion::{
    io::WriteEmbeddings, norms::NdNorms, prelude::Embeddings, storage::NdArray, vocab::SimpleVocab,
};
use ndarray::{Array1, Array2};

use super::{Trouble, VectorsError, format::Format};

/// Writes words and their vectors, `[words, dimension]` row after row; the words that were left out.
///
/// word2vec's two formats part words by blanks, so words that have such are left out of them;
/// finalfusion's has them all. There each vector is stored with length one and its length beside it:
/// it comes back within rounding, from the others bit for bit.
///
/// # Errors
/// If the disk is full, say, or the format is one that is only read.
///
/// # Panics
/// If there are not `dimension` components a word, or a word comes twice.
pub fn write(
    path: &Path,
    format: Format,
    words: &[String],
    components: &[f32],
) -> Result<Vec<String>, VectorsError> {
    let dimension = components.len().checked_div(words.len()).unwrap_or_default();
    assert_eq!(dimension * words.len(), components.len(), "a vector a word");
    let failed = |trouble| {
        let trouble = match trouble {
            Trouble::Unreadable(error) => Trouble::Unwritable(error),
            other => other,
        };
        VectorsError { path: path.to_owned(), trouble }
    };
    let file = File::create(path).map_err(|error| failed(error.into()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let written = match format {
        Format::Finalfusion => finalfusion(&mut file, words, dimension, components),
        Format::Word2Vec | Format::Text => {
            plain(&mut file, format, words, dimension, components).map_err(Trouble::from)
        }
        _ => Err(Trouble::Unsupported { what: "fastText's and GloVe's formats for writing" }),
    };
    written.and_then(|left| Ok(file.flush().map(|()| left)?)).map_err(failed)
}

fn plain(
    file: &mut impl Write,
    format: Format,
    words: &[String],
    dimension: usize,
    components: &[f32],
) -> io::Result<Vec<String>> {
    let (left, kept): (Vec<_>, Vec<_>) =
        words.iter().enumerate().partition(|(_, word)| word.contains([' ', '\t', '\r', '\n']));
    writeln!(file, "{} {dimension}", kept.len())?;
    for (place, word) in kept {
        write!(file, "{word}")?;
        let vector = &components[place * dimension..][..dimension];
        if format == Format::Text {
            // Rust writes the shortest digits that give the same bits back.
            vector.iter().try_for_each(|component| write!(file, " {component}"))?;
        } else {
            file.write_all(b" ")?;
            vector.iter().try_for_each(|component| file.write_all(&component.to_le_bytes()))?;
        }
        file.write_all(b"\n")?;
    }
    Ok(left.into_iter().map(|(_, word)| word.clone()).collect())
}

fn finalfusion(
    file: &mut (impl Write + io::Seek),
    words: &[String],
    dimension: usize,
    components: &[f32],
) -> Result<Vec<String>, Trouble> {
    let mut unit = components.to_vec();
    let norms: Vec<f32> = unit
        .chunks_exact_mut(dimension.max(1))
        .map(|vector| {
            let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if norm > 0.0 {
                vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
            norm as f32
        })
        .collect();
    let matrix = Array2::from_shape_vec((words.len(), dimension), unit).expect("a vector a word");
    let vocabulary = SimpleVocab::new(words);
    let norms = NdNorms::new(Array1::from(norms));
    let embeddings = Embeddings::new(None, vocabulary, NdArray::from(matrix), norms);
    embeddings.write_embeddings(file)?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::Vectors;

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_as_such() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("none/vectors");
        let error = write(&path, Format::Text, &["雨".into()], &[1.0]).expect_err("no such folder");
        assert!(error.to_string().contains("could not be written"), "{error}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let words = ["雨", "\u{3000}", "\n", "a b", "</s>", "<0x41>"].map(str::to_owned);
        let components = [1.0, -2.5, 1e-7, 3.5, 0.1, 0.2, 7.0, 8.0, 0.0, 0.0, 1e20, -0.3];
        let folder = tempfile::tempdir().expect("a folder");
        for format in [Format::Word2Vec, Format::Text, Format::Finalfusion] {
            let path = folder.path().join("vectors");
            let left = write(&path, format, &words, &components).expect("written");
            let whole = format == Format::Finalfusion;
            assert_eq!(left, if whole { vec![] } else { vec!["\n".to_owned(), "a b".into()] });
            let read = Vectors::open(&path, Format::Auto).expect("told by its first bytes");
            assert_eq!((read.len(), read.dimension()), (words.len() - left.len(), 2));
            for (word, expected) in words.iter().zip(components.chunks(2)) {
                let mut found = [0.0; 2];
                assert_eq!(read.lookup(word, &mut found), !left.contains(word), "{word:?}");
                let exact = !whole && !left.contains(word);
                assert!(!exact || found == expected, "{word:?}: {found:?}");
                let close = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-6 * y.abs().max(1e-6);
                assert!(!whole || found.iter().zip(expected).all(close), "{word:?}: {found:?}");
            }
        }
        let refused = write(&folder.path().join("v"), Format::Glove, &words, &components);
        assert!(refused.is_err(), "it is only read");
    }
}
