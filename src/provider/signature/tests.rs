//! The published vectors of both schemes, and what must be rejected.

use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const SPEC_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SPEC_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SPEC_TIME: &str = "1614265330";
const SPEC_BODY: &[u8] = br#"{"test": 2432232314}"#;
const SPEC_GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const BODY: &[u8] = br#"{"callId":"prov_123","status":"COMPLETED","durationSec":42,"completedAt":"2026-01-02T03:04:05Z"}"#;
const BODY_HEX: &str = "62a2d836c689cc362882cb295587880073c38821c114c97458823b7c1b502d01";

fn secrets(text: &str) -> Secrets {
    text.parse().unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    map
}

fn spec(signature: &str) -> HeaderMap {
    headers(&[
        (ID, SPEC_ID),
        (TIMESTAMP, SPEC_TIME),
        (SIGNATURE, signature),
    ])
}

#[test]
fn the_published_standard_webhooks_vectors_pass() {
    for (secret, id, time, body, signature) in [
        (SPEC_SECRET, SPEC_ID, SPEC_TIME, SPEC_BODY, SPEC_GOOD),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            br#"{"email":"test@example.com","username":"test_user"}"#.as_slice(),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            SPEC_SECRET,
            "evt_01",
            "1767323045",
            BODY,
            "v1,Pne4Ex4RWVqmfZf2UVXwNjdRYkFFcDs8sfYE9N9TQ7M=",
        ),
    ] {
        let map = headers(&[(ID, id), (TIMESTAMP, time), (SIGNATURE, signature)]);
        let verified = verify(&map, body, &secrets(secret)).unwrap();
        assert_eq!(verified.event_id, id);
        assert_eq!(
            verified.signed_at,
            time.parse().ok().map(SignedAt::standard)
        );
        let signed = sign_standard(&secrets(secret), id, time.parse().unwrap(), body);
        assert_eq!(signed, signature);
    }
}

#[test]
fn the_plain_vectors_pass_with_and_without_prefix() {
    let other = br#"{"callId":"5574cf22-ccb1-42fb-94d5-8a04335db6b2","status":"COMPLETED","durationSec":25,"completedAt":"2025-07-23T12:00:00Z"}"#;
    let other_hex = "1e1f0ab7864a60d184009f1211ca3d770f13231c7aeca8bd758caadeabe99902";
    let secret = secrets("supersecret");
    for (body, signature) in [(BODY, BODY_HEX), (other, other_hex)] {
        assert_eq!(sign_plain(&secret, body), signature);
        for written in [
            signature.to_owned(),
            signature.to_uppercase(),
            format!("sha256={signature}"),
        ] {
            let verified = verify(&headers(&[(PLAIN, &written)]), body, &secret).unwrap();
            assert_eq!(verified.signed_at, None);
            assert_eq!(verified.event_id, hex::encode(Sha256::digest(body)));
        }
    }
}

#[test]
fn one_good_signature_among_several_is_enough() {
    let list = format!("v1a,AAAA v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x {SPEC_GOOD}");
    assert!(verify(&spec(&list), SPEC_BODY, &secrets(SPEC_SECRET)).is_ok());
}

#[test]
fn no_good_v1_signature_is_a_mismatch() {
    let version_2 = SPEC_GOOD.replace("v1,", "v2,");
    let truncated = SPEC_GOOD.get(..SPEC_GOOD.len() - 8).unwrap();
    for signature in [
        version_2.as_str(),
        truncated,
        "v1,",
        "v1",
        "",
        "garbage",
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
    ] {
        let verdict = verify(&spec(signature), SPEC_BODY, &secrets(SPEC_SECRET));
        assert_eq!(verdict, Err(Rejection::Mismatch), "{signature:?}");
    }
}

#[test]
fn the_same_schemes_pass_under_their_other_names() {
    let svix = headers(&[
        ("svix-id", SPEC_ID),
        ("svix-timestamp", SPEC_TIME),
        ("svix-signature", SPEC_GOOD),
    ]);
    assert!(verify(&svix, SPEC_BODY, &secrets(SPEC_SECRET)).is_ok());
    let mixed = headers(&[
        ("svix-id", SPEC_ID),
        (TIMESTAMP, SPEC_TIME),
        (SIGNATURE, SPEC_GOOD),
    ]);
    assert_eq!(
        verify(&mixed, SPEC_BODY, &secrets(SPEC_SECRET)),
        Err(Rejection::Missing(ID))
    );
    let base64 = BASE64.encode(hex::decode(BODY_HEX).unwrap());
    for name in PLAINS {
        for value in [BODY_HEX, &format!("sha256={BODY_HEX}"), &base64] {
            let plain = headers(&[(name, value)]);
            assert!(
                verify(&plain, BODY, &secrets("supersecret")).is_ok(),
                "{name}: {value}"
            );
            let other = verify(&plain, b"another", &secrets("supersecret"));
            assert_eq!(other, Err(Rejection::Mismatch), "{name}: {value}");
        }
    }
}

