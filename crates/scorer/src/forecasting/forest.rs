//! A forest of regression trees: what a line cannot say, that a move follows from several features together.
//!
//! linfa has forests for classes only, and what they say differs from run to run. These trees split where the variance of
//! the squeezed moves falls most (Breiman 2001), on features in bins of equal counts; a leaf says the median of its
//! examples, and the forest the mean of its trees. All horizons share the trees, and the horizon is a feature. The same
//! seed makes the same trees on any number of threads.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::features::{COMMON_COUNT, HORIZON_COUNT};
use super::global::{stretched, target};
use super::random::Random;
use super::statistics::median_of;
use super::windows::Windows;

/// Trees of a forest that forecasts.
pub const TREES: u64 = 100;

/// Trees of one that only shows at a past origin how well forests do; more of them do little better.
pub const TREES_AT_ORIGINS: u64 = 30;

/// Examples, each a history and a horizon, of which every tree takes a half.
const EXAMPLES_MAX: usize = 40_000;

/// A leaf has at least so many of them.
const LEAF_MIN: usize = 10;

/// Of the features one in so many is tried for a split.
const TRIED: usize = 3;

/// Bins of a feature; the first holds what is not known.
const BINS: usize = 64;

/// What a feature's values are divided into bins by.
const EDGES_EXAMPLES: usize = 10_000;

const FEATURE_COUNT: usize = COMMON_COUNT + HORIZON_COUNT + 2;

/// Trees over binned features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// By feature, the values between its bins.
    edges: Vec<Vec<f64>>,
    trees: Vec<Vec<Node>>,
}

/// A question or an answer of a tree; there are many, and untagged they take a third of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    /// Feature, bin and place: rows whose bin of the feature is at most this go to the place, the others to that after it.
    Split(u8, u8, u32),
    /// The squeezed move.
    Leaf(f32),
}

/// Examples in bins, feature by feature.
struct Binned {
    count: usize,
    /// All examples' bins of the first feature, then of the second.
    bins: Vec<u8>,
    targets: Vec<f32>,
}

impl Forest {
    /// Grows the forest.
    pub fn fit(windows: &Windows, trees: u64, seed: u64) -> Forest {
        let mut random = Random::new(seed, 0);
        let pairs: Vec<(usize, usize)> = (0..(windows.len() * windows.horizons).min(EXAMPLES_MAX))
            .map(|_| (random.below(windows.len()), 1 + random.below(windows.horizons)))
            .collect();
        let edges: Vec<Vec<f64>> = (0..FEATURE_COUNT)
            .into_par_iter()
            .map(|feature| {
                let some = pairs.iter().take(EDGES_EXAMPLES);
                edges(some.map(|&(row, horizon)| value(windows, row, horizon, feature)).collect())
            })
            .collect();
        let bins = edges
            .par_iter()
            .enumerate()
            .flat_map_iter(|(feature, edges)| {
                pairs.iter().map(move |&(row, horizon)| bin(edges, value(windows, row, horizon, feature)))
            })
            .collect();
        let targets = pairs.iter().map(|&(row, horizon)| target(windows, row, horizon) as f32).collect();
        let binned = Binned { count: pairs.len(), bins, targets };
        let trees = (1..=trees).into_par_iter().map(|tree| grow(&binned, &mut Random::new(seed, tree))).collect();
        Forest { edges, trees }
    }

    /// Returns the moves that follow a row, one a horizon, in mean absolute changes.
    pub fn predict(&self, windows: &Windows, row: usize) -> Vec<f64> {
        (1..=windows.horizons)
            .map(|horizon| {
                let features = self.edges.iter().enumerate();
                let bins: Vec<u8> =
                    features.map(|(feature, edges)| bin(edges, value(windows, row, horizon, feature))).collect();
                let sum: f64 = self.trees.iter().map(|tree| ask(tree, &bins)).sum();
                stretched(sum / self.trees.len() as f64)
            })
            .collect()
    }
}

/// Returns a feature of a row for a horizon.
fn value(windows: &Windows, row: usize, horizon: usize, feature: usize) -> f64 {
    match feature {
        0..COMMON_COUNT => windows.common_of(row)[feature],
        place if place < COMMON_COUNT + HORIZON_COUNT => windows.seasonal_of(row, horizon)[place - COMMON_COUNT],
        place if place == COMMON_COUNT + HORIZON_COUNT => windows.usual_of(row, horizon),
        _ => horizon as f64,
    }
}

/// Returns the values that divide others into bins of equal counts.
fn edges(mut values: Vec<f64>) -> Vec<f64> {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    let bounds = BINS - 1;
    let mut edges: Vec<f64> =
        (1..bounds).filter_map(|place| values.get(place * values.len() / bounds).copied()).collect();
    edges.dedup();
    edges
}

fn bin(edges: &[f64], value: f64) -> u8 {
    if value.is_nan() { 0 } else { 1 + edges.partition_point(|edge| *edge <= value) as u8 }
}

fn ask(tree: &[Node], bins: &[u8]) -> f64 {
    let mut place = 0;
    loop {
        match tree[place] {
            Node::Leaf(squeezed) => return f64::from(squeezed),
            Node::Split(feature, bin, below) => {
                place = below as usize + usize::from(bins[usize::from(feature)] > bin);
            }
        }
    }
}

