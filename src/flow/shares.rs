//! Limits per trunk: of look-ups under way, of permits.

/// Trunks with the limit of each, as SQL takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    trunks: Vec<String>,
    counts: Vec<i32>,
}

impl Shares {
    /// Names of the trunks.
    pub fn trunks(&self) -> &[String] {
        &self.trunks
    }

    /// Limit of each trunk, in the order of `trunks`.
    pub fn counts(&self) -> &[i32] {
        &self.counts
    }

    /// No trunk may have any.
    pub fn is_empty(&self) -> bool {
        self.trunks.is_empty()
    }
}

impl FromIterator<(String, usize)> for Shares {
    /// Leaves out trunks with a limit of 0.
    fn from_iter<I: IntoIterator<Item = (String, usize)>>(shares: I) -> Self {
        let shares = shares.into_iter().filter(|(_, count)| *count > 0);
        let (trunks, counts) = shares
            .map(|(trunk, count)| (trunk, i32::try_from(count).unwrap_or(i32::MAX)))
            .unzip();
        Self { trunks, counts }
    }
}