#[test]
fn a_missing_header_is_named() {
    let all = [
        (ID, SPEC_ID),
        (TIMESTAMP, SPEC_TIME),
        (SIGNATURE, SPEC_GOOD),
    ];
    for missing in [ID, TIMESTAMP, SIGNATURE] {
        let rest: Vec<_> = all
            .iter()
            .copied()
            .filter(|(name, _)| *name != missing)
            .collect();
        let verdict = verify(&headers(&rest), SPEC_BODY, &secrets(SPEC_SECRET));
        assert_eq!(verdict, Err(Rejection::Missing(missing)));
    }
    let verdict = verify(&HeaderMap::new(), BODY, &secrets("supersecret"));
    assert_eq!(verdict, Err(Rejection::Missing(PLAIN)));
}

#[test]
fn a_failed_standard_signature_never_falls_back_to_the_plain_one() {
    let secret = secrets("supersecret");
    for stray in [
        (ID, "evt_1"),
        (TIMESTAMP, "1"),
        (SIGNATURE, "v1,AAAA"),
        ("svix-id", "evt_1"),
        ("svix-signature", "v1,AAAA"),
    ] {
        let map = headers(&[stray, (PLAIN, BODY_HEX)]);
        assert!(verify(&map, BODY, &secret).is_err(), "{stray:?}");
    }
}

#[test]
fn a_malformed_header_is_named() {
    let secret = secrets(SPEC_SECRET);
    for (id, time, name) in [
        ("", SPEC_TIME, ID),
        ("a.1", SPEC_TIME, ID),
        (SPEC_ID, "", TIMESTAMP),
        (SPEC_ID, "-1", TIMESTAMP),
        (SPEC_ID, "+1", TIMESTAMP),
        (SPEC_ID, "1.5", TIMESTAMP),
        (SPEC_ID, "99999999999999999999", TIMESTAMP),
    ] {
        let map = headers(&[(ID, id), (TIMESTAMP, time), (SIGNATURE, SPEC_GOOD)]);
        assert_eq!(
            verify(&map, SPEC_BODY, &secret),
            Err(Rejection::Malformed(name))
        );
    }
    let twice = headers(&[(PLAIN, BODY_HEX), (PLAIN, BODY_HEX)]);
    for map in [twice, headers(&[(PLAIN, "not hex")])] {
        let verdict = verify(&map, BODY, &secrets("supersecret"));
        assert_eq!(verdict, Err(Rejection::Malformed(PLAIN)));
    }
}

#[test]
fn during_a_rotation_both_secrets_verify_and_the_first_signs() {
    let (old, new, both) = (secrets("old"), secrets("new"), secrets("new, old"));
    assert_eq!(sign_plain(&both, BODY), sign_plain(&new, BODY));
    for signer in [&old, &new] {
        let map = headers(&[(PLAIN, &sign_plain(signer, BODY))]);
        assert!(verify(&map, BODY, &both).is_ok());
        let signature = sign_standard(signer, "evt", 1, BODY);
        let map = headers(&[(ID, "evt"), (TIMESTAMP, "1"), (SIGNATURE, &signature)]);
        assert!(verify(&map, BODY, &both).is_ok());
    }
    let map = headers(&[(PLAIN, &sign_plain(&old, BODY))]);
    assert_eq!(verify(&map, BODY, &new), Err(Rejection::Mismatch));
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_fails(
        body in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let secret = secrets("supersecret");
        let mut other = body.clone();
        other[at.index(body.len())] ^= 1 << bit;
        let plain = headers(&[(PLAIN, &sign_plain(&secret, &body))]);
        prop_assert!(verify(&plain, &body, &secret).is_ok());
        prop_assert_eq!(verify(&plain, &other, &secret), Err(Rejection::Mismatch));
        let signature = sign_standard(&secret, "evt", 7, &body);
        let standard = |id: &str, time: &str| {
            headers(&[(ID, id), (TIMESTAMP, time), (SIGNATURE, &signature)])
        };
        prop_assert!(verify(&standard("evt", "7"), &body, &secret).is_ok());
        for (id, time, bytes) in [("evt", "7", &other), ("evu", "7", &body), ("evt", "8", &body)] {
            prop_assert_eq!(verify(&standard(id, time), bytes, &secret), Err(Rejection::Mismatch));
        }
    }

    #[test]
    fn hostile_headers_never_panic(id in "\\PC{0,40}", time in "\\PC{0,20}", signature in "\\PC{0,80}") {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
        let mut map = HeaderMap::new();
        map.insert(ID, value(&id));
        map.insert(TIMESTAMP, value(&time));
        map.insert(SIGNATURE, value(&signature));
        prop_assert!(verify(&map, BODY, &secrets("supersecret")).is_err());
        let mut plain = HeaderMap::new();
        plain.insert(PLAIN, value(&signature));
        prop_assert!(verify(&plain, BODY, &secrets("supersecret")).is_err());
    }
}
