//! What the owner's process and another say to each other: JSON, each word after its length.

use std::io;

use operators::Epoch;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{control::Reading, job::Source};

/// The most bytes that a word may have. Also what tells a stranger: no text begins with so small a
/// number.
const MOST: u32 = 16 << 20;

/// A word once two processes have met.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// To the owner: the links to all others are there.
    Ready,
    /// From the owner: the work begins.
    Begin {
        /// The first epoch.
        first: Epoch,
        /// Sources that earlier runs have attached, as far as they tell how pages are read.
        attached: Vec<Source>,
        /// Sites that may be asked, be they in a private network.
        permitted: Vec<String>,
    },
    /// From the owner: a source is about to be attached.
    Attach {
        /// Tells the answer's question.
        number: u64,
        /// The source.
        source: Source,
    },
    /// To the owner: the pages of that source can be read.
    Attached {
        /// The question's.
        number: u64,
    },
    /// To the owner: how far this process has come.
    Reading(Reading),
    /// To the owner: somebody asks this process to end.
    Drain,
    /// To the owner: this process cannot go on.
    Failed {
        /// Its cause.
        reason: String,
    },
    /// From the owner: it is over.
    End(End),
}

/// How a job ended, as the owner tells the other processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At the end of the catalogue, or when it was asked to.
    Well,
    /// It failed.
    Failed {
        /// The cause.
        reason: String,
    },
}

/// Sends a word.
///
/// # Errors
/// If the connection is gone.
pub async fn send<W: Serialize>(to: &mut (impl AsyncWrite + Unpin), word: &W) -> io::Result<()> {
    let bytes = serde_json::to_vec(word).expect("words are plain data");
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MOST);
    let length = length.ok_or_else(|| io::Error::other("the word is too long"))?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend(bytes);
    to.write_all(&message).await?;
    to.flush().await
}

/// Hears a word; not a byte of what follows it is taken.
///
/// # Errors
/// If the connection is gone, or what comes is no word.
pub async fn hear<W: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<W> {
    let length = from.read_u32().await?;
    if length > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a process of seseragi"));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_as_they_were_said_and_a_stranger_is_told_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut wire = Vec::new();
            let end = End::Failed { reason: "満杯".into() };
            for word in [Word::Attached { number: 7 }, Word::End(end.clone())] {
                send(&mut wire, &word).await.expect("memory takes it");
            }
            let mut wire = &wire[..];
            assert!(matches!(hear(&mut wire).await, Ok(Word::Attached { number: 7 })));
            assert!(matches!(hear(&mut wire).await, Ok(Word::End(heard)) if heard == end));
            assert!(hear::<Word>(&mut wire).await.is_err(), "nothing more");
            let stranger = hear::<Word>(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).await;
            assert_eq!(stranger.expect_err("a stranger").to_string(), "not a process of seseragi");
        });
    }
}
