//! The clusters of an adaptive softmax: how they open, and how each grows within itself.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::error::Error;
use crate::network::rows::{self, Beginning};
use crate::network::{NewRow, appended, grown, host};
use crate::seed;
use crate::shape::Shape;

/// What an adaptive softmax has beside its head.
#[derive(Debug)]
pub struct Clusters {
    /// The rows at which clusters begin.
    pub cutoffs: Vec<usize>,
    /// `[open clusters, width]`: their entries in the head.
    pub weight: Tensor,
    /// `[open clusters]`
    pub bias: Tensor,
    /// All clusters, open or not.
    pub tails: Vec<Tail>,
}

/// A cluster: its rows, and the projection that they are read through.
#[derive(Debug)]
pub struct Tail {
    /// `[narrow, width]`
    pub projection: Tensor,
    /// `[rows of the cluster, narrow]`
    pub weight: Tensor,
    /// `[rows of the cluster]`
    pub bias: Tensor,
}

impl Clusters {
    /// Clusters without rows.
    pub fn fresh(shape: &Shape, cutoffs: &[usize], seed: u64, device: Device) -> Self {
        let width = shape.features() as i64;
        let empty =
            |size: &[i64]| Tensor::zeros(size, (Kind::Float, device)).set_requires_grad(true);
        let tails = (0..cutoffs.len()).map(|cluster| {
            let projection = projection(shape, cluster, seed).to_device(device);
            Tail {
                projection: projection.set_requires_grad(true),
                weight: empty(&[0, shape.narrow(cluster) as i64]),
                bias: empty(&[0]),
            }
        });
        Self {
            cutoffs: cutoffs.to_vec(),
            weight: empty(&[0, width]),
            bias: empty(&[0]),
            tails: tails.collect(),
        }
    }

    /// How many have rows.
    pub fn open(&self) -> usize {
        self.bias.size()[0] as usize
    }

    /// Clusters for `rows` rows, where there were `old`. An entry begins as a new row of the head,
    /// whose weight and bias are given.
    pub fn grown(
        &self,
        (head_weight, head_bias): (&Tensor, &Tensor),
        (old, rows): (usize, usize),
        new: &[NewRow<'_>],
        learnt: bool,
        seed: u64,
    ) -> Result<Clusters, Error> {
        let spans = spans(&self.cutoffs, rows);
        let opening = spans.len() - self.open();
        let (mut weight, mut bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        if opening > 0 {
            let table = tch::no_grad(|| Tensor::cat(&[head_weight, &self.weight], 0));
            let unknown = vec![Beginning::Parts(&[]); opening];
            let table = grown(&table, &unknown, learnt, (seed, "output.clusters.weight"))?;
            let fresh = table.detach().narrow(0, -(opening as i64), opening as i64);
            weight = appended(&self.weight, fresh);
            let table = tch::no_grad(|| Tensor::cat(&[head_bias, &self.bias], 0));
            let table = grown_bias(&table, |bias| rows::extend_bias(bias, opening, learnt));
            let fresh = table.detach().narrow(0, -(opening as i64), opening as i64);
            bias = appended(&self.bias, fresh);
        }
        let tails = self.tails.iter().enumerate().map(|(cluster, tail)| {
            let span = spans.get(cluster).cloned().unwrap_or(0..0);
            let added = span.start.max(old)..span.end.max(old);
            tail.grown(
                cluster,
                span.start,
                &new[added.start - old..added.end - old],
                added,
                learnt,
                seed,
            )
        });
        let tails = tails.collect::<Result<Vec<Tail>, Error>>()?;
        Ok(Clusters { cutoffs: self.cutoffs.clone(), weight, bias, tails })
    }
}

impl Tail {
    /// The tail of the cluster that begins at row `begin`, with the rows `added`.
    fn grown(
        &self,
        cluster: usize,
        begin: usize,
        new: &[NewRow<'_>],
        added: Range<usize>,
        learnt: bool,
        seed: u64,
    ) -> Result<Tail, Error> {
        let projection = self.projection.shallow_clone();
        if new.is_empty() {
            let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
            return Ok(Tail { projection, weight, bias });
        }
        // Parts outside the cluster have no row of this width; mostly they are characters, which are
        // in the head.
        let mut parts: Vec<Vec<u32>> = Vec::with_capacity(new.len());
        for (row, new) in added.zip(new) {
            if let Some(part) = new.parts.iter().find(|&&part| part as usize >= row) {
                return Err(Error::Row { row, reason: format!("its part {part} has no row yet") });
            }
            let within = new.parts.iter().filter_map(|&part| (part as usize).checked_sub(begin));
            parts.push(within.map(|part| part as u32).collect());
        }
        let beginnings: Vec<Beginning<'_>> =
            parts.iter().map(|parts| Beginning::Parts(parts)).collect();
        let [_, name, _] = tail_names(cluster);
        Ok(Tail {
            projection,
            weight: grown(&self.weight, &beginnings, learnt, (seed, &name))?,
            bias: grown_bias(&self.bias, |bias| rows::extend_tail(bias, new.len(), learnt)),
        })
    }

    /// Features as the cluster reads them, `[places, narrow]`.
    pub fn narrowed(&self, features: &Tensor) -> Result<Tensor, tch::TchError> {
        features.f_linear(&self.projection, None::<&Tensor>)
    }

    /// The logits within the cluster, `[places, rows of the cluster]`.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, tch::TchError> {
        self.narrowed(features)?.f_linear(&self.weight, Some(&self.bias))
    }
}

/// The rows of each cluster that has any, where there are `rows` in all.
pub fn spans(cutoffs: &[usize], rows: usize) -> Vec<Range<usize>> {
    let ends = cutoffs.iter().skip(1).copied().chain([usize::MAX]);
    let spans = cutoffs.iter().zip(ends).map(|(&begin, end)| begin..end.min(rows));
    spans.take_while(|span| !span.is_empty()).collect()
}

/// What the tensors of a cluster are called in files.
pub fn tail_names(cluster: usize) -> [String; 3] {
    ["projection.weight", "weight", "bias"].map(|name| format!("output.tail.{cluster}.{name}"))
}

/// First values of a cluster's projection: uniform in ±1/√width, a function of (seed, name).
fn projection(shape: &Shape, cluster: usize, seed: u64) -> Tensor {
    let (width, narrow) = (shape.features(), shape.narrow(cluster));
    let [name, ..] = tail_names(cluster);
    let mut generator = seed::generator(seed, &name, 0);
    let bound = 1.0 / (width as f32).sqrt();
    let values: Vec<f32> =
        (0..width * narrow).map(|_| seed::around_zero(&mut generator, bound)).collect();
    Tensor::from_slice(&values).view([narrow as i64, width as i64])
}

/// A bias with the values that `extend` puts behind it.
pub fn grown_bias(bias: &Tensor, extend: impl FnOnce(&mut Vec<f32>)) -> Tensor {
    let mut values = host(bias);
    let old = values.len();
    extend(&mut values);
    appended(bias, Tensor::from_slice(&values[old..]).to_device(bias.device()))
}
