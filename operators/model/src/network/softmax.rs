//! The output layer: features in, the probability of each word out.
//!
//! The **full** softmax gives each row a logit, `row · features + bias`. The **adaptive** softmax
//! (Grave et al. 2017) does so for the rows below the first cutoff alone, the head, and gives the
//! head one entry more for each cluster of later rows. Within cluster `k` (from 0) a softmax of its
//! own reads the features through a projection to `width / reductionᵏ⁺¹`; a word's probability is its
//! cluster's times its own within it. Ids come in order of admission, so roughly by frequency, and
//! most targets never leave the head.
//!
//! Rows are appended, so clusters open as the vocabulary reaches them, and the last one has no end. A
//! cluster without rows has no entry in the head, and so no probability. A new row begins within its
//! cluster and takes from its neighbours there alone.

mod clusters;
mod targets;

#[cfg(test)]
mod tests;

use std::ops::Range;

use tch::{Device, Kind, Reduction, Tensor};

use super::rows::{self, Beginning};
use super::{NewRow, Parameter, grown, parameter};
use crate::error::{Doing, Error};
use crate::ext;
use crate::layout::IGNORED;
use crate::shape::{Shape, Softmax};
use clusters::{Clusters, grown_bias, spans, tail_names};
use targets::TailTargets;
pub use targets::Targets;

/// The output layer's tensors. A full softmax is a head without end.
#[derive(Debug)]
pub(super) struct Output {
    /// `[head rows, width]`; where tied, the embedding's first rows take its place.
    weight: Option<Tensor>,
    /// `[head rows]`
    bias: Tensor,
    /// Only of an adaptive softmax.
    clusters: Option<Clusters>,
}

impl Output {
    /// A fresh layer without rows that reads features `width` wide.
    pub fn new(shape: &Shape, seed: u64, device: Device) -> Output {
        let width = shape.features() as i64;
        let empty =
            |size: &[i64]| Tensor::zeros(size, (Kind::Float, device)).set_requires_grad(true);
        let clusters = match &shape.softmax {
            Softmax::Full => None,
            Softmax::Adaptive { cutoffs, .. } => {
                Some(Clusters::fresh(shape, cutoffs, seed, device))
            }
        };
        Output { weight: (!shape.tied).then(|| empty(&[0, width])), bias: empty(&[0]), clusters }
    }

