//! How much of something each trunk may have: of the questions under way, of the permits.

/// Trunks, and how many each may have, as SQL takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    trunks: Vec<String>,
    counts: Vec<i32>,
}

impl Shares {
    /// The trunks.
    pub fn trunks(&self) -> &[String] {
        &self.trunks
    }

    /// How many each may have, in the order of the trunks.
    pub fn counts(&self) -> &[i32] {
        &self.counts
    }

    /// No trunk may have any.
    pub fn is_empty(&self) -> bool {
        self.trunks.is_empty()
    }
}

impl FromIterator<(String, usize)> for Shares {
    /// A trunk that may have none is left out.
    fn from_iter<I: IntoIterator<Item = (String, usize)>>(shares: I) -> Self {
        let shares = shares.into_iter().filter(|(_, count)| *count > 0);
        let (trunks, counts) = shares
            .map(|(trunk, count)| (trunk, i32::try_from(count).unwrap_or(i32::MAX)))
            .unzip();
        Self { trunks, counts }
    }
}
