//! A node is asked to stop: what has begun is answered, what has not is not done, and it goes in order.

use std::net::SocketAddr;

use serde_json::json;
use tests::{Dice, Load};
use tokio::net::TcpStream;

use crate::house::{House, USERS, eventually};

mod sqlite {
    use super::{House, stops_in_order};

    #[tokio::test]
    async fn a_node_stops_in_order() {
        stops_in_order(House::sqlite()).await;
    }
}

mod postgres_nats {
    use super::{House, stops_in_order};

    #[tokio::test]
    async fn a_node_stops_in_order() {
        stops_in_order(House::postgres_nats().await).await;
    }
}

async fn stops_in_order(house: House) {
    let mut dice = Dice::cast();
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    for _ in 0..4 {
        load.more(dice.between(50, 150)).await;
        let address = node.process().address();
        // One has connected and says nothing, one has begun to ask: neither keeps the other from its right.
        let silent = TcpStream::connect(address).await.expect("a connection");
        let begun = Begun::at(address).await;
        node.process().child().signal("TERM");
        node.process().child().until("stopping").await;
        eventually("a port that is closed", async || TcpStream::connect(address).await.err()).await;
        assert!(node.process().child().is_running(), "it has not waited for the request");
        assert!(begun.end().await.starts_with("HTTP/1.1 401 "), "a request that had begun was not answered");
        assert!(node.process().wait().await.success());
        node.has_found_no_fault_of_its_own();
        drop(silent);
        node.start().await;
    }
    load.more(50).await;
    let people = load.stop().await;
    // Whoever was not answered had not begun.
    node.caught_up().await;
    people.check_that_nothing_else_is_there(&node.url()).await;
    house.verify(&people, &mut node).await;
}

/// A request whose head the server has taken and whose body it waits for.
struct Begun(TcpStream);

const BODY: usize = 64;

impl Begun {
    async fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "POST /api/v1/users/login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {BODY}\r\nexpect: 100-continue\r\n\r\n"
        );
        let begun = Self(stream);
        begun.write(&head).await;
        let answer = begun.read().await;
        assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
        begun
    }

    /// Sends the rest, and gives the answer.
    async fn end(self) -> String {
        let body = json!({"email": "nobody@example.com", "password": "Passw0rd!"}).to_string();
        self.write(&format!("{body:BODY$}")).await;
        self.read().await
    }

    async fn write(&self, text: &str) {
        self.0.writable().await.expect("an open connection");
        assert_eq!(self.0.try_write(text.as_bytes()).ok(), Some(text.len()));
    }

    async fn read(&self) -> String {
        let mut buffer = vec![0; 4_096];
        loop {
            self.0.readable().await.expect("an open connection");
            match self.0.try_read(&mut buffer) {
                Ok(read) => return String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }
}
