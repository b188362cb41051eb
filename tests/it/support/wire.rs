//! The wire between a program and Postgres, which can lose replies: a statement arrives and is executed, and the
//! connection breaks before the reply comes back, or a pooler's error comes instead. Or it is deaf, like a pooler in
//! transaction mode: LISTEN succeeds, but no notification ever arrives.

use std::{
    collections::HashMap,
    str::FromStr,
    sync::{Arc, Mutex},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream, tcp, unix},
    sync::watch,
    task::JoinSet,
};

use super::TestDb;

/// How many more replies to lose, and what comes instead, by a text that the statement contains.
type Losses = Arc<Mutex<HashMap<&'static str, (usize, Instead)>>>;

/// What comes instead of a reply, before the connection ends.
#[derive(Debug, Clone, Copy)]
enum Instead {
    Nothing,
    /// An error with this SQLSTATE.
    Error(&'static str),
}

/// A TCP address that leads to a database; closed when dropped.
pub(crate) struct Wire {
    pub(crate) url: String,
    losses: Losses,
    _connections: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(db: &TestDb) -> Self {
        Self::that(db, Hearing::Good).await
    }

    /// A wire that passes on everything but notifications.
    pub(crate) async fn deaf_to(db: &TestDb) -> Self {
        Self::that(db, Hearing::None).await
    }

    async fn that(db: &TestDb, hearing: Hearing) -> Self {
        let options = PgConnectOptions::from_str(&db.url).unwrap();
        let socket = options.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!(
            "postgres://{}@{}/{}?sslmode=disable",
            options.get_username(),
            listener.local_addr().unwrap(),
            options.get_database().unwrap()
        );
        let losses = Losses::default();
        let mut connections = JoinSet::new();
        let lost = Arc::clone(&losses);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                open.spawn(carry(client, server, Arc::clone(&lost), hearing));
            }
        });
        Self {
            url,
            losses,
            _connections: connections,
        }
    }

    /// Loses the next replies to statements that contain this.
    pub(crate) fn lose(&self, replies: usize, to: &'static str) {
        let losses = &mut self.losses.lock().unwrap();
        losses.insert(to, (replies, Instead::Nothing));
    }

    /// The next statement that contains this is executed, but what comes back is the error of a pooler that has lost the
    /// reply.
    pub(crate) fn refuse(&self, to: &'static str, code: &'static str) {
        let losses = &mut self.losses.lock().unwrap();
        losses.insert(to, (1, Instead::Error(code)));
    }

    /// Replies still to be lost.
    pub(crate) fn to_lose(&self) -> usize {
        let losses = self.losses.lock().unwrap();
        losses.values().map(|(left, _)| left).sum()
    }
}

#[derive(Debug, Clone, Copy)]
enum Hearing {
    Good,
    None,
}

/// Carries one connection until a side ends it or its reply is lost.
async fn carry(client: TcpStream, server: UnixStream, losses: Losses, hearing: Hearing) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (lose, instead) = watch::channel(None);
    // Whichever ends first ends the other, and so both connections.
    tokio::select! {
        _ended = carry_statements(from_client, to_server, losses, lose) => {}
        _ended = async {
            match hearing {
                Hearing::Good => carry_replies(from_server, to_client, instead).await,
                Hearing::None => carry_all_but_notifications(from_server, to_client).await,
            }
        } => {}
    }
}

async fn carry_all_but_notifications(
    mut from: unix::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
) -> std::io::Result<()> {
    loop {
        let (kind, length) = (from.read_u8().await?, from.read_u32().await?);
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        if kind != b'A' {
            to.write_u8(kind).await?;
            to.write_u32(length).await?;
            to.write_all(&body).await?;
        }
    }
}

async fn carry_statements(
    mut from: tcp::OwnedReadHalf,
    mut to: unix::OwnedWriteHalf,
    losses: Losses,
    lose: watch::Sender<Option<Instead>>,
) -> std::io::Result<()> {
    // The first message has no type; later on a statement is parsed once under a name, and bound by that name
    // whenever it runs.
    let mut statements: HashMap<Vec<u8>, String> = HashMap::new();
    let mut kind = None;
    loop {
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        let mut words = body.split(|byte| *byte == 0);
        match (kind, words.next(), words.next()) {
            (Some(b'P'), Some(name), Some(text)) => {
                let text = String::from_utf8_lossy(text).into_owned();
                statements.insert(name.to_vec(), text);
            }
            (Some(b'B'), Some(_portal), Some(name)) => {
                let text = statements.get(name).map_or("", String::as_str);
                let mut losses = losses.lock().unwrap();
                if let Some((_, (left, instead))) = losses
                    .iter_mut()
                    .find(|(to, (left, _))| *left > 0 && text.contains(**to))
                {
                    *left -= 1;
                    lose.send_replace(Some(*instead));
                }
            }
            _ => {}
        }
        if let Some(kind) = kind {
            to.write_u8(kind).await?;
        }
        to.write_u32(length).await?;
        to.write_all(&body).await?;
        kind = Some(from.read_u8().await?);
    }
}

async fn carry_replies(
    mut from: unix::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    instead: watch::Receiver<Option<Instead>>,
) -> std::io::Result<()> {
    /// Postgres is ready for the next statement outside a transaction: the last one is committed.
    const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'I'];
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let instead = *instead.borrow();
        match instead {
            None => to.write_all(&piece[..length]).await?,
            Some(_) if !piece[..length].ends_with(READY) => {}
            Some(Instead::Nothing) => return Ok(()),
            Some(Instead::Error(code)) => {
                let fields = format!("SFATAL\0VFATAL\0C{code}\0Mserver conn crashed?\0\0");
                to.write_u8(b'E').await?;
                to.write_u32(4 + u32::try_from(fields.len()).unwrap())
                    .await?;
                return to.write_all(fields.as_bytes()).await;
            }
        }
    }
}
