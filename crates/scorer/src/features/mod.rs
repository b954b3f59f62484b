//! The features: what a model sees of a keyword at the end of a week.
//!
//! The two tables below list them all; each family is written in a file of its own. A feature of a week reads only that week
//! and earlier ones. Values are relative to the last one and divided by the mean absolute change from week to week, so that
//! keywords of every size and temper share one model.

mod competition;
mod events;
mod growth;
mod intermittency;
mod lags;
mod lead;
mod levels;
mod market;
mod panel;
mod season;
mod volatility;

use polars::prelude::{Expr, PolarsResult, col};

pub use panel::{FeatureError, Panel, Row};

use crate::target::ModelName;

/// Version of the two tables and of how they are read.
pub const FEATURE_SET_VERSION: &str = "features_v3";

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
    /// The share of the last weeks in which nothing changed.
    StillShare,
    /// The share of the last weeks that were bridged.
    FilledShare,
    /// The largest rise from week to week within the last weeks.
    LargestRise,
    /// The largest fall from week to week within the last weeks.
    LargestFall,
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
    /// The move, over so many weeks, of the demand for the same text on another marketplace.
    Lead,
    /// A component of the competition score.
    Component,
    /// The change of a component over the last weeks.
    ComponentChange,
    /// The change, over the last weeks, of what is known of the market.
    MarketChange,
}

impl Kind {
    /// Tells whether there is one for each horizon.
    pub fn is_by_horizon(self) -> bool {
        matches!(self, Kind::SameWeek | Kind::SameMove | Kind::MoveInto | Kind::MoveOutOf)
    }

    /// Tells whether there is one for each component of the score.
    fn is_by_component(self) -> bool {
        matches!(self, Kind::Component | Kind::ComponentChange)
    }

    /// Tells whether there is one for each other marketplace or, of competition, for each thing that is known of the market.
    fn is_by_beside(self) -> bool {
        matches!(self, Kind::Lead | Kind::MarketChange)
    }

    /// Writes a feature as a polars expression over the long frame.
    ///
    /// `horizon` and `place`, that of a component or of what stands beside the values, count only where there is one for each.
    fn expression(self, size: u32, horizon: u32, place: usize) -> PolarsResult<Expr> {
        match self {
            Kind::Lag => lags::lag(size),
            Kind::Mean => levels::mean(size),
            Kind::Minimum => levels::minimum(size),
            Kind::Maximum => levels::maximum(size),
            Kind::Level => Ok(col("y")),
            Kind::Age => Ok(col("age")),
            Kind::Growth => growth::growth(size),
            Kind::YearChange => growth::year_change(size),
            Kind::YearSine => Ok(col("year_sine")),
            Kind::YearCosine => Ok(col("year_cosine")),
            Kind::TooYoung => season::too_young(size),
            Kind::SameWeek | Kind::SameMove | Kind::MoveInto | Kind::MoveOutOf => {
                season::of_target_week(self, size, horizon)
            }
            Kind::Deviation => volatility::deviation(size),
            Kind::StillShare => intermittency::still_share(size),
            Kind::FilledShare => intermittency::filled_share(size),
            Kind::LargestRise => events::largest_rise(size),
            Kind::LargestFall => events::largest_fall(size),
            Kind::Lead => lead::lead(size, place),
            Kind::Component => competition::level(place),
            Kind::ComponentChange => competition::change(size, place),
            Kind::MarketChange => market::change(size, place),
        }
    }
}

/// How a feature is brought to a common scale. What is absent counts as 0 on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Less the last value, divided by the mean absolute change, asinh.
    Relative,
    /// Divided by the mean absolute change, asinh.
    Scaled,
    /// On a scale of its own already, asinh.
    Squeezed,
    /// As it is.
    Plain,
}

const WINDOWS: &[u32] = &[4, 8, 13, 26, 52];

/// The features of demand. Those of the lead are repeated for each other marketplace.
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
    Family { kind: Kind::StillShare,  sizes: &[13, 52],                             scaling: Scaling::Plain },
    Family { kind: Kind::FilledShare, sizes: &[8],                                  scaling: Scaling::Plain },
    Family { kind: Kind::LargestRise, sizes: &[4, 26],                              scaling: Scaling::Scaled },
    Family { kind: Kind::LargestFall, sizes: &[4, 26],                              scaling: Scaling::Scaled },
    Family { kind: Kind::TooYoung,    sizes: &[52, 104],                            scaling: Scaling::Plain },
    Family { kind: Kind::SameWeek,    sizes: &[52],                                 scaling: Scaling::Relative },
    Family { kind: Kind::SameMove,    sizes: &[52, 104],                            scaling: Scaling::Scaled },
    Family { kind: Kind::YearChange,  sizes: &[1, 4, 8, 13, 26],                    scaling: Scaling::Scaled },
    Family { kind: Kind::MoveInto,    sizes: &[52],                                 scaling: Scaling::Scaled },
    Family { kind: Kind::MoveOutOf,   sizes: &[52],                                 scaling: Scaling::Scaled },
    Family { kind: Kind::Lead,        sizes: &[1, 4, 8],                            scaling: Scaling::Squeezed },
];

/// The features of competition. A component's features are repeated for each component the marketplace offers, those of the
/// market for each of [`market::NAMES`](crate::market::NAMES).
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
    Family { kind: Kind::MarketChange,    sizes: &[4, 8, 13],                   scaling: Scaling::Squeezed },
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
