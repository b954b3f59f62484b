//! Access tokens: one per credential for all collectors, kept until shortly before its end, fetched by one of them at a time.
//!
//! Tokens lie in Postgres sealed with AES-256-GCM. The key follows (HKDF-SHA256) from the secret that buys them, which every
//! collector has anyway and the database has not: who can read the database alone cannot read a token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use digitallz_common::marketplace::Marketplace;
use digitallz_common::secret::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::exchange::TokenKind;

/// A token is replaced this long before its end, or at half its life if that is shorter.
const EARLY: Duration = Duration::from_secs(60);

/// Whoever fetches a token and is not heard of for so long is thought dead, and another fetches it.
const MINTING_S: f64 = 45.0;

/// A token as it was issued.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// How long it lives.
    pub lifetime: Duration,
}

/// The access tokens of one credential.
pub struct Tokens {
    marketplace: Marketplace,
    credential: String,
    key: SealingKey,
    held: Mutex<[Option<HeldToken>; TokenKind::ALL.len()]>,
}

#[derive(Clone)]
struct HeldToken {
    token: Secret,
    refresh_at: Instant,
}

/// Whether there is a token.
#[derive(Debug)]
pub enum Found {
    /// There is.
    Token(Secret),
    /// There is none, and it is upon the caller to fetch one and to [`Tokens::keep`] or to [`Tokens::abandon`] it.
    FetchIt,
    /// Another collector is fetching one.
    Wait,
}

impl Tokens {
    /// Makes the tokens of a credential, which are sealed with what follows from `secret`.
    pub fn new(marketplace: Marketplace, credential: String, secret: &Secret) -> Tokens {
        let key = SealingKey::new(secret, &credential);
        Tokens { marketplace, credential, key, held: Mutex::default() }
    }

    /// Looks for a token here and in the database.
    pub async fn find(&self, pool: &PgPool, kind: TokenKind) -> Result<Found, sqlx::Error> {
        if let Some(token) = self.current(kind) {
            return Ok(Found::Token(token));
        }
        let row = sqlx::query!(
            r#"select sealed_token, extract(epoch from refresh_at - now())::float8 as "left_s"
               from ops.access_tokens
               where marketplace = $1 and credential = $2 and token_kind = $3 and sealed_token is not null
                 and refresh_at > now()"#,
            self.marketplace.name(),
            self.credential,
            kind.name(),
        )
        .fetch_optional(pool)
        .await?;
        let (sealed, left_s) = row.map(|row| (row.sealed_token, row.left_s)).unwrap_or_default();
        if let (Some(sealed), Some(left_s)) = (&sealed, left_s)
            && let Some(token) = self.key.open(sealed)
        {
            self.hold(kind, &token, Duration::try_from_secs_f64(left_s).unwrap_or_default());
            return Ok(Found::Token(token));
        }
        // Another may have kept a token since: that one is taken, unless it is what could not be opened just now.
        let claimed = sqlx::query!(
            "insert into ops.access_tokens (marketplace, credential, token_kind, minting_until)
             values ($1, $2, $3, now() + make_interval(secs => $4))
             on conflict (marketplace, credential, token_kind) do update
             set minting_until = excluded.minting_until
             where (access_tokens.minting_until is null or access_tokens.minting_until <= now())
               and (access_tokens.sealed_token is null or access_tokens.refresh_at <= now()
                    or access_tokens.sealed_token = $5)",
            self.marketplace.name(),
            self.credential,
            kind.name(),
            MINTING_S,
            sealed,
        )
        .execute(pool)
        .await?
        .rows_affected();
        Ok(if claimed > 0 { Found::FetchIt } else { Found::Wait })
    }

