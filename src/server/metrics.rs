//! A job's status in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

use graphs::control::Status;

/// The status as samples, each family with its help.
pub fn text(status: &Status) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, f64)>| {
        let _into_memory = writeln!(text, "# HELP seseragi_{name} {help}");
        let _into_memory = writeln!(text, "# TYPE seseragi_{name} {kind}");
        for (labels, value) in samples {
            let _into_memory = writeln!(text, "seseragi_{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let (workers, progress) = (&status.workers, &status.progress);
    let is_paused = f64::from(u8::from(status.state == "paused"));
    let (epochs, queues, fetch) = (&status.epochs, &status.queues, &status.fetch);
    family("paused", "gauge", "Whether no epochs are opened.", one(is_paused));
    let next = epochs.next as f64;
    family("epoch_next", "gauge", "The first epoch that is not open yet.", one(next));
    let in_flight = epochs.in_flight as f64;
    family("epochs_in_flight", "gauge", "Epochs opened and not learnt.", one(in_flight));
    let bytes = epochs.bytes as f64;
    family("in_flight_bytes", "gauge", "Bytes of pages fetched and not learnt.", one(bytes));
    let most = epochs.most_bytes as f64;
    family("in_flight_bytes_most", "gauge", "The most that those bytes were.", one(most));
    let help = "Records that have left a stage in this process.";
    let records = status.stages.iter().map(|(name, count)| (label("stage", name), *count as f64));
    family("stage_records_total", "counter", help, records.collect());
    let active = workers.active as f64;
    family("workers_active", "gauge", "Workers that get work.", one(active));
    family("workers_started", "gauge", "Workers that were started.", one(workers.max as f64));
    let busy = workers.busy_seconds.iter().enumerate();
    let busy = busy.map(|(index, seconds)| (label("worker", index), *seconds)).collect();
    family("worker_busy_seconds_total", "counter", "Processor time of a worker.", busy);
    let queued =
        [("entries", queues.entries), ("documents", queues.documents), ("epochs", queues.epochs)];
    let queued = queued.map(|(queue, depth)| (label("queue", queue), depth as f64)).into();
    family("queue_depth", "gauge", "What waits to be fetched, at the weir, to be learnt.", queued);
    family("requests_total", "counter", "Requests sent.", one(fetch.requests as f64));
    let under_way = fetch.in_flight as f64;
    family("requests_in_flight", "gauge", "Requests under way.", one(under_way));
    let bytes = fetch.bytes as f64;
    family("fetched_bytes_total", "counter", "Bytes of bodies received.", one(bytes));
    family("steps_total", "counter", "Steps in the life of the run.", one(progress.steps as f64));
    let chunks = progress.chunks as f64;
    family("chunks_total", "counter", "Chunks learnt in the life of the run.", one(chunks));
    let loss = progress.loss.into_iter().map(|loss| (String::new(), loss)).collect();
    family("loss_nats", "gauge", "Mean nats an id of the last step, before it.", loss);
    let bits = progress.bits_per_character.map(|bits| (label("text", "chunk"), bits));
    let held_out = progress.held_out.as_ref();
    let held_out = held_out.map(|score| (label("text", "held_out"), score.bits_per_character));
    let bits = bits.into_iter().chain(held_out).collect();
    family("bits_per_character", "gauge", "Of the last chunk, and of held-out text.", bits);
    let speed = progress.words_per_second.into_iter().map(|speed| (String::new(), speed)).collect();
    family("words_per_second", "gauge", "Ids trained on in a second, at the last chunk.", speed);
    let entries = progress.sources.iter().flat_map(|(name, source)| {
        let account = &source.account;
        let fates = [
            ("learnt", account.learnt),
            ("held_out", account.held_out),
            ("duplicate", account.duplicates),
            ("rejected", account.rejected),
            ("withdrawn", account.withdrawn),
        ];
        fates.map(|(fate, count)| {
            let labels = format!("{{source=\"{}\",fate=\"{fate}\"}}", escaped(name));
            (labels, count as f64)
        })
    });
    family("entries_total", "counter", "What became of a source's entries.", entries.collect());
    text
}

fn label(name: &str, value: impl Display) -> String {
    format!("{{{name}=\"{}\"}}", escaped(&value.to_string()))
}

/// As the format wants the value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        assert_eq!(super::label("source", "a\"b\\c\nd"), "{source=\"a\\\"b\\\\c\\nd\"}");
    }
}
