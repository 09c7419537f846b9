//! A wire between a node and a server, on which answers get lost: what was asked is done, and nobody is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Dice;

/// Carries connections to a server until it is dropped.
pub struct Wire {
    address: SocketAddr,
    open: Open,
    _tasks: JoinSet<()>,
}

/// The connections that are there, each with what dooms it.
type Open = Arc<Mutex<Vec<CancellationToken>>>;

impl Wire {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("the port that was bound");
        let (open, mut tasks) = (Open::default(), JoinSet::new());
        tasks.spawn(accept(listener, server, Arc::clone(&open)));
        Self { address, open, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Dooms about half of the connections that are there: of each the next answer is lost, and then it is broken.
    /// Gives the number of those that were doomed.
    pub fn lose_answers(&self, dice: &mut Dice) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (doomed, spared): (Vec<_>, Vec<_>) = open.drain(..).partition(|_| dice.below(2) == 0);
        *open = spared;
        doomed.iter().for_each(CancellationToken::cancel);
        doomed.len()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, open: Open) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let doom = CancellationToken::new();
        open.lock().unwrap_or_else(PoisonError::into_inner).push(doom.clone());
        // Whichever way it breaks, the two that it joins see it for themselves.
        connections.spawn(async move { drop(carry(client, server, doom).await) });
    }
}

async fn carry(client: TcpStream, server: SocketAddr, doom: CancellationToken) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let answers = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 || doom.is_cancelled() {
                return Ok(());
            }
            to_client.write_all(buffer.get(..read).unwrap_or_default()).await?;
        }
    };
    tokio::select! {
        ended = copy(&mut from_client, &mut to_server) => ended.map(|_| ()),
        ended = answers => ended,
    }
}
