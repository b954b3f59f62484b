//! The settings: one table of names, defaults and sentences, read from the environment or a file.
//!
//! Every setting may also be given as `NAME_FILE`, the path of a file that holds the value; so secrets need not stand in
//! the environment. `deploy/env.example` lists the same settings in the same order, and a test compares the two.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use digitallz_collector::config::{
    AmazonConfig, BreakerConfig, CollectorConfig, EbayConfig, EtsyConfig, HttpConfig, Limits,
};
use digitallz_common::marketplace::{Marketplace, Resource};
use digitallz_common::queue::QueueConfig;
use digitallz_common::raw_payload::stores::{
    self, AddressError, BodyStoreConfig, BodyStoreError, BodyStores, StoreAddress,
};
use digitallz_common::secret::Secret;
use digitallz_processor::publish::PublishConfig;

/// A setting as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Value when none is given; empty means none.
    pub default: &'static str,
    /// True when the value must never be shown.
    pub is_secret: bool,
    /// What it does.
    pub help: &'static str,
}

const fn plain(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, is_secret: false, help }
}

const fn secret(name: &'static str, help: &'static str) -> Setting {
    Setting { name, default: "", is_secret: true, help }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    secret("DATABASE_URL", "Postgres to use; without it a private one is started in the data directory."),
    plain("DIGITALLZ_AMAZON_BASE_URL", "", "Address of the Selling Partner API; by default the region of each market."),
    plain(
        "DIGITALLZ_AMAZON_TOKEN_URL",
        "https://api.amazon.com/auth/o2/token",
        "Address that grants Amazon access tokens.",
    ),
    secret("DIGITALLZ_AMAZON_CLIENT_ID", "Client identifier of the Amazon application."),
    secret("DIGITALLZ_AMAZON_CLIENT_SECRET", "Client secret of the Amazon application."),
    secret("DIGITALLZ_AMAZON_REFRESH_TOKEN", "Refresh token of the selling partner."),
    plain(
        "DIGITALLZ_AMAZON_LIMITS",
        "",
        "Limits that replace the contract's: scope=window, comma separated; see Limits in ARCHITECTURE.md.",
    ),
    plain(
        "DIGITALLZ_AMAZON_REPORT_POLL_SECONDS",
        "60",
        "Seconds between two looks at a report that is being made; more, up to thirty times as many, when it takes long.",
    ),
    plain(
        "DIGITALLZ_AMAZON_ASINS",
        "",
        "Own listings for search_query_report and keyword_bids: at most 18 ASINs, separated by commas or spaces.",
    ),
    plain(
        "DIGITALLZ_AMAZON_ADS_BASE_URL",
        "",
        "Address of Amazon Ads, for keyword_bids; by default the region of each market.",
    ),
    secret("DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN", "Refresh token of the advertiser, for keyword_bids."),
    plain("DIGITALLZ_AMAZON_ADS_PROFILE_ID", "", "Profile of the advertiser in the market, for keyword_bids."),
    plain(
        "DIGITALLZ_AMAZON_RESOURCES",
        "catalog_search,search_terms_report",
        "What Amazon is asked for, of catalog_search, competitive_pricing, search_terms_report, search_query_report, keyword_bids.",
    ),
    plain("DIGITALLZ_AMAZON_PAGES", "1", "Pages per keyword; Amazon often keeps all but the first back."),
    plain("DIGITALLZ_ETSY_BASE_URL", "https://openapi.etsy.com", "Address of the Etsy Open API."),
    secret("DIGITALLZ_ETSY_KEYSTRING", "Keystring of the Etsy application."),
    secret("DIGITALLZ_ETSY_SHARED_SECRET", "Shared secret of the Etsy application."),
    plain("DIGITALLZ_ETSY_LIMITS", "", "As DIGITALLZ_AMAZON_LIMITS."),
    plain(
        "DIGITALLZ_ETSY_RESOURCES",
        "listing_search,listing_batch",
        "What Etsy is asked for, of listing_search, listing_batch, shop, listing_reviews.",
    ),
    plain("DIGITALLZ_ETSY_PAGES", "1", "Pages per keyword."),
    plain("DIGITALLZ_ETSY_DETAILS", "3", "Listings per keyword whose shop and listing_reviews are asked for."),
    plain("DIGITALLZ_EBAY_BASE_URL", "https://api.ebay.com", "Address of the eBay APIs."),
    secret("DIGITALLZ_EBAY_CLIENT_ID", "Client identifier of the eBay application."),
    secret("DIGITALLZ_EBAY_CLIENT_SECRET", "Client secret of the eBay application."),
    plain("DIGITALLZ_EBAY_LIMITS", "", "As DIGITALLZ_AMAZON_LIMITS."),
    secret("DIGITALLZ_EBAY_USER_REFRESH_TOKEN", "Refresh token of the user with campaigns, for suggested_bids."),
    plain("DIGITALLZ_EBAY_CAMPAIGN_ID", "", "Campaign of that user, for suggested_bids."),
    plain("DIGITALLZ_EBAY_AD_GROUP_ID", "", "Ad group of that campaign, for suggested_bids."),
    plain(
        "DIGITALLZ_EBAY_RESOURCES",
        "item_search,item_details",
        "What eBay is asked for, of item_search, item_details, category_suggestions, item_sales, suggested_bids.",
    ),
    plain("DIGITALLZ_EBAY_PAGES", "1", "Pages per keyword."),
    plain("DIGITALLZ_EBAY_DETAILS", "20", "Items per keyword whose item_details are asked for, twenty in a request."),
    plain(
        "DIGITALLZ_CRAWL_CRON",
        "0 0 2 * * *",
        "When markets with keywords are crawled: seconds, minutes, hours, day of month, month, day of week.",
    ),
    plain("DIGITALLZ_TRAIN_CRON", "0 0 5 * * MON", "When models are trained."),
    plain("DIGITALLZ_SCORE_CRON", "0 30 5 * * *", "When predictions are made."),
    plain("DIGITALLZ_PURGE_CRON", "0 15 * * * *", "When what was kept for as long as its terms allow is deleted."),
    plain("DIGITALLZ_TIME_ZONE", "UTC", "Time zone of these schedules, an IANA name."),
    plain("DIGITALLZ_COLLECT_CONCURRENCY", "4", "Questions open at a time per marketplace."),
    plain("DIGITALLZ_PROCESS_CONCURRENCY", "16", "Answers read at a time; what they say is written together."),
    plain(
        "DIGITALLZ_PUBLISH_ANSWERED_SHARE_MIN",
        "0.8",
        "Least share of its questions that must be answered for a crawl run to be published by itself.",
    ),
    plain("DIGITALLZ_PUBLISH_BLOCKED_SHARE_MAX", "0.1", "Largest share of its answers that may be a block."),
    plain(
        "DIGITALLZ_PUBLISH_QUARANTINED_SHARE_MAX",
        "0.1",
        "Largest share of its answers, or of their rows, that could not be read.",
    ),
    plain(
        "DIGITALLZ_PUBLISH_ROW_SHARE_MIN",
        "0.5",
        "Least rows that an answer brought, as a share of what was usual in the last crawl runs.",
    ),
    plain(
        "DIGITALLZ_SPOOL_DIR",
        "",
        "Directory for report documents while they are received, on a disk; by default that for temporary files.",
    ),
    plain("DIGITALLZ_DOCUMENT_BYTES_MAX", "8589934592", "Largest report document that is accepted, in bytes as sent."),
    plain(
        "DIGITALLZ_RAW_STORE",
        "postgres",
        "Where bodies of answers and files go: postgres, file:///directory, s3://bucket/prefix, az://container/prefix or gs://bucket/prefix.",
    ),
    plain(
        "DIGITALLZ_RAW_STORE_EARLIER",
        "",
        "Object stores that were set before and still hold bodies, comma separated: these are read and deleted where they lie.",
    ),
    plain(
        "DIGITALLZ_CANARY_KEYWORD",
        "phone case",
        "Keyword that has results in every market: it tells a marketplace that shows nothing from a keyword without results.",
    ),
    plain("DIGITALLZ_BREAKER_FAILURES", "10", "Failures of a source in a row after which nobody asks it for a while."),
    plain(
        "DIGITALLZ_BREAKER_SECONDS",
        "60",
        "For how long, the first time; doubled with each further time, an hour at most.",
    ),
    plain(
        "DIGITALLZ_HEARTBEAT_SECONDS",
        "5",
        "How often a worker says that it lives; after three silences its jobs are taken back.",
    ),
    plain("DIGITALLZ_RETRY_BASE_SECONDS", "2", "Delay before a second try; it doubles with each further one."),
    plain(
        "DIGITALLZ_DRAIN_SECONDS",
        "25",
        "How long running jobs may go on after SIGTERM; then they go back to the queue.",
    ),
    plain(
        "DIGITALLZ_JOB_RETENTION_DAYS",
        "90",
        "How long the history of jobs that ended is kept; dead letters are kept until they are resolved.",
    ),
];

