//! The gate: which experts have a say for a class of histories and a horizon, and how far they are followed.
//!
//! Everything begins at a base: of young series the level that follows each new value by the usual part of the way, because a
//! last value is partly chance nearly everywhere and few points cannot show it; naive where that was worse at the rolling
//! origins, and of older series. An expert passes when it beat the base at the origins by more than noise. The best of those
//! that passed and those that come near it, by its own noise, are put together with equal weights. Where all of these have learnt
//! from other series, the best of those that have not and passed is mixed in: when times change at once for all series, it errs
//! otherwise than they do. How far the mean is then followed away from the base, from not at all to all the way, is what can be
//! defended: the share whose gain, less its noise, is greatest. Noise is how much the gain differs between series, or between
//! stretches of time where that is more: series move together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::experts::{Answers, Expert};
use super::metrics::symmetric;
use super::origins::Case;

/// Horizons that are judged together.
const GROUP: usize = 4;

/// Standard errors that a gain must exceed.
const NOISE: f64 = 2.0;

/// Experts come near the best when they gain such a part of what it gains.
const NEAR: f64 = 0.9;

/// Weight of an expert that has learnt from no other series, beside those that have.
const HEDGE: f64 = 0.2;

/// Shares of the way from the base to the experts that are tried.
const SHARES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];

/// Who has a say at some horizons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// First horizon, counted from 1.
    pub from: usize,
    /// Last horizon.
    pub until: usize,
    /// Where the forecast begins: naive, or the level.
    pub base: Expert,
    /// The experts, with equal weights; none where none passed.
    pub experts: Vec<Expert>,
    /// One that has learnt from no other series and is mixed in, where all of them have.
    pub hedge: Option<Expert>,
    /// How far they are followed away from there, 0 to 1.
    pub share: f64,
    /// Their error at the origins beside naive's, as OWA.
    pub owa: f64,
}

/// Opens the gate for every group of horizons. Forecasts begin at `base` unless naive was better at the origins.
pub fn open(cases: &[Case<'_>], horizons: usize, base: Expert) -> Vec<Panel> {
    groups(horizons).map(|(from, until)| judge(cases, from, until, base)).collect()
}

/// Combines the answers about one history.
pub fn combine(panels: &[Panel], answers: &Answers, last: f64) -> Vec<f64> {
    let mut points = Vec::new();
    for panel in panels {
        for horizon in panel.from..=panel.until {
            points.push(combined(panel.base, &panel.experts, panel.hedge, panel.share, answers, horizon, last));
        }
    }
    points
}

fn groups(horizons: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = horizons.div_ceil(GROUP).max(1);
    (0..count).map(move |group| (group * horizons / count + 1, (group + 1) * horizons / count))
}

/// Returns the mean of the experts that have an answer, so far away from the base.
fn combined(
    base: Expert,
    experts: &[Expert],
    hedge: Option<Expert>,
    share: f64,
    answers: &Answers,
    horizon: usize,
    last: f64,
) -> f64 {
    let start = answers[base as usize].as_ref().map_or(last, |values| values[horizon - 1]);
    let (mut sum, mut count) = (0.0, 0.0);
    for expert in experts {
        if let Some(values) = &answers[*expert as usize] {
            sum += values[horizon - 1];
            count += 1.0;
        }
    }
    let Some(said) = (count > 0.0).then(|| sum / count) else { return start };
    let hedge = hedge.and_then(|hedge| answers[hedge as usize].as_ref()).map_or(said, |values| values[horizon - 1]);
    start + share * ((1.0 - HEDGE) * said + HEDGE * hedge - start)
}

fn judge(cases: &[Case<'_>], from: usize, until: usize, base: Expert) -> Panel {
    let mut evidence = Evidence::gather(cases, from, until);
    let (base, of_base) = match evidence.verdict(&[base], None, 1.0).gain {
        gain if gain >= 0.0 => (base, gain),
        _ => (Expert::Naive, 0.0),
    };
    evidence.base = base;
    let mut passed: Vec<(Expert, f64)> = Expert::ALL
        .into_iter()
        .filter(|expert| *expert != Expert::Naive && *expert != Expert::Level)
        .filter_map(|expert| {
            let verdict = evidence.verdict(&[expert], None, 1.0);
            (verdict.gain > 0.0 || evidence.best_share(&[expert], None).1 > 0.0).then_some((expert, verdict.gain))
        })
        .collect();
    passed.sort_by(|a, b| b.1.total_cmp(&a.1));
    let least = passed.first().map_or(0.0, |(best, gain)| {
        let noise = evidence.verdict(&[*best], None, 1.0).noise;
        (gain * NEAR).min(gain - noise)
    });
    let experts: Vec<Expert> = passed.iter().filter(|(_, gain)| *gain >= least).map(|(expert, _)| *expert).collect();
    let hedge = passed.iter().map(|(expert, _)| *expert).find(|expert| !expert.learns());
    let hedge = hedge.filter(|_| experts.iter().all(|expert| expert.learns()));
    let (share, defended) = evidence.best_share(&experts, hedge);
    if experts.is_empty() || defended <= 0.0 {
        return Panel { from, until, base, experts: Vec::new(), hedge: None, share: 0.0, owa: 1.0 - of_base };
    }
    let owa = 1.0 - of_base - evidence.verdict(&experts, hedge, share).gain;
    Panel { from, until, base, experts, hedge, share, owa }
}

/// What the origins say about a group of horizons.
struct Evidence<'a> {
    cases: &'a [Case<'a>],
    from: usize,
    until: usize,
    /// Sums of naive's sMAPE and MASE over all cases.
    naive: (f64, f64),
    /// What experts are held against.
    base: Expert,
}

