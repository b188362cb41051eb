//! File descriptors of this process, and how many of them are for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limit of connections for any process.
const MOST: u64 = 2048;

/// Limit of connections: half of the file descriptors, so that dials, look-ups and the database always have theirs.
///
/// First raises the soft limit as far as needed and as the hard limit allows: shells and containers often set 1024.
pub(super) fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(2 * MOST, |hard| hard.min(2 * MOST));
    let raised = limit.current.is_some_and(|soft| soft < wanted)
        && setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        )
        .is_ok();
    let open = if raised { Some(wanted) } else { limit.current };
    of(open)
}

/// Connections for this many descriptors; none means there is no limit.
fn of(open: Option<u64>) -> usize {
    let most = open.map_or(MOST, |open| (open / 2).clamp(1, MOST));
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_for_clients() {
        let sizes = [None, Some(1), Some(256), Some(1024), Some(1 << 20)];
        assert_eq!(sizes.map(of), [2048, 1, 128, 512, 2048]);
    }
}
