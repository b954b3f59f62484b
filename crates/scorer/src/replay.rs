//! Replay of a training: what its row in the registry says, done again, gives the same bytes.

use digitallz_common::marketplace::Marketplace;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::backtest;
use crate::features::FEATURE_SET_VERSION;
use crate::material::{Material, TrainError};
use crate::models::{self, ModelError};
use crate::registry::Registered;
use crate::series;
use crate::target::ModelName;
use crate::train;

/// What a training gave when it was done again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// SHA-256 of the artifact.
    pub artifact_sha256: Vec<u8>,
    /// Whether it is that of the registered one.
    pub is_same: bool,
    /// What was different to begin with.
    pub differences: Vec<&'static str>,
}

/// Fits the algorithm of a version again on what was known at its moment, and compares the bytes with those registered.
pub async fn replay(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    registered: Registered,
) -> Result<Replay, TrainError> {
    let material = Material::gather(db, model_name, marketplace, registered.as_of).await?;
    let replay = material.compute(move |material| {
        let in_model = |source| material.in_model(source);
        let panel = material.panel()?;
        let plan = backtest::plan(&panel);
        let mut model = models::all()
            .into_iter()
            .find(|model| model.algorithm() == registered.algorithm)
            .ok_or_else(|| in_model(ModelError::UnknownAlgorithm(registered.algorithm.clone())))?;
        let folds = backtest::replay(&panel, &plan, model.as_mut()).map_err(in_model)?;
        let artifact = train::artifact(&panel, model.as_mut(), &folds).map_err(in_model)?;
        let artifact_sha256 = Sha256::digest(&artifact).to_vec();
        let mut differences = Vec::new();
        if registered.feature_set_version != FEATURE_SET_VERSION {
            differences.push("this program builds other features");
        }
        if registered.parameters != model.parameters() {
            differences.push("this program fits with other parameters");
        }
        if registered.data_fingerprint[..] != series::fingerprint(&material.series)[..] {
            differences.push(
                "the series of that moment are others: keywords were added or taken away, runs were held or published, \
                 or observations were purged since",
            );
        }
        Ok(Replay { is_same: artifact_sha256 == registered.artifact_sha256, artifact_sha256, differences })
    });
    replay.await
}
