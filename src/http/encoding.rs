//! Compressed bodies.

use std::io::Read;

use axum::http::{HeaderMap, header};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::{body::Share, problem::Problem};

/// Bytes that are decoded at a time.
const STEP: usize = 8 * 1024;

/// Body without its `Content-Encoding`. None if there is no encoding, or if it is unknown, broken, or larger
/// than a body may be once decoded: a few bytes can hold a gigabyte. Takes its share of the room as it grows,
/// beside that of the body.
pub(super) async fn decoded(
    headers: &HeaderMap,
    body: &[u8],
    share: &mut Share<'_>,
) -> Result<Option<Vec<u8>>, Problem> {
    let Some(mut decoder) = decoder(headers, body) else {
        return Ok(None);
    };
    let mut plain = Vec::new();
    loop {
        share.cover(body.len() + plain.len() + STEP).await?;
        let step = decoder.by_ref().take(STEP as u64).read_to_end(&mut plain);
        match step {
            Ok(0) => return Ok(Some(plain)),
            Ok(_) if plain.len() <= share.largest() => {}
            _ => return Ok(None),
        }
    }
}

fn decoder<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<Box<dyn Read + Send + 'b>> {
    let named = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?;
    match named.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Box::new(MultiGzDecoder::new(body))),
        "deflate" => Some(Box::new(ZlibDecoder::new(body))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use futures_util::FutureExt;

    use super::{super::body::Room, *};

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// Length of the decoded body.
    async fn length(encoding: Option<&str>, body: &[u8], limit: usize) -> Option<usize> {
        let mut headers = HeaderMap::new();
        if let Some(name) = encoding {
            headers.insert(header::CONTENT_ENCODING, name.parse().unwrap());
        }
        let room = Room::new(limit);
        let plain = decoded(&headers, body, &mut Share::none(&room)).await;
        plain.unwrap().map(|plain| plain.len())
    }

    #[tokio::test]
    async fn a_compressed_body_is_read_within_the_limit() {
        for size in [50_000, 200_000] {
            let body = gzip(&vec![b'x'; size]);
            assert_eq!(length(Some("GZip"), &body, size).await, Some(size));
            assert_eq!(length(Some("gzip"), &body, size - 1).await, None);
            for other in [Some("br"), Some("deflate"), None] {
                assert_eq!(length(other, &body, size).await, None, "{other:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_bomb_is_left_where_the_limit_is() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(length(Some("gzip"), &bomb, 4 << 20).await, None);
    }

    #[tokio::test]
    async fn what_is_decoded_takes_room() {
        let room = Room::new(1 << 20);
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
        let body = gzip(&vec![0; 1 << 20]);
        let mut shares = Vec::new();
        loop {
            let mut share = Share::none(&room);
            match decoded(&headers, &body, &mut share).now_or_never() {
                Some(plain) => assert_eq!(plain.unwrap().unwrap().len(), 1 << 20),
                None => break, // waits for room
            }
            shares.push(share);
        }
        assert_eq!(shares.len(), 8);
    }
}
