//! The tests' house itself: do its servers start, crash, come back and go away as the other tests believe?

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;

use async_nats::jetstream::{self, stream};
use sqlx::{Connection, Executor, PgConnection};
use tests::{Builder, Colloquy, Nats, Port, Postgres};
use tokio::net::TcpStream;
use tokio::runtime;

type Tested = Result<(), Box<dyn Error>>;

const SIGKILL: i32 = 9;

#[tokio::test]
async fn postgres_is_16_with_vector_and_durable() -> Tested {
    let postgres = Postgres::start().await;
    let mut database = PgConnection::connect(&postgres.database().await).await?;
    database.execute("create extension vector").await?;

    assert!(setting(&mut database, "server_version").await?.starts_with("16."));
    for durable in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&mut database, durable).await?, "on", "{durable}");
    }
    let near = "select ('[1,2]'::vector <-> '[4,6]'::vector)::int";
    assert_eq!(sqlx::query_scalar::<_, i32>(near).fetch_one(&mut database).await?, 5);
    Ok(())
}

#[tokio::test]
async fn postgres_after_a_crash_has_what_was_committed_and_no_more() -> Tested {
    let mut postgres = Postgres::start().await;
    let url = postgres.database().await;
    let mut before = PgConnection::connect(&url).await?;
    before.execute("create table kept (n int); insert into kept values (1)").await?;
    before.execute("begin; insert into kept values (2)").await?;

    postgres.kill().await;
    assert!(PgConnection::connect(&url).await.is_err(), "nothing may answer while it is down");
    postgres.restart().await;

    assert!(before.execute("commit").await.is_err(), "the old connection died with the server");
    assert!(postgres.logs().contains("automatic recovery in progress"), "{}", postgres.logs());
    assert_eq!(numbers(&url).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn postgres_crashes_under_a_busy_connection_and_again() -> Tested {
    let mut postgres = Postgres::start().await;
    let url = postgres.database().await;
    PgConnection::connect(&url).await?.execute("create table kept (n int)").await?;
    for crash in 1..=3 {
        let mut busy = PgConnection::connect(&url).await?;
        busy.execute(format!("insert into kept values ({crash})").as_str()).await?;
        let endless = busy.execute("select count(*) from generate_series(1, 1000000000000)");
        let (ended, ()) = tokio::join!(endless, postgres.kill());
        assert!(ended.is_err(), "a query outlived its server");
        postgres.restart().await;
    }
    assert_eq!(numbers(&url).await?, [1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn nats_keeps_a_stream_over_a_crash_and_loses_it_when_wiped() -> Tested {
    let mut nats = Nats::start().await;
    let events =
        stream::Config { name: "EVENTS".into(), subjects: vec!["events.>".into()], ..stream::Config::default() };
    let bus = jetstream::new(async_nats::connect(nats.url()).await?);
    bus.create_stream(events).await?;
    bus.publish("events.first", "one".into()).await?.await?;

    nats.kill().await;
    assert!(async_nats::connect(nats.url()).await.is_err(), "nothing may answer while it is down");
    nats.restart().await;
    let bus = jetstream::new(async_nats::connect(nats.url()).await?);
    let kept = bus.get_stream("EVENTS").await?.get_raw_message(1).await?;
    assert_eq!(&kept.payload[..], b"one");

    nats.kill().await;
    nats.wipe();
    nats.restart().await;
    let bus = jetstream::new(async_nats::connect(nats.url()).await?);
    assert!(bus.get_stream("EVENTS").await.is_err(), "the storage was wiped");
    Ok(())
}

#[tokio::test]
async fn servers_stand_side_by_side_and_leave_nothing() -> Tested {
    let (one, two, nats, nats_too) = tokio::join!(Postgres::start(), Postgres::start(), Nats::start(), Nats::start());
    let urls = [one.database().await, one.database().await, two.database().await];
    for url in &urls {
        let mut database = PgConnection::connect(url).await?;
        database.execute("create table alone (n int)").await?;
    }
    async_nats::connect(nats.url()).await?;
    async_nats::connect(nats_too.url()).await?;
    assert_ne!(nats.url(), nats_too.url());

    let mut open = PgConnection::connect(&urls[0]).await?;
    let data = setting(&mut open, "data_directory").await?;
    assert!(Path::new(&data).exists());
    drop((one, two, nats, nats_too));
    assert!(!Path::new(&data).exists(), "{data} was left behind");
    assert!(open.ping().await.is_err(), "a backend was left behind");
    Ok(())
}

#[tokio::test]
async fn a_reserved_port_refuses_until_its_server_listens() -> Tested {
    let port = Port::reserve();
    assert!(TcpStream::connect(port.address()).await.is_err());
    let server = tokio::net::TcpListener::bind(port.address()).await?;
    TcpStream::connect(port.address()).await?;
    drop(server);
    assert!(TcpStream::connect(port.address()).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_node_is_awaited_and_ends_in_order_or_at_once() -> Tested {
    let home = tempfile::tempdir()?;
    let builder = stand_in(home.path())?.env("GREETING", "hello");
    let mut node = builder.start().await;
    assert_eq!(node.url(), "http://127.0.0.1:4321");
    assert!(node.logs().contains("serve 127.0.0.1:0 hello"), "{}", node.logs());
    assert_eq!(node.terminate().await.code(), Some(7));
    assert!(node.logs().contains("goodbye"), "{}", node.logs());

    let mut again = builder.start().await;
    again.kill().await;
    assert_eq!(again.wait().await.signal(), Some(SIGKILL));
    assert!(!again.logs().contains("goodbye"));
    Ok(())
}

#[tokio::test]
async fn a_subcommand_runs_to_its_end_or_is_killed_at_a_moment() -> Tested {
    let home = tempfile::tempdir()?;
    let builder = stand_in(home.path())?;
    let output = builder.run(["migrate"]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), b"migrated\n".as_slice()));

    let mut rebuild = builder.spawn(["rebuild", "history"]);
    assert_eq!(rebuild.until("half of").await, "half of history");
    rebuild.kill().await;
    assert_eq!(rebuild.wait().await.signal(), Some(SIGKILL));
    Ok(())
}

#[tokio::test]
async fn a_child_dies_with_the_thread_that_spawned_it() -> Tested {
    let home = tempfile::tempdir()?;
    let builder = stand_in(home.path())?;
    // The thread has to live until the signal is asked for, which is before the program says its first word.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let spawned = thread::spawn(move || {
        let mut child = builder.spawn(["rebuild", "history"]);
        runtime.block_on(child.until("half of"));
        child
    });
    let mut orphan = spawned.join().map_err(|_| "the spawning thread panicked")?;
    assert_eq!(orphan.wait().await.signal(), Some(SIGKILL));
    Ok(())
}

#[tokio::test]
#[should_panic(expected = "no database to be found")]
async fn a_start_that_fails_says_what_the_program_said() {
    let home = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let builder = stand_in(home.path()).unwrap_or_else(|error| panic!("{error}"));
    builder.env("BROKEN", "yes").start().await;
}

/// A program of a few lines in the binary's place, so that these tests try the house and not its guest.
fn stand_in(home: &Path) -> Result<Builder, std::io::Error> {
    let script = r#"#!/bin/sh
        trap 'echo goodbye; exit 7' TERM
        [ -z "$BROKEN" ] || { echo "no database to be found" >&2; exit 1; }
        case $1 in
            migrate) echo migrated; exit 3 ;;
            rebuild) echo "half of $2" ;;
            *) echo "$1 $COLLOQUY_LISTEN $GREETING"; echo 'INFO "listening on http://127.0.0.1:4321"' >&2 ;;
        esac
        mkfifo "$COLLOQUY_DATA"; while :; do read -r never <>"$COLLOQUY_DATA"; done
    "#;
    let path = home.join("stand-in");
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(Colloquy::builder().binary(path))
}

async fn setting(database: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(database).await
}

async fn numbers(url: &str) -> Result<Vec<i32>, sqlx::Error> {
    let mut database = PgConnection::connect(url).await?;
    sqlx::query_scalar("select n from kept order by n").fetch_all(&mut database).await
}
