//! Which due moments fire: jitter, moments that were missed, and runs that overlap. Nothing here touches the database.
//!
//! - **Jitter** puts the start of a run off by a part of the schedule's jitter that follows from its name and the due moment.
//!   So all schedulers agree on it and a restart does not choose anew. A start is never put off beyond the next due moment,
//!   so runs start in the order in which they are due. A run stands for its due moment, whenever it starts.
//! - **Missed** is a moment that is passed over: no scheduler ran, or the run before was not done. Each is counted once.
//! - **Late** moments fire as the missed-run policy says: `one` the last, `all` each, `none` no one that is later than
//!   [`ON_TIME`]; none that is later than the catch-up window.
//! - **Overlap** has the last word: while the run before is open, `skip` passes the moment over, `buffer_one` keeps it until
//!   that run ends, and when another falls due meanwhile keeps that one instead; `allow` starts it. Moments that `all` makes
//!   up for together count as one: they start together, the oldest first.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::definition::Definition;

/// A start that is no later than this is on time, not missed, whatever the catch-up window.
pub const ON_TIME: Duration = Duration::seconds(60);

/// Most moments that are looked at in one tick; the next tick goes on with the rest.
const MOMENTS_MAX: usize = 10_000;

/// What happens to a moment while the run before is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// It is passed over.
    Skip,
    /// It is kept until the run before has ended; of several the last.
    BufferOne,
    /// It fires.
    Allow,
}

/// Which of the moments fire that were missed while no scheduler ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedRunPolicy {
    /// The last one.
    One,
    /// Each of them.
    All,
    /// None.
    None,
}

/// What a look at a schedule finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Due moments that are to fire, the oldest first.
    pub firing: Vec<DateTime<Utc>>,
    /// How many moments are passed over.
    pub missed_count: usize,
    /// The first due moment that was not looked at; none when the schedule never falls due again.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// What the overlap policy makes of firing moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Due moments that start now, the oldest first.
    pub starting: Vec<DateTime<Utc>>,
    /// The due moment that waits for the run before to end.
    pub buffered: Option<DateTime<Utc>>,
    /// How many moments are passed over.
    pub missed_count: usize,
}

/// Looks at the due moments from `next_due_at` until now.
pub fn look(schedule: &Definition, next_due_at: DateTime<Utc>, now: DateTime<Utc>) -> Look {
    let mut look = Look { firing: Vec::new(), missed_count: 0, next_due_at: Some(next_due_at) };
    let lateness_max = match schedule.missed_runs {
        MissedRunPolicy::None => ON_TIME,
        MissedRunPolicy::One | MissedRunPolicy::All => schedule.catch_up.max(ON_TIME),
    };
    for _ in 0..MOMENTS_MAX {
        let Some((due_at, fires_at)) = ripe(schedule, look.next_due_at, now) else { return look };
        look.next_due_at = schedule.rhythm.next_after(due_at);
        if now - fires_at > lateness_max {
            look.missed_count += 1;
            continue;
        }
        if schedule.missed_runs == MissedRunPolicy::One {
            look.missed_count += look.firing.len();
            look.firing.clear();
        }
        look.firing.push(due_at);
    }
    // The last of all missed moments is still to come.
    if schedule.missed_runs == MissedRunPolicy::One && ripe(schedule, look.next_due_at, now).is_some() {
        look.missed_count += look.firing.len();
        look.firing.clear();
    }
    look
}

/// Applies the overlap policy to firing moments and to the one that waits.
pub fn settle(
    policy: OverlapPolicy,
    firing: &[DateTime<Utc>],
    buffered: Option<DateTime<Utc>>,
    is_previous_open: bool,
) -> Settlement {
    let waiting: Vec<DateTime<Utc>> = buffered.into_iter().chain(firing.iter().copied()).collect();
    match (policy, is_previous_open, buffered, firing) {
        (OverlapPolicy::Skip, true, ..) => Settlement { missed_count: waiting.len(), ..Settlement::default() },
        (OverlapPolicy::BufferOne, true, ..) => Settlement {
            buffered: waiting.last().copied(),
            missed_count: waiting.len().saturating_sub(1),
            ..Settlement::default()
        },
        // The one that waited starts, and is the open run before for the one that is due now.
        (OverlapPolicy::BufferOne, false, Some(first), [second]) => {
            Settlement { starting: vec![first], buffered: Some(*second), missed_count: 0 }
        }
        _ => Settlement { starting: waiting, ..Settlement::default() },
    }
}

