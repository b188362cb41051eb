//! Decodes any encoding to UTF-8.
//!
//! UTF-8 passes unchanged, so that one broken row is found as one. Anything else is recognised by its byte order
//! mark, by the zeros of UTF-16, or by its letters.

use std::io::{self, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Non-ASCII bytes after which the encoding is considered known.
const ENOUGH: usize = 1024 * 1024;
const PIECE: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) encoding: &'static Encoding,
}

impl Found {
    pub(super) const fn told(encoding: &'static Encoding) -> Self {
        Self { encoding }
    }

    /// Judges a whole file.
    pub(super) fn in_all(reader: impl Read) -> io::Result<Self> {
        Self::in_bytes(reader, true)
    }

    /// Judges the beginning of a stream, which may end inside a letter.
    pub(super) fn in_head(head: &[u8]) -> io::Result<Self> {
        Self::in_bytes(head, false)
    }

    fn in_bytes(mut reader: impl Read, are_all: bool) -> io::Result<Self> {
        let mut scan = Scan::new();
        let mut bytes = vec![0; PIECE];
        let mut is_first = true;
        loop {
            let count = reader.read(&mut bytes)?;
            let piece = bytes.get(..count).unwrap_or_default();
            if is_first && let Some(encoding) = marked(piece) {
                return Ok(Self { encoding });
            }
            is_first = false;
            if piece.is_empty() {
                return Ok(Self {
                    encoding: scan.end(are_all),
                });
            }
            scan.push(piece);
        }
    }
}

/// Recognised by a byte order mark, or by the zeros of ASCII in UTF-16.
fn marked(head: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return Some(encoding);
    }
    let pairs = head.len() / 2;
    let zeros = |at: usize| {
        let bytes = head.iter().skip(at).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    match pairs {
        0 => None,
        _ if odd > pairs / 2 && even == 0 => Some(UTF_16LE),
        _ if even > pairs / 2 && odd == 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// Decides whether bytes are UTF-8, and if not, what they are.
struct Scan {
    /// Multi-byte letters, and bytes that are part of none.
    letters: usize,
    broken: usize,
    /// The beginning of a letter whose end is in the next piece.
    kept: Vec<u8>,
    detector: EncodingDetector,
    fed: usize,
}

impl Scan {
    fn new() -> Self {
        Self {
            letters: 0,
            broken: 0,
            kept: Vec::new(),
            detector: EncodingDetector::new(Iso2022JpDetection::Deny),
            fed: 0,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.kept.is_empty() && piece.is_ascii() {
            return;
        }
        if self.fed < ENOUGH {
            self.detector.feed(piece, false);
            self.fed += piece.len();
        }
        let mut bytes = std::mem::take(&mut self.kept);
        bytes.extend_from_slice(piece);
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.letters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
            let is_cut = chunks.peek().is_none()
                && std::str::from_utf8(chunk.invalid())
                    .is_err_and(|error| error.error_len().is_none());
            if is_cut {
                self.kept = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.broken += 1;
            }
        }
    }

    /// Other encodings rarely form valid multi-byte letters by chance: if most are valid, it is UTF-8 with broken
    /// rows.
    fn end(mut self, is_all: bool) -> &'static Encoding {
        self.broken += usize::from(is_all && !self.kept.is_empty());
        if self.broken == 0 || self.letters > self.broken {
            return UTF_8;
        }
        self.detector.feed(&[], true);
        self.detector.guess(None, Utf8Detection::Deny)
    }
}

/// Yields UTF-8 without a byte order mark.
pub(crate) struct Decoder {
    raw: Box<dyn Read + Send>,
    /// `None` if the input is UTF-8 already.
    from: Option<encoding_rs::Decoder>,
    is_first: bool,
    text: Vec<u8>,
    at: usize,
    has_ended: bool,
    read: u64,
}

impl Decoder {
    pub(super) fn new(raw: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            raw,
            from: (encoding != UTF_8).then(|| encoding.new_decoder()),
            is_first: true,
            text: Vec::new(),
            at: 0,
            has_ended: false,
            read: 0,
        }
    }

    /// Bytes of the file read so far.
    pub(crate) const fn position(&self) -> u64 {
        self.read
    }

    /// Whether the input was not UTF-8.
    pub(super) const fn is_decoded(&self) -> bool {
        self.from.is_some()
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; PIECE];
        let count = read_some(&mut self.raw, &mut bytes, self.is_first)?;
        self.read += count as u64;
        bytes.truncate(count);
        self.has_ended = count == 0;
        self.at = 0;
        let Some(decoder) = &mut self.from else {
            if self.is_first && bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
                self.at = 3;
            }
            self.is_first = false;
            self.text = bytes;
            return Ok(());
        };
        self.is_first = false;
        let most = decoder
            .max_utf8_buffer_length(count)
            .ok_or_else(|| io::Error::other("a piece is too large"))?;
        self.text.clear();
        self.text.resize(most, 0);
        let (result, _, written, _) =
            decoder.decode_to_utf8(&bytes, &mut self.text, self.has_ended);
        debug_assert_eq!(result, CoderResult::InputEmpty);
        self.text.truncate(written);
        Ok(())
    }
}

/// Reads at least three bytes at the beginning, so that a byte order mark is seen whole.
fn read_some(raw: &mut impl Read, into: &mut [u8], is_first: bool) -> io::Result<usize> {
    let mut count = 0;
    loop {
        let read = raw.read(into.get_mut(count..).unwrap_or_default())?;
        count += read;
        if read == 0 || !is_first || count >= 3 {
            return Ok(count);
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.text.len() && !self.has_ended {
            self.fill()?;
        }
        let left = self.text.get(self.at..).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(into), Some(left)) = (into.get_mut(..count), left.get(..count)) {
            into.copy_from_slice(left);
        }
        self.at += count;
        Ok(count)
    }
}