fn grow(binned: &Binned, random: &mut Random) -> Vec<Node> {
    let mut examples: Vec<u32> = (0..binned.count / 2).map(|_| random.below(binned.count) as u32).collect();
    let mut tree = vec![Node::Leaf(0.0)];
    let mut waiting = vec![(0, 0, examples.len())];
    while let Some((place, from, until)) = waiting.pop() {
        let part = &mut examples[from..until];
        let Some((feature, bin)) = best_split(binned, part, random) else {
            let mut targets: Vec<f64> =
                part.iter().map(|&example| f64::from(binned.targets[example as usize])).collect();
            tree[place] = Node::Leaf(median_of(&mut targets) as f32);
            continue;
        };
        let column = &binned.bins[feature * binned.count..];
        let middle = from + divide(part, |example| column[example as usize] <= bin);
        let below = tree.len();
        tree[place] = Node::Split(feature as u8, bin, below as u32);
        tree.extend([Node::Leaf(0.0); 2]);
        waiting.extend([(below, from, middle), (below + 1, middle, until)]);
    }
    tree
}

/// Returns the feature and the bin after which the examples are divided best, if they are to be divided.
fn best_split(binned: &Binned, examples: &[u32], random: &mut Random) -> Option<(usize, u8)> {
    if examples.len() < 2 * LEAF_MIN {
        return None;
    }
    let total: f64 = examples.iter().map(|&example| f64::from(binned.targets[example as usize])).sum();
    let nothing = total * total / examples.len() as f64;
    let mut best = (nothing + 1e-9 * nothing.abs().max(1e-9), None);
    for _ in 0..FEATURE_COUNT / TRIED {
        let feature = random.below(FEATURE_COUNT);
        let column = &binned.bins[feature * binned.count..(feature + 1) * binned.count];
        let (mut sums, mut counts) = ([0.0_f64; BINS], [0_u32; BINS]);
        for &example in examples {
            let bin = usize::from(column[example as usize]);
            sums[bin] += f64::from(binned.targets[example as usize]);
            counts[bin] += 1;
        }
        let (mut sum, mut count) = (0.0, 0);
        for bin in 0..BINS - 1 {
            if counts[bin] == 0 {
                continue;
            }
            sum += sums[bin];
            count += counts[bin] as usize;
            let rest = examples.len() - count;
            if count < LEAF_MIN || rest < LEAF_MIN {
                continue;
            }
            let gain = sum * sum / count as f64 + (total - sum) * (total - sum) / rest as f64;
            if gain > best.0 {
                best = (gain, Some((feature, bin as u8)));
            }
        }
    }
    best.1
}

/// Brings those of which something holds to the front, in their order; returns how many they are.
fn divide(examples: &mut [u32], holds: impl Fn(u32) -> bool) -> usize {
    let (front, back): (Vec<u32>, Vec<u32>) = examples.iter().partition(|&&example| holds(example));
    examples[..front.len()].copy_from_slice(&front);
    examples[front.len()..].copy_from_slice(&back);
    front.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples that rise where two features are both above zero, which no line can say, brought to a scale.
    fn windows(scale: f64) -> Windows {
        let mut random = Random::new(3, 0);
        let mut windows = Windows { horizons: 2, ..Windows::default() };
        for _ in 0..2_000 {
            let common: Vec<f64> = (0..COMMON_COUNT).map(|_| random.below(2_001) as f64 / 1_000.0 - 1.0).collect();
            let is_up = common[0] > 0.0 && common[1] > 0.0;
            windows.common.extend(common.iter().map(|value| scale * value));
            windows.seasonal.extend([f64::NAN; 2 * HORIZON_COUNT]);
            windows.usual.extend([f64::NAN; 2]);
            windows.moves.extend([if is_up { 3.0 } else { 0.0 }; 2]);
            windows.scales.push(1.0);
        }
        windows
    }

    #[test]
    fn it_says_what_follows_from_two_features_together() {
        let windows = windows(1.0);
        let forest = Forest::fit(&windows, 20, 1);
        let right = (0..windows.len()).filter(|&row| {
            let said = forest.predict(&windows, row);
            said.iter().all(|&moved| (moved > 1.0) == (windows.moves[2 * row] > 1.0))
        });
        assert!(right.count() > 1_900);
    }

    /// Those of linfa 0.8.1 take values nearer than 1e-5 for equal, and a hash map decides their ties.
    #[test]
    fn neither_the_scale_of_the_features_nor_the_run_matters_and_the_seed_does() {
        let (near, tiny) = (windows(1.0), windows(1e-9));
        let forest = Forest::fit(&near, 10, 1);
        assert_eq!(forest, Forest::fit(&near, 10, 1));
        assert_ne!(forest, Forest::fit(&near, 10, 2));
        let of_tiny = Forest::fit(&tiny, 10, 1);
        for row in 0..near.len() {
            assert_eq!(forest.predict(&near, row), of_tiny.predict(&tiny, row));
        }
    }
}
