//! The features: what a model sees of a keyword at the end of a week.
//!
//! The two tables below list them all. A feature of a week reads only that week and earlier ones. Values are relative
//! to the last one and divided by the mean absolute change from week to week, so that keywords of every size and
//! temper share one model.

mod competition;
mod demand;
mod panel;

pub use panel::{FeatureError, Panel, Row};

use crate::target::ModelName;

/// Version of the two tables and of how they are read.
pub const FEATURE_SET_VERSION: &str = "features_v1";

/// The number of horizons: 1 to 8 weeks after the last observed one.
pub const HORIZON_COUNT: usize = 8;

/// Features of one kind, one for each size.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What they measure.
    pub kind: Kind,
    /// Their sizes in weeks; 0 where the kind has none.
    pub sizes: &'static [u32],
    /// How they are brought to a common scale.
    pub scaling: Scaling,
}

/// What a feature measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The value so many weeks ago.
    Lag,
    /// The mean of the last weeks.
    Mean,
    /// The standard deviation of the last weeks.
    Deviation,
    /// The lowest value of the last weeks.
    Minimum,
    /// The highest value of the last weeks.
    Maximum,
    /// The mean of the last weeks less that of as many weeks before them.
    Growth,
    /// The value itself.
    Level,
    /// The logarithm of the number of weeks since the series began.
    Age,
    /// The sine of the week's place in the year.
    YearSine,
    /// The cosine of the week's place in the year.
    YearCosine,
    /// The share of the last weeks that were bridged.
    FilledShare,
    /// The value in the target's week so many weeks before, one for each horizon.
    SameWeek,
    /// The move from the same week so many weeks before to the target's week then, one for each horizon.
    SameMove,
    /// The mean, over the last weeks, of the change from the same week a year before.
    YearChange,
    /// The move into the target's week so many weeks before, from the week before it; one for each horizon.
    MoveInto,
    /// The move out of the target's week so many weeks before, to the week after it; one for each horizon.
    MoveOutOf,
    /// 1 where the history does not reach back so many weeks.
    TooYoung,
    /// A component of the competition score.
    Component,
    /// The change of a component over the last weeks.
    ComponentChange,
}

impl Kind {
    /// Tells whether there is one for each horizon.
    pub fn is_by_horizon(self) -> bool {
        matches!(self, Kind::SameWeek | Kind::SameMove | Kind::MoveInto | Kind::MoveOutOf)
    }
}

/// How a feature is brought to a common scale. What is absent counts as 0 on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Less the last value, divided by the mean absolute change, asinh.
    Relative,
    /// Divided by the mean absolute change, asinh.
    Scaled,
    /// As it is.
    Plain,
}

const WINDOWS: &[u32] = &[4, 8, 13, 26, 52];

/// The features of demand.
#[rustfmt::skip]
pub const DEMAND: &[Family] = &[
    Family { kind: Kind::Lag,         sizes: &[1, 2, 3, 4, 5, 6, 7, 8, 12, 25, 51], scaling: Scaling::Relative },
    Family { kind: Kind::Mean,        sizes: WINDOWS,                               scaling: Scaling::Relative },
    Family { kind: Kind::Deviation,   sizes: WINDOWS,                               scaling: Scaling::Scaled },
    Family { kind: Kind::Minimum,     sizes: WINDOWS,                               scaling: Scaling::Relative },
    Family { kind: Kind::Maximum,     sizes: WINDOWS,                               scaling: Scaling::Relative },
    Family { kind: Kind::Growth,      sizes: &[4, 13],                              scaling: Scaling::Scaled },
    Family { kind: Kind::Level,       sizes: &[0],                                  scaling: Scaling::Scaled },
    Family { kind: Kind::Age,         sizes: &[0],                                  scaling: Scaling::Plain },
    Family { kind: Kind::YearSine,    sizes: &[0],                                  scaling: Scaling::Plain },
    Family { kind: Kind::YearCosine,  sizes: &[0],                                  scaling: Scaling::Plain },
    Family { kind: Kind::FilledShare, sizes: &[8],                                  scaling: Scaling::Plain },
    Family { kind: Kind::TooYoung,    sizes: &[52, 104],                            scaling: Scaling::Plain },
    Family { kind: Kind::SameWeek,    sizes: &[52],                                 scaling: Scaling::Relative },
    Family { kind: Kind::SameMove,    sizes: &[52, 104],                            scaling: Scaling::Scaled },
    Family { kind: Kind::YearChange,  sizes: &[1, 4, 8, 13, 26],                    scaling: Scaling::Scaled },
    Family { kind: Kind::MoveInto,    sizes: &[52],                                 scaling: Scaling::Scaled },
    Family { kind: Kind::MoveOutOf,   sizes: &[52],                                 scaling: Scaling::Scaled },
];

/// The features of competition. A component's features are repeated for each component the marketplace offers.
#[rustfmt::skip]
pub const COMPETITION: &[Family] = &[
    Family { kind: Kind::Lag,             sizes: &[1, 2, 3, 4, 5, 6, 7, 8, 12], scaling: Scaling::Relative },
    Family { kind: Kind::Mean,            sizes: &[4, 8, 13, 26],               scaling: Scaling::Relative },
    Family { kind: Kind::Deviation,       sizes: &[4, 13],                      scaling: Scaling::Scaled },
    Family { kind: Kind::Level,           sizes: &[0],                          scaling: Scaling::Plain },
    Family { kind: Kind::Age,             sizes: &[0],                          scaling: Scaling::Plain },
    Family { kind: Kind::FilledShare,     sizes: &[8],                          scaling: Scaling::Plain },
    Family { kind: Kind::Component,       sizes: &[0],                          scaling: Scaling::Plain },
    Family { kind: Kind::ComponentChange, sizes: &[4, 8, 13],                   scaling: Scaling::Plain },
];

/// Returns the table of a model.
pub fn families(model_name: ModelName) -> &'static [Family] {
    match model_name {
        ModelName::Demand => DEMAND,
        ModelName::Competition => COMPETITION,
    }
}

#[cfg(test)]
mod tests;
