//! What the three servers have in common: limits, faults and latency around every answer.
//!
//! A request goes through the same steps everywhere: it takes from the limits of its scope, and one over a limit
//! gets the honest 429; then it may meet a fault; then its credentials are looked at; then it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tracing::debug;

use crate::clock::Clock;
use crate::config::{Marketplace, SandboxConfig};
use crate::exchange::{Answer, Incoming};
use crate::faults::{Fault, Faults};
use crate::limits::{self, LimitError, LimitStatistics, Limits, Standing, Verdict};
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::shops::Shops;
use crate::tokens::Tokens;
use crate::windows::LimitWindow;
use crate::world::World;
use crate::{amazon, control, ebay, etsy, trouble};

/// Everything the servers share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    limits: Mutex<Limits>,
    pub(crate) amazon_tokens: Tokens,
    pub(crate) ebay_tokens: Tokens,
    pub(crate) reports: Reports,
    pub(crate) shops: Shops,
    pub(crate) insights_granted: bool,
    pub(crate) report_document_bytes: Option<u64>,
    latency: Duration,
    /// Base addresses in the order of [`Marketplace::ALL`], known once the ports are bound.
    pub(crate) base_urls: OnceLock<[String; 3]>,
}

impl Shared {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, LimitError> {
        let clock = Clock::new(config.now);
        let mut limits = Limits::new(config.limit_factor, clock.now());
        let now = limits.moment(clock.now());
        limits.set(&config.limits, now)?;
        Ok(Self {
            world: World::new(config.seed, config.entrants_per_week),
            clock,
            faults: Faults::new(config.seed),
            recorder: Recorder::new(config.keep_requests),
            limits: Mutex::new(limits),
            amazon_tokens: Tokens::new("Atza|", config.token_lifetime),
            ebay_tokens: Tokens::new("v^1.1#i^1#", config.token_lifetime * 2),
            reports: Reports::default(),
            shops: Shops::default(),
            insights_granted: config.insights_granted,
            report_document_bytes: config.report_document_bytes,
            latency: config.latency,
            base_urls: OnceLock::new(),
        })
    }

    pub(crate) fn base_url(&self, marketplace: Marketplace) -> &str {
        self.base_urls.get().map_or("", |urls| urls[marketplace as usize].as_str())
    }

    /// Reads what the limits of a scope have left.
    pub(crate) fn standings(&self, scope: &str) -> Vec<Standing> {
        let mut limits = self.limits.lock().expect("no holder panics");
        let now = limits.moment(self.clock.now());
        limits.standings(scope, now)
    }

    pub(crate) fn set_limits(&self, windows: &BTreeMap<String, Vec<LimitWindow>>) -> Result<(), LimitError> {
        let mut limits = self.limits.lock().expect("no holder panics");
        let now = limits.moment(self.clock.now());
        limits.set(windows, now)
    }

    pub(crate) fn limit_statistics(&self) -> BTreeMap<String, LimitStatistics> {
        self.limits.lock().expect("no holder panics").statistics()
    }

    pub(crate) fn forget_statistics(&self) {
        self.limits.lock().expect("no holder panics").forget_statistics();
    }

    pub(crate) fn expire_tokens(&self) {
        self.amazon_tokens.expire();
        self.ebay_tokens.expire();
    }

    pub(crate) fn tokens_minted(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        self.amazon_tokens.add_counts(&mut counts);
        self.ebay_tokens.add_counts(&mut counts);
        counts
    }

    /// Asks the limits for one request; the clocks are read while nobody else can ask.
    fn take(&self, marketplace: Marketplace, operation: &str, region: &str) -> Verdict {
        let mut limits = self.limits.lock().expect("no holder panics");
        let now = limits.moment(self.clock.now());
        limits.take(&limits::scope(marketplace, operation), region, now)
    }
}

/// Builds the server of one marketplace.
pub(crate) fn router(shared: Arc<Shared>, marketplace: Marketplace) -> Router {
    Router::new().fallback(handle).with_state(Site { shared, marketplace })
}

/// One of the servers.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) marketplace: Marketplace,
}

async fn handle(State(site): State<Site>, request: Request) -> Response {
    let incoming = Incoming::read(request).await;
    if incoming.path.starts_with("/__sandbox/") {
        return control::answer(&site.shared, &incoming).into_response();
    }
    let Some(operation) = operation(site.marketplace, &incoming) else {
        return not_found(site.marketplace).into_response();
    };

    let region = match site.marketplace {
        Marketplace::Amazon => amazon::region(&site.shared, &incoming),
        Marketplace::Etsy | Marketplace::Ebay => "",
    };
    let verdict = site.shared.take(site.marketplace, operation, region);
    let (answer, fault) = match verdict.refused_by {
        Some(window) => (over_limit(&site, operation, &window, &verdict.standings), None),
        None => {
            let fault = site.shared.faults.take(site.marketplace, operation, keyword(site.marketplace, &incoming));
            (answer_with(fault.as_ref(), &site, operation, incoming.clone(), &verdict.standings), fault)
        }
    };
    let wait = match fault {
        Some(Fault::Slow(wait)) => wait + site.shared.latency,
        _ => site.shared.latency,
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    debug!(marketplace = site.marketplace.as_str(), operation, status = answer.status, "answered {operation}");
    site.shared.recorder.record(site.marketplace, operation, &incoming, &answer);
    match fault {
        Some(Fault::TruncatedBody) => answer.into_truncated_response(),
        Some(Fault::ConnectionClosed) => Answer::into_closed_connection(),
        _ => answer.into_response(),
    }
}

fn operation(marketplace: Marketplace, incoming: &Incoming) -> Option<&'static str> {
    match marketplace {
        Marketplace::Amazon => amazon::operation(incoming),
        Marketplace::Etsy => etsy::operation(incoming),
        Marketplace::Ebay => ebay::operation(incoming),
    }
}

fn keyword(marketplace: Marketplace, incoming: &Incoming) -> Option<&str> {
    incoming.parameter(match marketplace {
        Marketplace::Amazon | Marketplace::Etsy => "keywords",
        Marketplace::Ebay => "q",
    })
}

fn over_limit(site: &Site, operation: &str, window: &LimitWindow, standings: &[Standing]) -> Answer {
    match site.marketplace {
        Marketplace::Amazon => amazon::over_limit(operation),
        Marketplace::Etsy => etsy::over_limit(window, standings),
        Marketplace::Ebay => ebay::too_many_requests(),
    }
}

/// Answers a request that is within the limits, as its fault wants it.
fn answer_with(
    fault: Option<&Fault>,
    site: &Site,
    operation: &str,
    mut incoming: Incoming,
    standings: &[Standing],
) -> Answer {
    if let Some(answer) = fault.and_then(|fault| trouble::instead(fault, site, operation, &mut incoming)) {
        return answer;
    }
    let answer = match site.marketplace {
        Marketplace::Amazon => amazon::answer(&site.shared, operation, &incoming, standings),
        Marketplace::Etsy => etsy::answer(&site.shared, operation, &incoming, standings),
        Marketplace::Ebay => ebay::answer(&site.shared, operation, &incoming),
    };
    match fault {
        Some(fault) => trouble::spoiled(fault, answer),
        None => answer,
    }
}

fn not_found(marketplace: Marketplace) -> Answer {
    match marketplace {
        Marketplace::Amazon => amazon::error(404, "NotFound", "The requested resource doesn't exist."),
        Marketplace::Etsy => etsy::error(404, "Resource not found"),
        Marketplace::Ebay => ebay::error(404, 2002, "Resource not found"),
    }
}