/// Returns the moment at which a due moment fires.
pub fn fires_at(schedule: &Definition, due_at: DateTime<Utc>) -> DateTime<Utc> {
    if schedule.jitter.is_zero() {
        return due_at;
    }
    let bound = schedule.rhythm.next_after(due_at).map_or(schedule.jitter, |next| schedule.jitter.min(next - due_at));
    due_at + part_of(bound, &schedule.name, due_at)
}

/// Returns a due moment with the moment at which it fires, when that has come.
fn ripe(
    schedule: &Definition,
    due_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let due_at = due_at.filter(|due_at| *due_at <= now)?;
    let fires_at = fires_at(schedule, due_at);
    (fires_at <= now).then_some((due_at, fires_at))
}

/// Returns the part of a time, in whole milliseconds, that follows from a name and a moment.
fn part_of(whole: Duration, name: &str, due_at: DateTime<Utc>) -> Duration {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update([0]);
    hash.update(due_at.timestamp_micros().to_be_bytes());
    let digest = hash.finalize();
    let mut first_bytes = [0; 4];
    first_bytes.copy_from_slice(&digest[..4]);
    let milliseconds = i128::from(whole.num_milliseconds()) * i128::from(u32::from_be_bytes(first_bytes)) >> 32;
    Duration::milliseconds(i64::try_from(milliseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::definition::Action;
    use super::super::rhythm::Rhythm;
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn daily(missed_runs: MissedRunPolicy) -> Definition {
        let rhythm = Rhythm::parse("0 2 * * *", "UTC").expect("a rhythm");
        Definition { missed_runs, catch_up: Duration::days(3), ..Definition::new("nightly", Action::Train, rhythm) }
    }

    /// Looks at a schedule that was due first on 1 March.
    fn look_at(schedule: &Definition, now: &str) -> (Vec<String>, usize, Option<DateTime<Utc>>) {
        let look = look(schedule, time("2026-03-01T02:00:00Z"), time(now));
        let days = look.firing.iter().map(|due_at| due_at.format("%m-%d").to_string()).collect();
        (days, look.missed_count, look.next_due_at)
    }

    #[test]
    fn late_moments_fire_as_the_policy_says_and_the_others_are_counted() {
        let next = Some(time("2026-03-07T02:00:00Z"));
        let now = "2026-03-06T08:00:00Z";
        assert_eq!(look_at(&daily(MissedRunPolicy::One), now), (vec!["03-06".to_owned()], 5, next));
        let days = ["03-04", "03-05", "03-06"].map(str::to_owned).to_vec();
        assert_eq!(look_at(&daily(MissedRunPolicy::All), now), (days, 3, next));
        assert_eq!(look_at(&daily(MissedRunPolicy::None), now), (vec![], 6, next));
        let on_time = "2026-03-06T02:00:59Z";
        assert_eq!(look_at(&daily(MissedRunPolicy::None), on_time), (vec!["03-06".to_owned()], 5, next));
    }

    #[test]
    fn a_moment_older_than_the_window_is_missed_even_when_it_is_the_last() {
        let schedule = Definition { catch_up: Duration::hours(1), ..daily(MissedRunPolicy::One) };
        assert_eq!(look_at(&schedule, "2026-03-01T08:00:00Z"), (vec![], 1, Some(time("2026-03-02T02:00:00Z"))));
        let schedule = Definition { catch_up: Duration::zero(), ..schedule };
        assert_eq!(look_at(&schedule, "2026-03-01T02:00:01Z").0, ["03-01"]);
    }

    #[test]
    fn an_outage_of_very_many_moments_is_worked_off_in_steps_and_fires_once() {
        let rhythm = Rhythm::parse("* * * * * *", "UTC").expect("a rhythm");
        let schedule = Definition { rhythm, ..daily(MissedRunPolicy::One) };
        let (mut next, now) = (time("2026-03-01T00:00:00Z"), time("2026-03-01T10:00:00Z"));
        let (mut fired, mut missed) = (Vec::new(), 0);
        while next <= now {
            let look = look(&schedule, next, now);
            (next, missed) = (look.next_due_at.expect("another second"), missed + look.missed_count);
            fired.extend(look.firing);
        }
        assert_eq!((fired, missed), (vec![now], 36_000));
    }

    #[test]
    fn overlap_skips_buffers_one_or_allows() {
        let [first, second, third] = ["2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z", "2026-03-03T02:00:00Z"].map(time);
        let outcome = |policy, firing: &[_], buffered, is_open| {
            let settlement = settle(policy, firing, buffered, is_open);
            (settlement.starting, settlement.buffered, settlement.missed_count)
        };
        assert_eq!(outcome(OverlapPolicy::Skip, &[first], None, true), (vec![], None, 1));
        assert_eq!(outcome(OverlapPolicy::Skip, &[first], None, false), (vec![first], None, 0));
        assert_eq!(outcome(OverlapPolicy::Allow, &[first], None, true), (vec![first], None, 0));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &[first], None, true), (vec![], Some(first), 0));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &[second], Some(first), true), (vec![], Some(second), 1));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &[], Some(first), true), (vec![], Some(first), 0));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &[], Some(first), false), (vec![first], None, 0));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &[second], Some(first), false), (vec![first], Some(second), 0));
        let all = vec![first, second, third];
        assert_eq!(outcome(OverlapPolicy::BufferOne, &all, None, false), (all.clone(), None, 0));
        assert_eq!(outcome(OverlapPolicy::BufferOne, &all, None, true), (vec![], Some(third), 2));
    }

    #[test]
    fn jitter_differs_between_schedules_and_days_and_spreads_over_its_time() {
        let schedule = Definition { jitter: Duration::hours(1), ..daily(MissedRunPolicy::One) };
        let delays: Vec<i64> = (0..200)
            .map(|day| time("2026-03-01T02:00:00Z") + Duration::days(day))
            .map(|due_at| (fires_at(&schedule, due_at) - due_at).num_minutes())
            .collect();
        assert!(delays.iter().all(|minutes| (0..60).contains(minutes)), "{delays:?}");
        assert!(delays.iter().any(|minutes| *minutes < 10) && delays.iter().any(|minutes| *minutes > 50), "{delays:?}");
        let other = Definition { name: "other".to_owned(), ..schedule.clone() };
        let due_at = time("2026-03-01T02:00:00Z");
        assert_ne!(fires_at(&schedule, due_at), fires_at(&other, due_at));
    }

    proptest! {
        /// Whatever the pauses between looks: no moment twice, none unaccounted for, none before its time, in order.
        #[test]
        fn each_moment_fires_once_or_is_counted_once(
            policy in prop::sample::select(vec![MissedRunPolicy::One, MissedRunPolicy::All, MissedRunPolicy::None]),
            jitter_minutes in 0..300i64,
            catch_up_hours in 0..80i64,
            pauses in prop::collection::vec(1..200_000i64, 1..30),
        ) {
            let rhythm = Rhythm::parse("0 */2 * * *", "Europe/Berlin").expect("a rhythm");
            let schedule = Definition {
                rhythm,
                jitter: Duration::minutes(jitter_minutes),
                catch_up: Duration::hours(catch_up_hours),
                ..daily(policy)
            };
            let first = schedule.rhythm.next_after(time("2026-03-27T00:00:00Z")).expect("a moment");
            let (mut next, mut now, mut fired, mut missed) = (first, first, Vec::new(), 0);
            for pause in pauses {
                now += Duration::seconds(pause);
                let look = look(&schedule, next, now);
                next = look.next_due_at.expect("another moment");
                prop_assert!(look.firing.iter().all(|due_at| fires_at(&schedule, *due_at) <= now));
                fired.extend(look.firing);
                missed += look.missed_count;
            }
            prop_assert!(fired.is_sorted_by(|earlier, later| earlier < later));
            let moments = std::iter::successors(Some(first), |moment| schedule.rhythm.next_after(*moment))
                .take_while(|due_at| *due_at < next)
                .count();
            prop_assert_eq!(fired.len() + missed, moments);
        }
    }
}
