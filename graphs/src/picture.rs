//! A job's dataflow and its network in DOT, the language of Graphviz.
//!
//! The dataflow is not told from memory: it is built on one timely worker, which logs every operator
//! and every channel that it makes, and then dropped before it reads anything. The network is drawn
//! from its parameters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use crossbeam_channel::unbounded;
use model::Network;
use operators::{
    catalogue::Slicing,
    fault::Alarm,
    fetch::Client,
    route::{Loads, Sites},
};
use timely::logging::{ChannelsEvent, OperatesEvent, TimelyEvent, TimelyEventBuilder};
use tokio::runtime::Builder;

use crate::{
    control::Helm, drive::Lexicon, error::RunError, job::Job, listing, river::Tools,
    training::training,
};

/// The operators and channels of a dataflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataflow {
    // By address: the path of numbers from the root.
    operators: BTreeMap<Vec<usize>, String>,
    // From, to, and what flows.
    channels: BTreeSet<(Vec<usize>, Vec<usize>, String)>,
}

impl Dataflow {
    /// The dataflow of a job, as it is built on every worker.
    ///
    /// # Errors
    /// If the dictionary, the vectors or the web client cannot be had.
    pub fn of(job: &Job) -> Result<Self, RunError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| RunError::System { doing: "start the fetch threads", source })?;
        let lexicon = Lexicon::open(job)?;
        let tools = Tools {
            slicing: Slicing { first: 0, in_flight: job.flow.epochs_in_flight },
            helm: Helm::new(job, None, 0, Arc::new(AtomicBool::new(false)), unbounded().0),
            client: Client::new(&job.fetch)?,
            runtime: runtime.handle().clone(),
            alarm: Alarm::new(),
            rules: Arc::new(listing::rules(job)?),
            dictionary: lexicon.dictionary,
            vectors: lexicon.vectors,
            drain: Arc::new(AtomicBool::new(false)),
            sites: Sites::default(),
            loads: Loads::of(0, 1),
        };
        let admission = job.vocabulary.into();
        let logged = Arc::new(Mutex::new(Self::default()));
        let log = Arc::clone(&logged);
        // Without what only the owner has, there is nothing to read.
        timely::execute_directly(move |worker| {
            let mut register = worker.log_register().expect("the worker logs by default");
            register.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                let mut dataflow = log.lock().expect("one thread");
                for (_, event) in events.iter().flatten() {
                    dataflow.add(event);
                }
            });
            drop(register);
            let _learnt = worker.dataflow(|scope| training(scope, &tools, admission, None));
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        });
        let logged = logged.lock().expect("the worker has ended");
        Ok(logged.clone())
    }

    fn add(&mut self, event: &TimelyEvent) {
        match event {
            TimelyEvent::Operates(OperatesEvent { addr, name, .. }) => {
                self.operators.insert(addr.clone(), name.clone());
            }
            TimelyEvent::Channels(ChannelsEvent { scope_addr, source, target, typ, .. }) => {
                let place = |operator: usize| match operator {
                    0 => scope_addr.clone(), // the scope's own edge
                    operator => [&scope_addr[..], &[operator]].concat(),
                };
                self.channels.insert((place(source.0), place(target.0), plain(typ)));
            }
            _ => {}
        }
    }

    /// The names of the operators, in the order in which they were built.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.leaves().map(|(_, name)| name.as_str())
    }

    /// The operators that are no scopes of others.
    fn leaves(&self) -> impl Iterator<Item = (&Vec<usize>, &String)> {
        self.operators.iter().filter(|(address, _)| {
            let is_inside =
                |other: &&Vec<usize>| other.len() > address.len() && other.starts_with(address);
            !self.operators.keys().any(|other| is_inside(&other))
        })
    }
}

/// A type without its paths: `Batch<Words>` for `operators::batch::Batch<operators::record::Words>`.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for part in name.split_inclusive(['<', '>', ',', '(', ')', ' ', '[', ']']) {
        plain.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    plain
}

