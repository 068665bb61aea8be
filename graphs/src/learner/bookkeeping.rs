//! The learner's books: what became of every entry, the words that wait for a chunk, and which
//! documents a chunk was made from.

use operators::{
    Epoch,
    batch::Batch,
    record::{Reading, Reject, Stage},
};

use super::Learner;
use crate::{
    events::Event,
    ledger::{Account, Fate, Line},
};

impl Learner {
    /// Enters a document that has passed the weir; its words wait for their chunk.
    pub(super) fn read(&mut self, reading: Reading) {
        let words = reading.words.iter().next().expect("a document a batch");
        let size = |ids: usize| ids as u64;
        let through = size(self.state.pending.len() + reading.ids.len());
        let line = Line {
            epoch: 0, // known when the epoch closes
            fate: if words.entry.held_out { Fate::HeldOut } else { Fate::Learnt },
            reason: None,
            content: hexadecimal(&words.content),
            fingerprint: hexadecimal(&words.fingerprint.to_be_bytes()),
            characters: words.characters,
            words: size(words.keys.len()),
            spelled: reading.spelled,
            ids: size(reading.ids.len()),
            // Fewer ids than a chunk has are pending, so the first one comes with the next chunk.
            chunk: self.counts.next_chunk,
            last_chunk: self.counts.next_chunk + through.saturating_sub(1) / self.chunk_words,
            entry: words.entry.clone(),
        };
        if words.entry.held_out {
            self.state.held_out.push(reading.words.clone());
        } else {
            reading.enter(&mut self.state.vocabulary);
            if reading.admitted.num_rows() > 0 {
                self.state.admitted.push(reading.admitted);
            }
            self.provenance.wait(&words.entry.source, reading.ids.len());
            self.state.pending.extend_from_slice(reading.ids.values());
        }
        self.state.ledger.push(line);
    }

    /// Enters what was rejected of an epoch, and closes its account in catalogue order.
    pub(super) fn close(&mut self, epoch: Epoch, rejects: &[Batch<Reject>]) {
        for reject in rejects.iter().flat_map(Batch::iter) {
            let fate = match reject.stage {
                Stage::Deduplicate => Fate::Duplicate,
                Stage::Withdraw => Fate::Withdrawn,
                Stage::Catalogue | Stage::Fetch | Stage::Extract => Fate::Rejected,
            };
            self.state.ledger.push(Line {
                reason: Some((reject.stage, reject.reason.to_owned())),
                chunk: self.counts.next_chunk,
                last_chunk: self.counts.next_chunk,
                ..Line::without_text(reject.entry, epoch, fate)
            });
        }
        let closed = &mut self.state.ledger[self.account.entries as usize..];
        closed.sort_by_key(|line| line.entry.sequence);
        for line in &mut *closed {
            line.epoch = epoch;
            self.account.add(line);
            self.counts.next_sequence = line.entry.sequence + 1;
        }
        let read = Account::of_sources(closed);
        self.tell(Event::Read(read));
        self.tell(Event::Learnt(epoch, self.account));
    }

    /// Names the documents of a chunk, for whoever has to find out what broke the model.
    pub(super) fn documents_of(&self, chunk: u64) -> String {
        let mut names: Vec<String> = self
            .state
            .ledger
            .iter()
            .filter(|line| line.fate == Fate::Learnt)
            .filter(|line| (line.chunk..=line.last_chunk).contains(&chunk))
            .map(|line| format!("{}:{}", line.entry.source, line.entry.id))
            .collect();
        if names.len() > 8 {
            let more = names.len() - 8;
            names.truncate(8);
            names.push(format!("and {more} more"));
        }
        names.join(", ")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
