//! What the sources offer: each kind listed as its library lists itself, without a look at what the
//! run has had.

use operators::{
    catalogue::{aozora, files},
    extract::BadSelector,
    fetch::{self, Client, Url},
    record::Entry,
};

use crate::{
    job::{Aozora, Files, Sample, Source},
    sample::SampleServer,
};

/// What can be wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The index could not be fetched.
    #[error("could not fetch the index {url}: {source}")]
    Fetch {
        /// Where it should be.
        url: Url,
        /// Why not.
        source: Box<fetch::Trouble>,
    },
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] aozora::IndexError),
    /// The files could not be listed.
    #[error(transparent)]
    Files(#[from] files::FilesError),
    /// The selector is none.
    #[error(transparent)]
    Selector(#[from] BadSelector),
    /// The sample library could not be served.
    #[error("could not serve the sample library on the loopback interface: {0}")]
    Serve(#[from] std::io::Error),
}

/// What a source offers.
pub(super) struct Offer {
    /// Its entries, in its order; of those that cannot be used, why.
    pub entries: Vec<(Entry, Option<String>)>,
    /// Whether an entry that is not here is not there.
    pub is_whole: bool,
}

impl Offer {
    /// Lists a source. `sample` is where the sample library is served, if the job reads it.
    pub async fn of(
        source: &Source,
        client: &Client,
        sample: Option<&SampleServer>,
    ) -> Result<Self, Trouble> {
        match source {
            Source::Aozora(source) => aozora_offer(source, client).await,
            Source::Sample(source) => sample_offer(source, sample, client).await,
            Source::Files(source) => files_offer(source),
        }
    }
}

async fn aozora_offer(source: &Aozora, client: &Client) -> Result<Offer, Trouble> {
    let mirror = source.mirror.parse::<Url>().ok();
    let address: Url = source.index.parse().expect("checked with the job");
    let address = mirrored(&address, mirror.as_ref());
    let fetched = client.get(&address).await;
    let index =
        fetched.map_err(|source| Trouble::Fetch { url: address, source: Box::new(source) })?;
    let index = aozora::entries(&index.body, &source.wanted, mirror.as_ref())?;
    let usable = index.entries.into_iter().map(|work| {
        let entry = Entry {
            url: work.url.into(),
            id: work.id,
            revision: work.revision,
            title: work.title,
            credit: work.credit,
            orthography: work.orthography,
            ..Entry::default()
        };
        (entry, None)
    });
    let unusable = index.skipped.into_iter().map(|skipped| {
        let reason = skipped.reason.to_string();
        let unnamed = skipped.id.is_empty();
        let entry = Entry {
            id: if unnamed { format!("line {}", skipped.line) } else { skipped.id },
            // Once it can be used it has another revision, and is read.
            revision: format!("unusable: {reason}"),
            title: skipped.title,
            ..Entry::default()
        };
        (entry, Some(format!("line {} of the index: {reason}", skipped.line)))
    });
    let is_whole = source.wanted.limit.is_none();
    Ok(Offer { entries: usable.chain(unusable).collect(), is_whole })
}

async fn sample_offer(
    source: &Sample,
    server: Option<&SampleServer>,
    client: &Client,
) -> Result<Offer, Trouble> {
    let server = server.expect("the runner serves the sample library to jobs that read it");
    let as_aozora = Aozora {
        mirror: format!("http://{}", server.address()),
        wanted: source.wanted.clone(),
        ..Aozora::default()
    };
    aozora_offer(&as_aozora, client).await
}

fn files_offer(source: &Files) -> Result<Offer, Trouble> {
    let entries = files::entries(&source.paths)?.into_iter().map(|file| {
        let entry = Entry {
            title: file.id.clone(),
            id: file.id,
            revision: file.revision,
            url: file.url.into(),
            orthography: source.orthography.clone(),
            ..Entry::default()
        };
        (entry, None)
    });
    Ok(Offer { entries: entries.collect(), is_whole: true })
}

/// The address with scheme, host and port of the mirror.
fn mirrored(address: &Url, mirror: Option<&Url>) -> Url {
    let Some(mirror) = mirror else { return address.clone() };
    let mut at_mirror = mirror.clone();
    let base = mirror.path().trim_end_matches('/');
    at_mirror.set_path(&format!("{base}{}", address.path()));
    at_mirror.set_query(address.query());
    at_mirror
}

#[cfg(test)]
mod tests {
    use super::mirrored;

    #[test]
    fn a_mirror_replaces_scheme_host_and_port() {
        let address = "https://www.aozora.gr.jp/cards/1/files/2.html".parse().expect("a URL");
        let at = |mirror: &str| mirrored(&address, mirror.parse().ok().as_ref()).to_string();
        assert_eq!(at("http://127.0.0.1:8000"), "http://127.0.0.1:8000/cards/1/files/2.html");
        assert_eq!(at("http://host/of/it/"), "http://host/of/it/cards/1/files/2.html");
        assert_eq!(at(""), address.to_string());
    }
}
