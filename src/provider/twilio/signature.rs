//! `X-Twilio-Signature`: a MAC of the URL that Twilio was given and the fields of the form, made with the
//! account's Auth Token, whichever key placed the call.
//!
//! The scheme has no time, so only the event id stops a replay; it is made of signed fields.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::Mac;
use hyper::HeaderMap;

use crate::provider::{
    Webhook,
    signature::{Rejection, Secrets, Verified, WebhookSecret, body_digest, one},
};

const HEADER: &str = "x-twilio-signature";
/// `key=<id>,algorithm=HMAC_SHA256`, present if the account signs with a dedicated key.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
/// Query parameter with the digest of a body that is not a form.
const BODY_DIGEST: &str = "bodySHA256";

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
}

pub(super) fn claimed(headers: &HeaderMap) -> Result<(), Rejection> {
    if headers.contains_key(HEADER) {
        Ok(())
    } else {
        Err(Rejection::Missing(HEADER))
    }
}

pub(super) fn verify(webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
    let given = BASE64
        .decode(one(webhook.headers, HEADER)?)
        .map_err(|_e| Rejection::Malformed(HEADER))?;
    let algorithm = algorithm(webhook.headers)?;
    let fields = signed_fields(webhook)?;
    let mut good = false;
    for secret in secrets.all() {
        for url in urls(webhook.url) {
            good |= is_made_by(secret, algorithm, &[&url, &fields], &given);
        }
    }
    if good {
        Ok(Verified {
            event_id: body_digest(webhook.body),
            signed_at: None,
        })
    } else {
        Err(Rejection::Mismatch)
    }
}

fn algorithm(headers: &HeaderMap) -> Result<Algorithm, Rejection> {
    if !headers.contains_key(SETTINGS) {
        return Ok(Algorithm::Sha1);
    }
    let settings = one(headers, SETTINGS)?.split(',');
    let mut pairs = settings.filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == "algorithm") {
        Some((_, "HMAC_SHA256")) => Ok(Algorithm::Sha256),
        _ => Err(Rejection::Malformed(SETTINGS)),
    }
}

fn is_made_by(
    secret: &WebhookSecret,
    algorithm: Algorithm,
    parts: &[&str; 2],
    given: &[u8],
) -> bool {
    let [url, fields] = parts;
    match algorithm {
        Algorithm::Sha1 => {
            let mac = secret.mac_sha1().chain_update(url).chain_update(fields);
            mac.verify_slice(given).is_ok()
        }
        Algorithm::Sha256 => {
            let mac = secret.mac().chain_update(url).chain_update(fields);
            mac.verify_slice(given).is_ok()
        }
    }
}

/// Each name of the form with each of its distinct values, sorted by bytes. Of another body only the digest
/// in the URL is signed; without it the body is not authenticated.
fn signed_fields(webhook: &Webhook<'_>) -> Result<String, Rejection> {
    let kind = webhook.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let is_signed =
            webhook.body.is_empty() || told_digest(webhook.url) == Some(body_digest(webhook.body));
        return is_signed.then(String::new).ok_or(Rejection::Mismatch);
    }
    let mut fields = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, value) in form_urlencoded::parse(webhook.body) {
        fields.entry(name).or_default().insert(value);
    }
    let mut text = String::with_capacity(webhook.body.len());
    for (name, values) in fields {
        for value in values {
            text.push_str(&name);
            text.push_str(&value);
        }
    }
    Ok(text)
}

fn told_digest(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, digest) = pairs.find(|(name, _)| name == BODY_DIGEST)?;
    Some(digest.to_ascii_lowercase())
}

/// The URL as given to Twilio, with and without its port: Twilio signs either.
fn urls(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return urls;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    // After the user, whose password may contain a colon, and outside an IPv6 address.
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, host) = authority.split_at(host);
    let port = host.rsplit_once(':').filter(|(_, port)| digits(port));
    let other = port.map_or_else(
        || format!("{authority}:{}", if scheme == "https" { 443 } else { 80 }),
        |(host, _)| format!("{user}{host}"),
    );
    urls.push(format!("{scheme}://{other}{path}"));
    urls
}