/// The dataflow and the network that it ends in, as a graph in DOT.
pub fn dot(dataflow: &Dataflow, network: Option<&Network>) -> String {
    let mut dot = String::from(
        "digraph seseragi {\n  rankdir=LR;\n  node [shape=box, style=rounded, \
         fontname=\"Helvetica\"];\n  edge [fontname=\"Helvetica\", fontsize=9];\n",
    );
    let node = |address: &[usize]| {
        let parts: Vec<String> = address.iter().map(usize::to_string).collect();
        format!("operator_{}", parts.join("_"))
    };
    let mut line = |line: String| writeln!(dot, "  {line}").expect("memory takes it");
    line("subgraph cluster_dataflow {".into());
    line("  label=\"dataflow\";".into());
    let leaves: BTreeSet<&Vec<usize>> = dataflow.leaves().map(|(address, _)| address).collect();
    for address in &leaves {
        let name = quoted(&dataflow.operators[*address]);
        line(format!("  {} [label={name}];", node(address)));
    }
    for (from, to, what) in &dataflow.channels {
        if leaves.contains(from) && leaves.contains(to) {
            line(format!("  {} -> {} [label={}];", node(from), node(to), quoted(what)));
        }
    }
    line("}".into());
    if let Some(network) = network {
        let layers = layers(network);
        line("subgraph cluster_network {".into());
        line("  label=\"network\";".into());
        for (place, label) in layers.iter().enumerate() {
            line(format!("  layer_{place} [label={}];", quoted(label)));
        }
        for place in 1..layers.len() {
            line(format!("  layer_{} -> layer_{place};", place - 1));
        }
        if network.shape().tied {
            let tie = "[style=dashed, label=\"same weights\", constraint=false]";
            line(format!("  layer_0 -> layer_{} {tie};", layers.len() - 1));
        }
        line("}".into());
        let sinks = dataflow.leaves().filter(|(_, name)| *name == "Train");
        for (address, _) in sinks {
            line(format!("{} -> layer_0 [label=\"chunks\"];", node(address)));
        }
    }
    dot + "}\n"
}

/// The layers from the words to the next word's probabilities, each with its parameters and sizes.
fn layers(network: &Network) -> Vec<String> {
    let mut layers: Vec<(String, String)> = Vec::new();
    for parameter in network.parameters() {
        let (module, name) = parameter.name.split_once('.').unwrap_or(("", &parameter.name));
        let layer = match name.rsplit_once("_l") {
            Some((_, layer)) if module == "recurrent" => {
                format!("{:?} layer {layer}", network.shape().cell)
            }
            _ => module.to_owned(),
        };
        let told = format!("{name} {:?}", parameter.tensor.size());
        match layers.iter_mut().find(|(known, _)| *known == layer) {
            Some((_, parameters)) => *parameters = format!("{parameters}\n{told}"),
            None => layers.push((layer, told)),
        }
    }
    layers.into_iter().map(|(layer, parameters)| format!("{layer}\n{parameters}")).collect()
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_every_operator_that_the_job_builds_and_the_ways_between_them() {
        let job = Job::default();
        let dataflow = Dataflow::of(&job).expect("set-up has brought the dictionary");
        let names: Vec<&str> = dataflow.names().collect();
        // Embedding is a stage where the job has vectors, which this one has not.
        let stages =
            ["Catalogue", "Fetch", "Extract", "Tokenize", "Resequence", "Admit", "Chunk", "Train"];
        for stage in stages {
            assert!(names.iter().any(|name| name.contains(stage)), "{stage} is not in {names:?}");
        }
        let dot = dot(&dataflow, None);
        for name in &names {
            assert!(dot.contains(&format!("[label=\"{name}\"]")), "{name} is not in {dot}");
        }
        assert_eq!(dot.matches("[label=").count(), names.len() + dot.matches(" -> ").count());
        // Whatever is read reaches the sink: walk back from it to the catalogue.
        let address = |stage: &str| {
            let found = dataflow.leaves().find(|(_, name)| name.contains(stage));
            found.expect("it is there").0.clone()
        };
        let mut reached = vec![address("Train")];
        let mut next = 0;
        while let Some(place) = reached.get(next).cloned() {
            for (from, to, _) in &dataflow.channels {
                if *to == place && !reached.contains(from) {
                    reached.push(from.clone());
                }
            }
            next += 1;
        }
        for stage in stages {
            assert!(reached.contains(&address(stage)), "no way from {stage} to the sink: {dot}");
        }
    }

    #[test]
    fn types_are_told_without_their_paths() {
        assert_eq!(plain("operators::batch::Batch<operators::record::Words>"), "Batch<Words>");
        assert_eq!(plain("alloc::vec::Vec<(u64, a::B)>"), "Vec<(u64, B)>");
    }
}
