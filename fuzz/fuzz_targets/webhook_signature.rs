//! Whatever the address and headers: a webhook is accepted only if a secret of the trunk it names has signed exactly
//! these bytes and made the tag of the reference it names.
//!
//! The input is a message: an address, headers, a body. In a header's value `{0}`, `{1}` and `{2}` are replaced by
//! that secret's correct signature, in the address by its correct tag, so that the fuzzer, which cannot guess a MAC,
//! can put correct ones in wrong places.
#![no_main]

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, Uri};
use libfuzzer_sys::fuzz_target;
use pgdial::{
    http::fuzzing::webhook,
    provider::{
        http::HttpProvider,
        signature::{self, Secrets, sign_plain, sign_standard},
        tag,
    },
    trunks::{Trunk, Trunks},
};
use pgdial_fuzz::{Message, header_map};

const DIAL: &str = "0197f5e0-0000-7000-8000-000000000001-1";

/// One by one; the trunk `default` has the first two, `other` the third.
static SECRETS: LazyLock<[Secrets; 3]> =
    LazyLock::new(|| ["new", "old", "others"].map(|text| text.parse().unwrap()));

const OTHERS: [&str; 6] = [
    "content-encoding",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "x-hub-signature-256",
    "x-webhook-signature",
];

static TRUNKS: LazyLock<Trunks> = LazyLock::new(|| {
    let trunk = |(name, secrets): (&str, &str)| Trunk {
        name: name.to_owned(),
        provider: Arc::new(HttpProvider::new("http://127.0.0.1", None).unwrap()),
        secrets: secrets.parse().unwrap(),
    };
    [("default", "new,old"), ("other", "others")]
        .map(trunk)
        .into_iter()
        .collect()
});

fuzz_target!(|data: &[u8]| {
    let message = Message::split(data);
    let signed = sign(&message);
    let headers = header_map(signed.iter().map(|(name, value)| (name, value.as_slice())));
    let address = fill(message.first, |secret, trunk| {
        tag::make(secret, trunk, DIAL.parse().unwrap())
    });
    let Ok(uri) = Uri::try_from(address) else {
        return;
    };
    let Ok((trunk, reference)) = webhook(&TRUNKS, &uri, &headers, message.body) else {
        return;
    };
    // Compressed bodies and headers with other names take the same code.
    let plain = |name: &http::HeaderName| !OTHERS.contains(&name.as_str());
    if !headers.keys().all(plain) {
        return;
    }
    let theirs: Vec<&Secrets> = match trunk {
        "default" => SECRETS[..2].iter().collect(),
        "other" => vec![&SECRETS[2]],
        unknown => panic!("{unknown} is no trunk"),
    };
    assert!(
        theirs
            .iter()
            .any(|secret| has_signed(secret, &headers, message.body))
    );
    if let Some(reference) = reference {
        let address = uri.to_string().to_ascii_lowercase();
        let tagged = |secret: &&Secrets| address.contains(&tag::make(secret, trunk, reference));
        // A tag may be percent-encoded, and then its digits are not in the address as they are.
        assert!(address.contains('%') || theirs.iter().any(tagged));
        assert!(address.contains('%') || address.contains(&reference.to_string()));
    }
});

type Signed = Vec<(http::HeaderName, Vec<u8>)>;

fn sign(message: &Message<'_>) -> Signed {
    let of = |wanted: &str| message.headers.iter().find(|header| header.0 == wanted);
    let text = |wanted: &str| of(wanted).and_then(|header| std::str::from_utf8(header.1).ok());
    let id = text(signature::ID).unwrap_or_default();
    let at = text(signature::TIMESTAMP)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let value = |header: &(http::HeaderName, &[u8])| {
        let standard = header.0 == signature::SIGNATURE;
        fill(header.1, |secret, _trunk| match standard {
            true => sign_standard(secret, id, at, message.body),
            false => sign_plain(secret, message.body),
        })
    };
    message
        .headers
        .iter()
        .map(|header| (header.0.clone(), value(header)))
        .collect()
}

/// Replaces `{0}`, `{1}` and `{2}` by what `make` returns for that secret and its trunk.
fn fill(template: &[u8], make: impl Fn(&Secrets, &str) -> String) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = template;
    while let Some((first, after)) = rest.split_first() {
        match rest {
            [b'{', digit @ b'0'..=b'2', b'}', after @ ..] => {
                let which = usize::from(digit - b'0');
                let trunk = if which < 2 { "default" } else { "other" };
                filled.extend(make(&SECRETS[which], trunk).bytes());
                rest = after;
            }
            _ => {
                filled.push(*first);
                rest = after;
            }
        }
    }
    filled
}

/// Whether the headers contain this secret's signature of this body, in the scheme that decides.
fn has_signed(secret: &Secrets, headers: &HeaderMap, body: &[u8]) -> bool {
    let one = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (one(signature::ID), one(signature::TIMESTAMP)) {
        (None, None) if !headers.contains_key(signature::SIGNATURE) => {
            let good = sign_plain(secret, body);
            // Base64 encodes the same MAC.
            one(signature::PLAIN).is_some_and(|given| {
                given.len() == 44 || given.to_ascii_lowercase().ends_with(&good)
            })
        }
        (Some(id), Some(at)) => {
            assert!(!id.contains('.'), "{id:?} could be cut in two ways");
            let good = sign_standard(secret, id, at.parse().unwrap(), body);
            assert_eq!(at.parse::<i64>().unwrap().to_string(), at);
            let listed = headers.get_all(signature::SIGNATURE).iter();
            let mut entries = listed.flat_map(|value| value.to_str().unwrap().split_whitespace());
            entries.any(|entry| entry == good)
        }
        _ => false,
    }
}