    /// What training changes, in a fixed order.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        let mut parameters: Vec<Parameter<'_>> =
            self.weight.iter().map(|weight| parameter("output.weight", weight, false)).collect();
        parameters.push(parameter("output.bias", &self.bias, false));
        if let Some(clusters) = &self.clusters {
            parameters.push(parameter("output.clusters.weight", &clusters.weight, false));
            parameters.push(parameter("output.clusters.bias", &clusters.bias, false));
            for (cluster, tail) in clusters.tails.iter().enumerate() {
                let tensors = [&tail.projection, &tail.weight, &tail.bias];
                parameters.extend(
                    tail_names(cluster)
                        .iter()
                        .zip(tensors)
                        .zip([true, false, false])
                        .map(|((name, tensor), decays)| parameter(name, tensor, decays)),
                );
            }
        }
        parameters
    }

    /// The layer for `rows` rows with tensors read from a file; `take` gives the tensor of a name
    /// and a size, on its device.
    pub fn replace(
        &mut self,
        rows: usize,
        mut take: impl FnMut(&str, &[i64]) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        let mut take = |name: &str, tensor: &mut Tensor, count: Option<usize>| {
            let mut size = tensor.size();
            size[0] = count.map_or(size[0], |count| count as i64);
            *tensor = take(name, &size)?.set_requires_grad(true);
            Ok::<(), Error>(())
        };
        let head = self.head_rows(rows);
        if let Some(weight) = &mut self.weight {
            take("output.weight", weight, Some(head))?;
        }
        take("output.bias", &mut self.bias, Some(head))?;
        let Some(clusters) = &mut self.clusters else { return Ok(()) };
        let spans = spans(&clusters.cutoffs, rows);
        take("output.clusters.weight", &mut clusters.weight, Some(spans.len()))?;
        take("output.clusters.bias", &mut clusters.bias, Some(spans.len()))?;
        for (cluster, tail) in clusters.tails.iter_mut().enumerate() {
            let rows = spans.get(cluster).map_or(0, Range::len);
            let [projection, weight, bias] = tail_names(cluster);
            take(&projection, &mut tail.projection, None)?;
            take(&weight, &mut tail.weight, Some(rows))?;
            take(&bias, &mut tail.bias, Some(rows))?;
        }
        Ok(())
    }

    /// The layer with a row for each new word; `embedding` has them already. Changes nothing itself,
    /// so that the caller may still refuse.
    pub fn grown(
        &self,
        embedding: &Tensor,
        new: &[NewRow<'_>],
        learnt: bool,
        seed: u64,
    ) -> Result<Output, Error> {
        let rows = embedding.size()[0] as usize;
        let old = rows - new.len();
        let for_head = self.head_rows(rows) - self.head_rows(old);
        let parts: Vec<Beginning<'_>> =
            new[..for_head].iter().map(|row| Beginning::Parts(row.parts)).collect();
        let weight = match &self.weight {
            Some(weight) => Some(grown(weight, &parts, learnt, (seed, "output.weight"))?),
            None => None,
        };
        let bias = grown_bias(&self.bias, |bias| rows::extend_bias(bias, for_head, learnt));
        let mut output = Output { weight, bias, clusters: None };
        if let Some(clusters) = &self.clusters {
            let table = output.head_weight(embedding, self.head_rows(rows));
            let head = (&table, &output.bias);
            output.clusters = Some(clusters.grown(head, (old, rows), new, learnt, seed)?);
        }
        Ok(output)
    }

    /// The logits of every word, `[places, rows]`, from features `[places, width]`. Those of an
    /// adaptive softmax are the logarithms of the probabilities.
    pub fn logits(&self, embedding: &Tensor, features: &Tensor) -> Result<Tensor, Error> {
        let head = self.head(embedding, features).doing("could not compute the logits")?;
        let Some(clusters) = &self.clusters else { return Ok(head) };
        let rows = self.bias.size()[0];
        let logits = || {
            let head = head.f_log_softmax(-1, None)?;
            let mut parts = vec![head.f_narrow(1, 0, rows)?];
            for (cluster, tail) in clusters.tails[..clusters.open()].iter().enumerate() {
                let entry = head.f_narrow(1, rows + cluster as i64, 1)?;
                parts.push(tail.logits(features)?.f_log_softmax(-1, None)?.f_add(&entry)?);
            }
            Tensor::f_cat(&parts, 1)
        };
        logits().doing("could not compute the logits")
    }

    /// The loss of each target in nats, `[places]`, 0 where it is [`IGNORED`]; with
    /// [`Reduction::Sum`] their sum, with [`Reduction::Mean`] that by the number of targets.
    /// Features are `[places, width]`.
    pub fn nats(
        &self,
        embedding: &Tensor,
        features: &Tensor,
        targets: &Targets,
        reduction: Reduction,
    ) -> Result<Tensor, Error> {
        let each = matches!(reduction, Reduction::None);
        let inner = if each { Reduction::None } else { Reduction::Sum };
        let loss = |features: &Tensor, (weight, bias): (&Tensor, &Tensor), targets: &Tensor| {
            // A GPU holds the logits, and may cast them.
            let is_plain = features.device() == Device::Cpu && features.kind() == Kind::Float;
            if is_plain && !each {
                return ext::linear_cross_entropy(features, weight, bias, targets, IGNORED);
            }
            let logits = features.f_linear(weight, Some(bias))?;
            logits.f_cross_entropy_loss(targets, None::<&Tensor>, inner, IGNORED, 0.0)
        };
        let nats = || {
            let (weight, bias) = self.head_layer(embedding)?;
            let mut nats = loss(features, (&weight, &bias), &targets.head)?;
            for TailTargets { cluster, places, rows } in &targets.tails {
                let clusters = self.clusters.as_ref().expect("targets are sorted by our cutoffs");
                let features = features.f_index_select(0, places)?;
                let tail = &clusters.tails[*cluster];
                let more = loss(&tail.narrowed(&features)?, (&tail.weight, &tail.bias), rows)?;
                nats = match each {
                    true => nats.f_index_add(0, places, &more)?,
                    false => nats.f_add(&more)?,
                };
            }
            match reduction {
                Reduction::Mean => nats.f_div_scalar(targets.count as f64),
                _ => Ok(nats),
            }
        };
        nats().doing("could not compute the loss")
    }

    /// Brings windows of `targets` to the device, all in one transfer.
    pub fn target_windows(
        &self,
        targets: &[i64],
        windows: &[Range<usize>],
        device: Device,
    ) -> Result<Vec<Targets>, Error> {
        let cutoffs = self.clusters.as_ref().map_or(&[][..], |clusters| &clusters.cutoffs);
        Targets::place(targets, windows, cutoffs, device)
    }

    /// How many of `rows` rows are in the head.
    pub fn head_rows(&self, rows: usize) -> usize {
        self.clusters.as_ref().map_or(rows, |clusters| clusters.cutoffs[0].min(rows))
    }

    /// The logits of the head's rows, then of the open clusters' entries.
    fn head(&self, embedding: &Tensor, features: &Tensor) -> Result<Tensor, tch::TchError> {
        let (weight, bias) = self.head_layer(embedding)?;
        features.f_linear(&weight, Some(&bias))
    }

    /// Weight and bias of the head's rows, then of the open clusters' entries.
    fn head_layer(&self, embedding: &Tensor) -> Result<(Tensor, Tensor), tch::TchError> {
        let weight = self.head_weight(embedding, self.bias.size()[0] as usize);
        match self.clusters.as_ref().filter(|clusters| clusters.open() > 0) {
            None => Ok((weight, self.bias.shallow_clone())),
            Some(clusters) => Ok((
                Tensor::f_cat(&[&weight, &clusters.weight], 0)?,
                Tensor::f_cat(&[&self.bias, &clusters.bias], 0)?,
            )),
        }
    }

    fn head_weight(&self, embedding: &Tensor, rows: usize) -> Tensor {
        match &self.weight {
            Some(weight) => weight.shallow_clone(),
            None if rows == embedding.size()[0] as usize => embedding.shallow_clone(),
            None => embedding.narrow(0, 0, rows as i64),
        }
    }
}
