//! Compressed bodies.

use std::io::Read;

use axum::http::{HeaderMap, header};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// Body without its `Content-Encoding`. None if there is no encoding, or if it is unknown, broken, or larger
/// than the limit once decoded: a few bytes can hold a gigabyte.
pub(super) fn decoded(headers: &HeaderMap, body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let named = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?;
    let named = named.trim().to_ascii_lowercase();
    let decoder: &mut dyn Read = match named.as_str() {
        "gzip" | "x-gzip" => &mut MultiGzDecoder::new(body),
        "deflate" => &mut ZlibDecoder::new(body),
        _ => return None,
    };
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder.take(most + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= limit).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(encoding: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())])
    }

    #[test]
    fn a_compressed_body_is_read_within_the_limit() {
        let body = gzip(&[b'x'; 1000]);
        assert_eq!(
            decoded(&headers("GZip"), &body, 1000),
            Some(vec![b'x'; 1000])
        );
        assert_eq!(decoded(&headers("gzip"), &body, 999), None);
        assert_eq!(decoded(&headers("br"), &body, 1000), None);
        assert_eq!(decoded(&headers("deflate"), &body, 1000), None);
        assert_eq!(decoded(&HeaderMap::new(), &body, 1000), None);
    }

    #[test]
    fn a_bomb_is_left_where_the_limit_is() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(decoded(&headers("gzip"), &bomb, 4 << 20), None);
    }
}