/// How much a combination gained on the base, as a part of naive's error, and how uncertain that is.
struct Verdict {
    gain: f64,
    noise: f64,
}

impl<'a> Evidence<'a> {
    fn gather(cases: &'a [Case<'a>], from: usize, until: usize) -> Evidence<'a> {
        let mut evidence = Evidence { cases, from, until, naive: (0.0, 0.0), base: Expert::Naive };
        for case in cases {
            let (smape, mase) = evidence.errors(case, &[], None, 0.0);
            evidence.naive.0 += smape;
            evidence.naive.1 += mase;
        }
        evidence
    }

    fn errors(&self, case: &Case<'_>, experts: &[Expert], hedge: Option<Expert>, share: f64) -> (f64, f64) {
        let last = case.history.last().copied().unwrap_or(0.0);
        let (mut smape, mut mase) = (0.0, 0.0);
        for horizon in self.from..=self.until {
            let point = combined(self.base, experts, hedge, share, &case.answers, horizon, last);
            let actual = case.actual[horizon - 1];
            smape += symmetric(actual, point);
            mase += (actual - point).abs() / case.unit;
        }
        (smape, mase)
    }

    fn verdict(&self, experts: &[Expert], hedge: Option<Expert>, share: f64) -> Verdict {
        let mut of_series = BTreeMap::new();
        let mut of_stretch = BTreeMap::new();
        let part = |value: f64, whole: f64| if whole > 0.0 { value / whole / 2.0 } else { 0.0 };
        for case in self.cases {
            let before = self.errors(case, &[], None, 0.0);
            let after = self.errors(case, experts, hedge, share);
            let gain = part(before.0 - after.0, self.naive.0) + part(before.1 - after.1, self.naive.1);
            *of_series.entry(case.series).or_insert(0.0) += gain;
            *of_stretch.entry(case.stretch).or_insert(0.0) += gain;
        }
        Verdict { gain: of_series.values().sum(), noise: noise(&of_series).max(noise(&of_stretch)) }
    }

    /// Returns the share whose gain less its noise is greatest, and that difference.
    fn best_share(&self, experts: &[Expert], hedge: Option<Expert>) -> (f64, f64) {
        let mut best = (0.0, 0.0);
        for share in SHARES {
            let verdict = self.verdict(experts, hedge, share);
            let defended = verdict.gain - NOISE * verdict.noise;
            if defended > best.1 {
                best = (share, defended);
            }
        }
        best
    }
}

/// Returns the standard error of a sum of parts.
fn noise(parts: &BTreeMap<usize, f64>) -> f64 {
    let (sum, count) = (parts.values().sum::<f64>(), parts.len() as f64);
    // One part says nothing of how much they differ.
    if parts.len() < 2 {
        return sum.abs();
    }
    let spread: f64 = parts.values().map(|part| (part - sum / count).powi(2)).sum();
    // Of few parts the spread itself is uncertain: what Student's t distribution adds at the limit of NOISE.
    (spread * count / (count - 1.0)).sqrt() * (1.0 + 1.2 / (count - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases<'a>(actual: &'a [Vec<f64>], history: &'a [f64], said: impl Fn(usize) -> f64) -> Vec<Case<'a>> {
        actual
            .iter()
            .enumerate()
            .map(|(series, actual)| {
                let mut answers: Answers = vec![None; Expert::ALL.len()];
                answers[Expert::Naive as usize] = Some(vec![10.0; 3]);
                answers[Expert::Theta as usize] = Some(vec![said(series); 3]);
                Case { series, stretch: series % 4 / 2, history, actual, scale: 1.0, unit: 1.0, answers }
            })
            .collect()
    }

    #[test]
    fn an_expert_that_is_right_has_a_say_and_one_that_guesses_has_none() {
        let history = [9.0, 10.0];
        let actual: Vec<Vec<f64>> = (0..40).map(|series| vec![if series % 2 == 0 { 12.0 } else { 8.0 }; 3]).collect();
        let right = open(&cases(&actual, &history, |series| actual[series][0]), 3, Expert::Naive);
        assert_eq!((right.len(), right[0].experts.as_slice(), right[0].share), (1, &[Expert::Theta][..], 1.0));
        let wrong = open(&cases(&actual, &history, |series| if series % 4 < 2 { 12.0 } else { 8.0 }), 3, Expert::Naive);
        assert_eq!((wrong[0].experts.as_slice(), wrong[0].share), (&[][..], 0.0));
    }

    #[test]
    fn every_horizon_is_in_one_group() {
        for horizons in 1..=30 {
            let all: Vec<usize> = groups(horizons).flat_map(|(from, until)| from..=until).collect();
            assert_eq!(all, (1..=horizons).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_forecast_begins_at_its_base_unless_naive_was_better() {
        assert_eq!(open(&[], 3, Expert::Level)[0].base, Expert::Level);
        let history = [9.0, 10.0];
        let actual = vec![vec![12.0; 3]; 4];
        for (level, base, expected) in [(9.0, Expert::Naive, 10.0), (11.0, Expert::Level, 11.0)] {
            let mut cases = cases(&actual, &history, |_| 10.0);
            for case in &mut cases {
                case.answers[Expert::Level as usize] = Some(vec![level; 3]);
            }
            let panels = open(&cases, 3, Expert::Level);
            assert_eq!((panels[0].base, combine(&panels, &cases[0].answers, 10.0)), (base, vec![expected; 3]));
        }
    }
}