/// Secrets without which a marketplace can still be asked for most of what it offers.
const OPTIONAL_SECRETS: [&str; 2] = ["DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN", "DIGITALLZ_EBAY_USER_REFRESH_TOKEN"];

/// Values of the settings, from the environment and at most one file.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, Value>,
    /// What object stores read by their own names.
    store_variables: BTreeMap<String, Secret>,
}

#[derive(Clone, Debug)]
struct Value {
    text: Secret,
    origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table's default.
    Default,
    /// An environment variable.
    Environment,
    /// A file named by `NAME_FILE`.
    SecretFile,
    /// The file of `--env-file`, or settings handed over by the demo.
    EnvFile,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Origin::Default => "default",
            Origin::Environment => "environment",
            Origin::SecretFile => "secret file",
            Origin::EnvFile => "env file",
        })
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is not of the form it must have.
    #[error("{name} is malformed: {problem}")]
    Malformed {
        /// The setting.
        name: &'static str,
        /// What is wrong with it, without the value when that is secret.
        problem: String,
    },
    /// A file of settings or of one secret cannot be read.
    #[error("failed to read {path}, named by {named_by}")]
    File {
        /// The file.
        path: String,
        /// What named it.
        named_by: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The object stores cannot be used as they are set.
    #[error(transparent)]
    BodyStore(BodyStoreError),
    /// A line of a file of settings is not `NAME=value`.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl Environment {
    /// Reads the process's environment, and the file of `--env-file` over it.
    pub fn read(env_file: Option<&Path>) -> Result<Environment, SettingsError> {
        let mut environment = Environment::default();
        for setting in SETTINGS {
            if let Ok(text) = std::env::var(setting.name) {
                environment.insert(setting, text, Origin::Environment);
            }
            let file_variable = format!("{}_FILE", setting.name);
            if let Ok(path) = std::env::var(&file_variable) {
                let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::File {
                    path,
                    named_by: file_variable,
                    source,
                })?;
                environment.insert(setting, text.trim_end().to_owned(), Origin::SecretFile);
            }
        }
        let variables =
            std::env::vars_os().filter_map(|(name, text)| name.into_string().ok().zip(text.into_string().ok()));
        let variables = variables.filter(|(name, _)| stores::is_store_variable(name));
        environment.store_variables = variables.map(|(name, text)| (name, Secret::new(text))).collect();
        if let Some(path) = env_file {
            environment.read_file(path)?;
        }
        Ok(environment)
    }

    /// Takes settings over those already there.
    pub fn with(mut self, settings: impl IntoIterator<Item = (&'static str, String)>) -> Environment {
        for (name, text) in settings {
            if let Some(setting) = find(name) {
                self.insert(setting, text, Origin::EnvFile);
            } else if stores::is_store_variable(name) {
                self.store_variables.insert(name.to_owned(), Secret::new(text));
            }
        }
        self
    }

    /// Returns the settings that were given, secrets and variables of object stores included, for handing on.
    pub fn given(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let variables = self.store_variables.iter().map(|(name, value)| (name.as_str(), value));
        self.values.iter().map(|(name, value)| (*name, &value.text)).chain(variables)
    }

    /// Returns the Postgres that the user named, if one was.
    pub fn database_url(&self) -> Option<Secret> {
        self.get("DATABASE_URL")
    }

    /// Returns what the collectors need. Credentials that are not given stay empty: the jobs of that marketplace are given
    /// up with the names of the missing settings, and the others work.
    pub fn collector(&self) -> Result<CollectorConfig, SettingsError> {
        let secret = |name| self.get(name).unwrap_or_else(|| Secret::new(""));
        let mut amazon = AmazonConfig::new(
            secret("DIGITALLZ_AMAZON_CLIENT_ID"),
            secret("DIGITALLZ_AMAZON_CLIENT_SECRET"),
            secret("DIGITALLZ_AMAZON_REFRESH_TOKEN"),
        );
        if self.get("DIGITALLZ_AMAZON_BASE_URL").is_some() {
            amazon.base_url = Some(self.parse("DIGITALLZ_AMAZON_BASE_URL")?);
        }
        amazon.token_url = self.parse("DIGITALLZ_AMAZON_TOKEN_URL")?;
        amazon.report_poll_delay = self.seconds("DIGITALLZ_AMAZON_REPORT_POLL_SECONDS")?;
        self.limits("DIGITALLZ_AMAZON_LIMITS", &mut amazon.limits)?;
        amazon.asins = self.parse("DIGITALLZ_AMAZON_ASINS")?;
        if self.get("DIGITALLZ_AMAZON_ADS_BASE_URL").is_some() {
            amazon.ads_base_url = Some(self.parse("DIGITALLZ_AMAZON_ADS_BASE_URL")?);
        }
        amazon.ads_refresh_token = secret("DIGITALLZ_AMAZON_ADS_REFRESH_TOKEN");
        amazon.ads_profile_id = self.text("DIGITALLZ_AMAZON_ADS_PROFILE_ID");
        amazon.pages = self.pages("DIGITALLZ_AMAZON_PAGES")?;

        let mut etsy = EtsyConfig::new(secret("DIGITALLZ_ETSY_KEYSTRING"), secret("DIGITALLZ_ETSY_SHARED_SECRET"));
        etsy.base_url = self.parse("DIGITALLZ_ETSY_BASE_URL")?;
        self.limits("DIGITALLZ_ETSY_LIMITS", &mut etsy.limits)?;
        etsy.pages = self.pages("DIGITALLZ_ETSY_PAGES")?;
        etsy.details = self.parse("DIGITALLZ_ETSY_DETAILS")?;

        let mut ebay = EbayConfig::new(secret("DIGITALLZ_EBAY_CLIENT_ID"), secret("DIGITALLZ_EBAY_CLIENT_SECRET"));
        ebay.base_url = self.parse("DIGITALLZ_EBAY_BASE_URL")?;
        self.limits("DIGITALLZ_EBAY_LIMITS", &mut ebay.limits)?;
        ebay.user_refresh_token = secret("DIGITALLZ_EBAY_USER_REFRESH_TOKEN");
        ebay.campaign_id = self.text("DIGITALLZ_EBAY_CAMPAIGN_ID");
        ebay.ad_group_id = self.text("DIGITALLZ_EBAY_AD_GROUP_ID");
        ebay.pages = self.pages("DIGITALLZ_EBAY_PAGES")?;
        ebay.details = self.parse("DIGITALLZ_EBAY_DETAILS")?;

        let http = HttpConfig {
            max_document_bytes: self.parse("DIGITALLZ_DOCUMENT_BYTES_MAX")?,
            spool_dir: self.get("DIGITALLZ_SPOOL_DIR").map(|directory| PathBuf::from(directory.expose())),
            ..HttpConfig::default()
        };
        let mut resources = BTreeMap::new();
        for (marketplace, name) in [
            (Marketplace::Amazon, "DIGITALLZ_AMAZON_RESOURCES"),
            (Marketplace::Etsy, "DIGITALLZ_ETSY_RESOURCES"),
            (Marketplace::Ebay, "DIGITALLZ_EBAY_RESOURCES"),
        ] {
            resources.insert(marketplace, self.resources(name, marketplace)?);
        }
        Ok(CollectorConfig {
            amazon: Some(amazon),
            etsy: Some(etsy),
            ebay: Some(ebay),
            http,
            breaker: BreakerConfig {
                failures: self.parse("DIGITALLZ_BREAKER_FAILURES")?,
                open_for: self.seconds("DIGITALLZ_BREAKER_SECONDS")?,
            },
            canary: Some(self.text("DIGITALLZ_CANARY_KEYWORD")),
            resources,
        })
    }

    /// Tells which settings a marketplace still needs before it can be asked.
    pub fn missing_credentials(&self, marketplace: Marketplace) -> Vec<&'static str> {
        let prefix = format!("DIGITALLZ_{}_", marketplace.name().to_uppercase());
        SETTINGS
            .iter()
            .filter(|setting| !OPTIONAL_SECRETS.contains(&setting.name))
            .filter(|setting| {
                setting.is_secret && setting.name.starts_with(&prefix) && self.get(setting.name).is_none()
            })
            .map(|setting| setting.name)
            .collect()
    }

    /// Returns how the queue behaves.
    pub fn queue(&self) -> Result<QueueConfig, SettingsError> {
        Ok(QueueConfig {
            heartbeat: self.seconds("DIGITALLZ_HEARTBEAT_SECONDS")?.max(Duration::from_secs(1)),
            retry_base: self.seconds("DIGITALLZ_RETRY_BASE_SECONDS")?,
            drain: self.seconds("DIGITALLZ_DRAIN_SECONDS")?,
            ..QueueConfig::default()
        })
    }

    /// Returns the object stores, of which there is none where bodies lie in Postgres.
    pub fn body_stores(&self) -> Result<BodyStores, SettingsError> {
        let address = |name, text: &str| {
            let malformed = |problem: AddressError| SettingsError::Malformed { name, problem: problem.to_string() };
            text.parse::<StoreAddress>().map_err(malformed)
        };
        let name = "DIGITALLZ_RAW_STORE";
        let current = match self.text(name).trim() {
            "postgres" => None,
            text => Some(address(name, text)?),
        };
        let name = "DIGITALLZ_RAW_STORE_EARLIER";
        let earlier = self.text(name);
        let earlier = earlier.split(',').map(str::trim).filter(|text| !text.is_empty());
        let earlier = earlier.map(|text| address(name, text)).collect::<Result<Vec<_>, _>>()?;
        let config = BodyStoreConfig { current, earlier, variables: self.store_variables.clone() };
        BodyStores::new(&config).map_err(SettingsError::BodyStore)
    }

    /// Returns how long the history of jobs that ended is kept.
    pub fn job_retention(&self) -> Result<Duration, SettingsError> {
        let name = "DIGITALLZ_JOB_RETENTION_DAYS";
        let days: u16 = self.parse(name)?;
        if days == 0 {
            return Err(SettingsError::Malformed { name, problem: "at least 1".to_owned() });
        }
        Ok(Duration::from_secs(u64::from(days) * 86_400))
    }

    /// Returns how many questions are open at a time per marketplace.
    pub fn collect_concurrency(&self) -> Result<usize, SettingsError> {
        self.parse("DIGITALLZ_COLLECT_CONCURRENCY")
    }

    /// Returns how many answers are read at a time.
    pub fn process_concurrency(&self) -> Result<usize, SettingsError> {
        self.parse("DIGITALLZ_PROCESS_CONCURRENCY")
    }

    /// Returns how much may be wrong with a crawl run that is published by itself.
    pub fn publish(&self) -> Result<PublishConfig, SettingsError> {
        Ok(PublishConfig {
            answered_share_min: self.parse("DIGITALLZ_PUBLISH_ANSWERED_SHARE_MIN")?,
            blocked_share_max: self.parse("DIGITALLZ_PUBLISH_BLOCKED_SHARE_MAX")?,
            quarantined_share_max: self.parse("DIGITALLZ_PUBLISH_QUARANTINED_SHARE_MAX")?,
            row_share_min: self.parse("DIGITALLZ_PUBLISH_ROW_SHARE_MIN")?,
        })
    }

    /// Returns a cron expression.
    pub fn cron(&self, name: &'static str) -> Result<cron::Schedule, SettingsError> {
        cron::Schedule::from_str(&self.text(name))
            .map_err(|problem| SettingsError::Malformed { name, problem: problem.to_string() })
    }

    /// Returns the time zone of the schedules.
    pub fn time_zone(&self) -> Result<chrono_tz::Tz, SettingsError> {
        let name = "DIGITALLZ_TIME_ZONE";
        self.text(name).parse().map_err(|_| SettingsError::Malformed {
            name,
            problem: format!("'{}' is no IANA time zone, such as Europe/Berlin", self.text(name)),
        })
    }

    /// Reads every setting, so that what is wrong is known before anything starts.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.collector()?;
        self.body_stores()?;
        self.queue()?;
        self.job_retention()?;
        self.collect_concurrency()?;
        self.process_concurrency()?;
        self.publish()?;
        for name in ["DIGITALLZ_CRAWL_CRON", "DIGITALLZ_TRAIN_CRON", "DIGITALLZ_SCORE_CRON", "DIGITALLZ_PURGE_CRON"] {
            self.cron(name)?;
        }
        self.time_zone()?;
        Ok(())
    }

    /// Returns every setting with the value to show and where it came from; secrets show only that they are set.
    pub fn describe(&self) -> Vec<(Setting, Option<String>, Origin)> {
        SETTINGS
            .iter()
            .map(|setting| {
                let value = self.get(setting.name);
                let shown =
                    value.map(|text| if setting.is_secret { text.to_string() } else { text.expose().to_owned() });
                let origin = self.values.get(setting.name).map_or(Origin::Default, |value| value.origin.clone());
                (*setting, shown, origin)
            })
            .collect()
    }

    fn insert(&mut self, setting: &Setting, text: String, origin: Origin) {
        if !text.is_empty() {
            self.values.insert(setting.name, Value { text: Secret::new(text), origin });
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
            path: shown.clone(),
            named_by: "--env-file".to_owned(),
            source,
        })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches("export ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = |problem: String| SettingsError::Line { path: shown.clone(), line: index + 1, problem };
            let (name, value) = line.split_once('=').ok_or_else(|| problem("expected NAME=value".to_owned()))?;
            let value = value.trim().trim_matches(|quote| quote == '"' || quote == '\'');
            if stores::is_store_variable(name.trim()) {
                self.store_variables.insert(name.trim().to_owned(), Secret::new(value));
                continue;
            }
            let setting = find(name.trim()).ok_or_else(|| {
                problem(format!("unknown setting '{}'; `digitallz config check` lists all", name.trim()))
            })?;
            self.insert(setting, value.to_owned(), Origin::EnvFile);
        }
        Ok(())
    }

    /// Returns the value or the default; nothing when both are empty.
    fn get(&self, name: &'static str) -> Option<Secret> {
        let default = find(name).map(|setting| setting.default).filter(|default| !default.is_empty());
        self.values.get(name).map(|value| value.text.clone()).or_else(|| default.map(Secret::new))
    }

    fn text(&self, name: &'static str) -> String {
        self.get(name).map(|value| value.expose().to_owned()).unwrap_or_default()
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<T, SettingsError> {
        let text = self.text(name);
        text.parse().map_err(|problem| SettingsError::Malformed { name, problem: format!("'{text}': {problem}") })
    }

    fn seconds(&self, name: &'static str) -> Result<Duration, SettingsError> {
        let seconds: f64 = self.parse(name)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|problem| SettingsError::Malformed { name, problem: format!("'{seconds}': {problem}") })
    }

    fn pages(&self, name: &'static str) -> Result<u32, SettingsError> {
        let pages: std::num::NonZeroU32 = self.parse(name)?;
        Ok(pages.get())
    }

    /// Reads a list of kinds of data; each is of the marketplace, and what follows from another comes with it.
    fn resources(&self, name: &'static str, marketplace: Marketplace) -> Result<Vec<Resource>, SettingsError> {
        let malformed = |problem: String| SettingsError::Malformed { name, problem };
        let mut resources = Vec::new();
        for part in self.text(name).split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let resource = part.parse().ok().filter(|resource: &Resource| resource.marketplace() == Some(marketplace));
            let resource = resource.ok_or_else(|| {
                let offered: Vec<&str> = marketplace.resources().map(Resource::name).collect();
                malformed(format!("{marketplace} does not offer '{part}', but {}", offered.join(", ")))
            })?;
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        for resource in &resources {
            if let Some(first) = resource.follows().filter(|first| !resources.contains(first)) {
                return Err(malformed(format!("{resource} follows from {first}, which is not in the list")));
            }
        }
        Ok(resources)
    }

    fn limits(&self, name: &'static str, limits: &mut Limits) -> Result<(), SettingsError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(());
        }
        *limits = limits
            .clone()
            .overridden_by(&text)
            .map_err(|problem| SettingsError::Malformed { name, problem: problem.to_string() })?;
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_lists_every_setting_in_order() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/env.example");
        let example = std::fs::read_to_string(path).expect("deploy/env.example");
        let mut expected = String::new();
        for setting in SETTINGS {
            expected.push_str(&format!("\n# {}\n#{}={}\n", setting.help, setting.name, setting.default));
        }
        assert!(example.ends_with(&expected), "deploy/env.example must end with:\n{expected}");
    }

    #[test]
    fn secrets_are_never_shown() {
        let environment = Environment::default().with([("DIGITALLZ_EBAY_CLIENT_SECRET", "hunter2".to_owned())]);
        assert!(!format!("{environment:?}{:?}", environment.describe()).contains("hunter2"));
    }

    #[test]
    fn a_malformed_value_names_its_setting() {
        let environment = Environment::default().with([("DIGITALLZ_COLLECT_CONCURRENCY", "many".to_owned())]);
        let message = environment.check().expect_err("not a number").to_string();
        assert!(message.starts_with("DIGITALLZ_COLLECT_CONCURRENCY is malformed: 'many'"), "{message}");
    }

    #[test]
    fn the_default_resources_are_those_of_the_contract() {
        let config = Environment::default().collector().unwrap();
        for marketplace in Marketplace::ALL {
            assert_eq!(config.resources[&marketplace], marketplace.default_resources());
            let name = format!("DIGITALLZ_{}_RESOURCES", marketplace.name().to_uppercase());
            let help = find(&name).unwrap().help;
            assert!(marketplace.resources().all(|resource| help.contains(resource.name())), "{help}");
        }
    }

    #[test]
    fn resources_are_of_the_marketplace_and_complete() {
        let read = |text: &str| {
            let environment = Environment::default().with([("DIGITALLZ_ETSY_RESOURCES", text.to_owned())]);
            environment.collector().map(|config| config.resources[&Marketplace::Etsy].clone())
        };
        assert_eq!(read("listing_search, shop,shop").unwrap(), [Resource::ListingSearch, Resource::Shop]);
        for (text, named) in [
            ("listing_search,shops", "does not offer 'shops', but listing_search, listing_batch, shop"),
            ("item_search", "etsy does not offer 'item_search'"),
            ("shop", "shop follows from listing_search, which is not in the list"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("DIGITALLZ_ETSY_RESOURCES is malformed") && error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_only_some_resources_need_is_no_missing_credential() {
        let environment = Environment::default()
            .with([("DIGITALLZ_EBAY_CLIENT_ID", "i".to_owned()), ("DIGITALLZ_EBAY_CLIENT_SECRET", "s".to_owned())]);
        assert!(environment.missing_credentials(Marketplace::Ebay).is_empty());
        let amazon = environment.missing_credentials(Marketplace::Amazon);
        assert_eq!(
            amazon,
            ["DIGITALLZ_AMAZON_CLIENT_ID", "DIGITALLZ_AMAZON_CLIENT_SECRET", "DIGITALLZ_AMAZON_REFRESH_TOKEN"]
        );
        assert!(OPTIONAL_SECRETS.iter().all(|name| find(name).is_some_and(|setting| setting.is_secret)));
    }

    #[test]
    fn object_stores_are_given_access_by_variables_of_their_own() {
        let path = std::env::temp_dir().join(format!("digitallz-settings-{}.env", std::process::id()));
        let read = |lines: &str| {
            std::fs::write(&path, lines).unwrap();
            let mut environment = Environment::default();
            let read = environment.read_file(&path).map(|()| environment);
            std::fs::remove_file(&path).unwrap();
            read
        };
        let environment =
            read("DIGITALLZ_RAW_STORE=s3://bucket/raw\nAWS_SECRET_ACCESS_KEY=hunter2hunter2\nAWS_ACCESS_KEY_ID='id'\n")
                .unwrap();
        assert_eq!(environment.body_stores().unwrap().current().unwrap().to_string(), "s3://bucket/raw");
        assert!(!format!("{environment:?}").contains("hunter2"));
        assert_eq!(environment.given().find(|(name, _)| *name == "AWS_ACCESS_KEY_ID").unwrap().1.expose(), "id");
        let error = read("AWS_SECRET_KEY=hunter2\n").unwrap_err().to_string();
        assert!(error.contains("unknown setting 'AWS_SECRET_KEY'"), "{error}");
        assert!(Environment::default().body_stores().unwrap().current().is_none());
        for (name, value) in [
            ("DIGITALLZ_RAW_STORE", "s3://id:hunter2@bucket"),
            ("DIGITALLZ_RAW_STORE", "disk"),
            ("DIGITALLZ_RAW_STORE_EARLIER", "file:///bodies, az://container?sig=hunter2"),
        ] {
            let error = Environment::default().with([(name, value.to_owned())]).check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is malformed: ")) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn too_many_own_listings_are_refused() {
        let asins = (0..19).map(|number| format!("B{number:09}")).collect::<Vec<_>>().join(",");
        let environment = Environment::default().with([("DIGITALLZ_AMAZON_ASINS", asins)]);
        let error = environment.check().unwrap_err().to_string();
        assert!(
            error.starts_with("DIGITALLZ_AMAZON_ASINS is malformed") && error.contains("200 characters"),
            "{error}"
        );
        let environment = Environment::default().with([("DIGITALLZ_EBAY_PAGES", "0".to_owned())]);
        assert!(environment.check().unwrap_err().to_string().starts_with("DIGITALLZ_EBAY_PAGES is malformed"));
    }
}