    /// Keeps a fresh token, for everybody.
    pub async fn keep(&self, pool: &PgPool, kind: TokenKind, issued: IssuedToken) -> Result<Secret, sqlx::Error> {
        let good_for = issued.lifetime - EARLY.min(issued.lifetime / 2);
        sqlx::query!(
            "update ops.access_tokens
             set sealed_token = $4, refresh_at = now() + make_interval(secs => $5), mint_count = mint_count + 1,
                 minted_at = now(), minting_until = null
             where marketplace = $1 and credential = $2 and token_kind = $3",
            self.marketplace.name(),
            self.credential,
            kind.name(),
            self.key.seal(&issued.token),
            good_for.as_secs_f64(),
        )
        .execute(pool)
        .await?;
        self.hold(kind, &issued.token, good_for);
        Ok(issued.token)
    }

    /// Lets others try to fetch a token after it failed here.
    pub async fn abandon(&self, pool: &PgPool, kind: TokenKind) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update ops.access_tokens set minting_until = null
             where marketplace = $1 and credential = $2 and token_kind = $3",
            self.marketplace.name(),
            self.credential,
            kind.name(),
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Drops a token that was refused, here and for everybody, unless another has taken its place already.
    pub async fn forget(&self, pool: &PgPool, kind: TokenKind, refused: &Secret) -> Result<(), sqlx::Error> {
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held[kind as usize].as_ref().is_some_and(|held| held.token == *refused) {
                held[kind as usize] = None;
            }
        }
        let mut tx = pool.begin().await?;
        let sealed = sqlx::query_scalar!(
            "select sealed_token from ops.access_tokens
             where marketplace = $1 and credential = $2 and token_kind = $3 for update",
            self.marketplace.name(),
            self.credential,
            kind.name(),
        )
        .fetch_optional(&mut *tx)
        .await?
        .flatten();
        if sealed.and_then(|sealed| self.key.open(&sealed)).is_some_and(|token| token == *refused) {
            sqlx::query!(
                "update ops.access_tokens set sealed_token = null, refresh_at = null
                 where marketplace = $1 and credential = $2 and token_kind = $3",
                self.marketplace.name(),
                self.credential,
                kind.name(),
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    fn current(&self, kind: TokenKind) -> Option<Secret> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held[kind as usize].as_ref().filter(|held| Instant::now() < held.refresh_at).map(|held| held.token.clone())
    }

    fn hold(&self, kind: TokenKind, token: &Secret, good_for: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held[kind as usize] = Some(HeldToken { token: token.clone(), refresh_at: Instant::now() + good_for });
    }
}

/// Seals and opens the tokens of one credential.
struct SealingKey(LessSafeKey);

impl SealingKey {
    fn new(secret: &Secret, credential: &str) -> SealingKey {
        let extracted = Salt::new(HKDF_SHA256, b"digitallz access token 1").extract(secret.expose().as_bytes());
        let info = [credential.as_bytes()];
        let expanded = extracted.expand(&info, &AES_256_GCM).expect("the key's length is the algorithm's own");
        SealingKey(LessSafeKey::new(UnboundKey::from(expanded)))
    }

    /// Returns nonce and sealed bytes.
    fn seal(&self, token: &Secret) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system has random numbers");
        let mut sealed = token.expose().as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("a token is shorter than the algorithm's bound");
        [&nonce[..], &sealed].concat()
    }

    /// Returns the token; nothing when it was sealed with another key or was tampered with.
    fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let token = self.0.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
        Some(Secret::new(String::from_utf8(token.to_vec()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_token_opens_with_its_own_key_only() {
        let key = SealingKey::new(&Secret::new("hush"), "c1");
        let sealed = key.seal(&Secret::new("Atza|token"));
        assert!(!sealed.windows(5).any(|part| part == b"token"));
        assert_eq!(key.open(&sealed), Some(Secret::new("Atza|token")));
        assert_eq!(SealingKey::new(&Secret::new("other"), "c1").open(&sealed), None);
        assert_eq!(SealingKey::new(&Secret::new("hush"), "c2").open(&sealed), None);
        let mut tampered = sealed.clone();
        tampered[NONCE_LEN] ^= 1;
        assert_eq!(key.open(&tampered), None);
        assert_eq!(key.open(&sealed[..5]), None);
        assert_ne!(key.seal(&Secret::new("Atza|token")), sealed, "a nonce is used once");
    }
}
