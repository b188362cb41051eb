//! The life of a process: its loops, its signals, its end.
//!
//! Every loop is supervised: when one ends before it was told to, by an error or a panic, the others are
//! stopped and the process ends with the reason. Half a worker that looks alive is worse than none.

use std::{fmt, future::Future, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a process ended without a request to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A loop died.
    #[error("{name} died")]
    Died {
        /// Name of the loop.
        name: &'static str,
        /// Cause.
        #[source]
        cause: BoxError,
    },
    /// Signal handlers cannot be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// Loops did not end within the grace period; what they held is left to the database.
    #[error("{left} loops did not end within the grace period")]
    GraceOver {
        /// Number of loops.
        left: usize,
    },
}

/// The loops of a process.
pub struct Supervisor {
    loops: JoinSet<(&'static str, Result<(), BoxError>)>,
    stop: CancellationToken,
    /// None if the embedding program handles signals.
    signals: Option<Signals>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("loops", &self.loops.len())
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A supervisor without loops. From here on a signal to stop is registered, and acted on once it runs, so
    /// that it cannot interrupt a process that is starting.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            loops: JoinSet::new(),
            stop: CancellationToken::new(),
            signals: Some(Signals::new()?),
        })
    }

    /// A supervisor without loops that ignores signals: only the token stops it.
    pub fn until(stop: &CancellationToken) -> Self {
        Self {
            loops: JoinSet::new(),
            stop: stop.child_token(),
            signals: None,
        }
    }

    /// Token that every loop must watch.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a loop that ends only when told to, or dies with a reason.
    pub fn spawn<F, E>(&mut self, name: &'static str, body: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.loops
            .spawn(async move { (name, body.await.map_err(Into::into)) });
    }

    /// Runs until a signal (TERM, INT, HUP), a cancelled token or a dead loop; then lets the loops end within
    /// `grace`. A second signal ends at once.
    pub async fn run(mut self, grace: Duration) -> Result<(), Error> {
        let mut reason = None;
        while !self.stop.is_cancelled() {
            tokio::select! {
                // First: a loop that ends because it was told to has not died.
                biased;
                () = self.stop.cancelled() => break,
                () = next(&mut self.signals) => {
                    tracing::info!("stopping: what is under way is finished, nothing new begins");
                    break;
                }
                ended = self.loops.join_next() => match ended {
                    Some(ended) => reason = Some(why_died(ended)),
                    None => break,
                },
            }
            if reason.is_some() {
                break;
            }
        }
        self.stop.cancel();
        let drained = tokio::select! {
            drained = timeout(grace, drain(&mut self.loops)) => drained,
            () = next(&mut self.signals) => Ok(None),
        };
        match (reason, drained) {
            (Some(error), _) | (None, Ok(Some(error))) => Err(error),
            (None, Ok(None)) => Ok(()),
            (None, Err(_elapsed)) => Err(Error::GraceOver {
                left: self.loops.len(),
            }),
        }
    }
}

async fn next(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

async fn drain(loops: &mut JoinSet<(&'static str, Result<(), BoxError>)>) -> Option<Error> {
    let mut first = None;
    while let Some(ended) = loops.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            died => first = first.or(Some(why_died(died))),
        }
    }
    first
}

fn why_died(ended: Result<(&'static str, Result<(), BoxError>), tokio::task::JoinError>) -> Error {
    match ended {
        Ok((name, Err(cause))) => Error::Died { name, cause },
        Ok((name, Ok(()))) => Error::Died {
            name,
            cause: "it ended although nobody had asked it to".into(),
        },
        Err(panic) => Error::Died {
            name: "a loop",
            cause: panic.into(),
        },
    }
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    /// A closed terminal, or a service manager's "reload": settings are only read at a start.
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            term: signal(SignalKind::terminate()).map_err(Error::Signals)?,
            int: signal(SignalKind::interrupt()).map_err(Error::Signals)?,
            hup: signal(SignalKind::hangup()).map_err(Error::Signals)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_death_of_one_loop_stops_the_others_and_is_the_reason() {
        let mut supervisor = Supervisor::new().unwrap();
        let stop = supervisor.stop();
        let seen = stop.clone();
        supervisor.spawn("patient", async move {
            stop.cancelled().await;
            Ok::<(), BoxError>(())
        });
        supervisor.spawn("weak", async { Err::<(), BoxError>("out of luck".into()) });
        let error = supervisor.run(Duration::from_mins(1)).await.unwrap_err();
        assert!(
            matches!(error, Error::Died { name: "weak", .. }),
            "{error:?}"
        );
        assert!(seen.is_cancelled());
    }

    #[tokio::test]
    async fn loops_that_end_when_they_are_told_to_have_not_died() {
        // Often enough to reveal a random choice.
        for _ in 0..50 {
            let mut supervisor = Supervisor::new().unwrap();
            let stop = supervisor.stop();
            supervisor.spawn("obedient", async move {
                stop.cancel();
                Ok::<(), BoxError>(())
            });
            supervisor.run(Duration::from_mins(1)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_loop_that_panics_or_just_ends_is_dead_too() {
        let mut supervisor = Supervisor::new().unwrap();
        supervisor.spawn("quitter", async { Ok::<(), BoxError>(()) });
        let error = supervisor.run(Duration::from_mins(1)).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Died {
                    name: "quitter",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}
