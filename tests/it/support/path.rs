//! A path to Postgres that can be made to hang: open connections carry nothing any more and are not closed, as if a
//! firewall had forgotten them; new ones work.

use std::{net::SocketAddr, str::FromStr, sync::Arc};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
    sync::watch,
    task::JoinSet,
};

use super::TestDb;

/// A TCP address that leads to a database; closed when dropped.
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    frozen: watch::Sender<u32>,
    _connections: JoinSet<()>,
}

impl Path {
    pub(crate) async fn to(db: &TestDb) -> Self {
        Self::from("127.0.0.1:0", db).await
    }

    pub(crate) async fn from(listen: &str, db: &TestDb) -> Self {
        let options = PgConnectOptions::from_str(&db.url_as("dialer")).unwrap();
        let socket = options.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let frozen = watch::Sender::new(0);
        let mut connections = JoinSet::new();
        let freezes = frozen.clone();
        let socket = Arc::new(socket);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let (socket, mut freezes) = (Arc::clone(&socket), freezes.subscribe());
                freezes.mark_unchanged();
                open.spawn(async move {
                    let mut server = UnixStream::connect(&*socket).await.unwrap();
                    tokio::select! {
                        _ended = copy_bidirectional(&mut client, &mut server) => {}
                        _frozen = freezes.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            url: format!(
                "postgres://dialer@{address}/{}?sslmode=disable",
                options.get_database().unwrap()
            ),
            address,
            frozen,
            _connections: connections,
        }
    }

    /// Connections open now carry nothing any more.
    pub(crate) fn freeze(&self) {
        self.frozen.send_modify(|times| *times += 1);
    }
}
