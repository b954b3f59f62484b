//! Rolling origins inside the training data: the experts are taught and asked as they would have been then.
//!
//! Each class of histories has origins of its own. Its members stand there with what they had; where they are few or too
//! young to look back, longer series stand in, cut down to a member's length.

use linfa_linear::LinearError;

use super::classes::{Class, POINTS_MIN};
use super::experts::{Answers, Team};
use super::features::Shape;
use super::others::Known;
use super::random::Random;
use super::windows::Take;

/// One history at one origin, what the experts said of it, and what came.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Which series it is of.
    pub series: usize,
    /// Which stretch of time what came lies in: origins whose futures overlap share one.
    pub stretch: usize,
    /// What was known.
    pub history: &'a [f64],
    /// What came.
    pub actual: &'a [f64],
    /// The mean absolute change of the history, see [`Known::scale`].
    pub scale: f64,
    /// What its errors are measured in when experts are judged: the mean absolute change of the series until then, which a
    /// history of few points cannot show itself.
    pub unit: f64,
    /// What the experts said.
    pub answers: Answers,
}

/// Examples that the experts are taught with; more of them forecast no better.
const EXAMPLES_MAX: usize = 20_000;

/// The same at past origins, of which there are many.
const EXAMPLES_AT_ORIGINS_MAX: usize = 10_000;

/// Cases that are enough to judge by; with fewer of members, longer series stand in.
const CASES_ENOUGH: usize = 150;

/// Cases of one origin at most.
const CASES_OF_ORIGIN_MAX: usize = 1_500;

/// Origins at most.
const ORIGINS_MAX: usize = 5;

/// Origins of short histories, which overlap.
const ORIGINS_OF_SHORT_MAX: usize = 8;

/// A member must have had such a share of the shortest history of its class.
const SHARE_OF_CLASS: f64 = 0.6;

/// Returns how the training examples of a class are taken.
pub fn take(class: Class, horizons: usize, end_gap: usize, season: usize) -> Take {
    let history_min = match class.from {
        0..8 => POINTS_MIN,
        8..26 => 6,
        26..52 => 13,
        from => from.min(season).min(30),
    };
    let history_max = if class.is_longest() { usize::MAX } else { class.until - 1 };
    Take {
        horizons,
        stride: 1,
        cuts_max: usize::MAX,
        history_min,
        // What young series have differs much in length, and with it what is known of them.
        shown_min: if class.from < season { history_min } else { history_max },
        history_max,
        end_gap,
        examples_max: if end_gap == 0 { EXAMPLES_MAX } else { EXAMPLES_AT_ORIGINS_MAX },
    }
}

/// Replays the experts on the histories of a class; `members` are their places among all series.
pub fn replay<'a>(
    all: &[Known<'a>],
    members: &[usize],
    class: Class,
    shape: &Shape,
    horizons: usize,
    seed: u64,
) -> Result<Vec<Case<'a>>, LinearError<f64>> {
    let mut cases = Vec::new();
    let gaps = gaps(all, members, class, horizons);
    let of_members: Vec<_> = gaps.iter().map(|&gap| standing_members(all, members, class, gap)).collect();
    let is_enough = class.is_longest() || of_members.iter().map(Vec::len).sum::<usize>() >= CASES_ENOUGH;
    for (end_gap, mut places) in gaps.into_iter().zip(of_members) {
        if !is_enough {
            places.extend(standing_in(all, members, class, end_gap, seed));
        }
        let step = places.len().div_ceil(CASES_OF_ORIGIN_MAX).max(1);
        let places: Vec<_> = places.into_iter().step_by(step).collect();
        if places.is_empty() {
            continue;
        }
        let team = Team::fit(all, shape, &take(class, horizons, end_gap, shape.season), seed)?;
        let histories: Vec<Known<'a>> =
            places.iter().map(|&(series, from, until)| all[series].part(from, until)).collect();
        let answers = team.ask(&histories);
        for ((&(series, _, until), history), answers) in places.iter().zip(&histories).zip(answers) {
            let scale = history.scale();
            let whole = if class.is_young(shape.season) { all[series].part(0, until).scale() } else { scale };
            if scale > 0.0 {
                let unit = if whole > 0.0 { whole } else { scale };
                let history = history.values;
                let actual = &all[series].values[until..until + horizons];
                let stretch = end_gap / horizons;
                cases.push(Case { series, stretch, history, actual, scale, unit, answers });
            }
        }
    }
    Ok(cases)
}

/// Returns how far before the ends of the series the origins lie.
fn gaps(all: &[Known<'_>], members: &[usize], class: Class, horizons: usize) -> Vec<usize> {
    let longest = all.iter().map(|values| values.len()).max().unwrap_or(0);
    let is_short = members.iter().all(|&member| all[member].len() < class.from + 5 * horizons);
    let (spacing, count) =
        if is_short { (horizons.div_ceil(2), ORIGINS_OF_SHORT_MAX) } else { (horizons, ORIGINS_MAX) };
    (0..count).map(|back| horizons + back * spacing).filter(|gap| gap + POINTS_MIN <= longest).collect()
}

/// A series, and the first point and the end of what it shows.
type Place = (usize, usize, usize);

/// Returns the members that had enough of a history at an origin.
fn standing_members(all: &[Known<'_>], members: &[usize], class: Class, end_gap: usize) -> Vec<Place> {
    let least = ((class.from as f64 * SHARE_OF_CLASS) as usize).max(POINTS_MIN);
    let of_members = members.iter().filter_map(|&series| {
        let until = all[series].len().checked_sub(end_gap)?;
        (until >= least).then_some((series, 0, until))
    });
    of_members.collect()
}

/// Returns the longer series, each cut down to the length of a member.
fn standing_in(all: &[Known<'_>], members: &[usize], class: Class, end_gap: usize, seed: u64) -> Vec<Place> {
    let mut random = Random::new(seed, end_gap as u64);
    let mut places = Vec::new();
    for (series, values) in all.iter().enumerate() {
        let count = all[members[random.below(members.len())]].len();
        let Some(until) = values.len().checked_sub(end_gap) else { continue };
        if values.len() >= class.until && until >= count {
            places.push((series, until - count, until));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_history_is_judged_in_the_scale_of_the_whole_series() {
        // They jump by nothing or by fifty, about every other week.
        let jumps = |number: i64| (0..104).map(move |week| 100.0 + 50.0 * ((week * week / number) % 2) as f64);
        let mut all: Vec<Vec<f64>> = (3..11).map(|number| jumps(number).collect()).collect();
        all.push(vec![100.0, 101.0, 100.0]);
        let known: Vec<Known<'_>> = all.iter().map(|values| Known::alone(values)).collect();
        let cases = replay(&known, &[8], Class::of(3, 52).unwrap(), &Shape::of_season(52), 4, 7).unwrap();
        assert!(cases.iter().any(|case| case.scale == 50.0) && cases.iter().any(|case| case.scale == 25.0));
        assert!(cases.iter().all(|case| case.history.len() == 3 && (10.0..40.0).contains(&case.unit)));
    }
}
