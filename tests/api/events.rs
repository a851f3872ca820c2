//! The change feed: what is told, to whom, and that nothing is missed in silence.

use rocket::http::{Method, Status};
use rocket::local::asynchronous::LocalResponse;
use rocket::tokio::io::{AsyncBufReadExt, BufReader, Lines};
use rocket::tokio::time::timeout;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::issue;
use crate::harness::{App, TOKEN, rows, sql};

const A: &str = "hv01.example.com";
const B: &str = "hv02.example.com";

/// What must come comes by then, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream of events.
struct Stream<'a>(Lines<BufReader<LocalResponse<'a>>>);

/// One block of it.
#[derive(Debug, Default, PartialEq)]
struct Said {
    id: String,
    event: String,
    data: String,
}

impl Said {
    fn node(&self) -> String {
        assert_eq!(self.event, "document", "{self:?}");
        self.value()["node"].as_str().expect("a name").to_owned()
    }

    fn value(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

impl<'a> Stream<'a> {
    async fn try_open(app: &'a App, url: &str, secret: &str, last: Option<&str>) -> Result<Self, u16> {
        let bearer = format!("Bearer {secret}");
        let mut headers = vec![("Authorization", &*bearer), ("Accept", "text/event-stream")];
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        let response = timeout(PATIENCE, app.open(url, &headers)).await.expect("is answered");
        if response.status() != Status::Ok {
            return Err(response.status().code);
        }
        let header = |name| response.headers().get_one(name).unwrap_or_default().to_owned();
        assert_eq!((header("Content-Type"), header("Cache-Control")), ("text/event-stream".into(), "no-cache".into()));
        Ok(Self(BufReader::new(response).lines()))
    }

    /// The events that somebody hears, from now on, or since then.
    async fn open(app: &'a App, url: &str, secret: &str, last: Option<&str>) -> Self {
        Self::try_open(app, url, secret, last).await.expect("may listen")
    }

    /// Those that the administrator hears.
    async fn of_all(app: &'a App, last: Option<&str>) -> Self {
        Self::open(app, "/v1/events", TOKEN, last).await
    }

    /// The next block, whatever is in it; nothing at the end.
    async fn block(&mut self) -> Option<Said> {
        let mut said = Said::default();
        loop {
            let line = timeout(PATIENCE, self.0.next_line()).await.expect("is not silent").expect("text")?;
            match line.split_once(':') {
                None if line.is_empty() => return Some(said),
                Some(("id", value)) => value.clone_into(&mut said.id),
                Some(("event", value)) => value.clone_into(&mut said.event),
                Some(("data", value)) => value.clone_into(&mut said.data),
                Some(("", _)) => {}
                _ => panic!("{line:?}"),
            }
        }
    }

    /// The next event.
    async fn next(&mut self) -> Said {
        let event = async {
            loop {
                let said = self.block().await.expect("goes on");
                assert!(!said.id.is_empty() || said.event == "reset", "it says where it is: {said:?}");
                if !said.event.is_empty() {
                    return said;
                }
            }
        };
        timeout(PATIENCE, event).await.expect("comes")
    }

    /// Waits for the end.
    async fn end(&mut self) {
        let end = async {
            while let Some(said) = self.block().await {
                assert_eq!(said.event, "", "{said:?}");
            }
        };
        timeout(PATIENCE, end).await.expect("ends");
    }
}

async fn node(app: &App, fqdn: &str) {
    app.post("/v1/nodes", json!({"fqdn": fqdn, "state": "running"})).await.is(Status::Created);
}

/// Changes the document of a node.
async fn change(app: &App, fqdn: &str, location: &str) {
    app.json(Method::Patch, &format!("/v1/nodes/{fqdn}"), json!({"location": location})).await.is(Status::Ok);
}

async fn two_nodes() -> App {
    let app = App::start().await;
    node(&app, A).await;
    node(&app, B).await;
    app
}

/// A position that is after all that has happened.
async fn now(app: &App) -> String {
    position(app, 1).await
}

/// The same by its part at this place. At the first, all that had begun has ended, that of other tests, too.
async fn position(app: &App, place: usize) -> String {
    let future = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let future: i64 = rows(&app.dsn, future).await[0][0].parse().expect("a number");
    loop {
        // The watcher may be a moment behind; then so is where it says that it is.
        let id = Stream::of_all(app, None).await.block().await.expect("says where it is").id;
        let part = id.split(['-', ':']).nth(1 + place).and_then(|number| number.parse::<i64>().ok());
        if part.expect("a snapshot") >= future {
            return id;
        }
    }
}

#[rocket::async_test]
async fn a_change_is_told_with_the_generation_that_the_document_has_and_nothing_else_is() {
    let app = two_nodes().await;
    let mut stream = Stream::of_all(&app, None).await;
    let first = stream.block().await.expect("a sign that it is connected");
    assert!(first.event.is_empty() && !first.id.is_empty(), "{first:?}");
    // What is only tried, what is refused, and what changes nothing.
    app.json(Method::Patch, &format!("/v1/nodes/{A}?dry_run=true"), json!({"location": "x"})).await.is(Status::Ok);
    let refused = app.json(Method::Patch, &format!("/v1/nodes/{A}"), json!({"state": "no-such"})).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    app.post("/v1/vlans", json!({"name": "unused", "tag": 5})).await.is(Status::Created);
    change(&app, B, "rack 1").await;
    let said = stream.next().await;
    let document = app.get(&format!("/salt/pillar/{B}")).await.is(Status::Ok);
    let generation = &document["virtapi"]["meta"]["generation"];
    assert_eq!(said.value(), json!({"node": B, "generation": generation}), "{said:?}");
    node(&app, "hv03.example.com").await;
    assert_eq!(stream.next().await.node(), "hv03.example.com");
    // One that is gone has no document.
    app.json(Method::Delete, "/v1/nodes/hv03.example.com", Value::Null).await.is(Status::NoContent);
    change(&app, A, "rack 2").await;
    assert_eq!(stream.next().await.node(), A);
}

#[rocket::async_test]
async fn what_a_cluster_shows_is_told_to_every_node_that_shows_it() {
    let app = two_nodes().await;
    let (mon, osd, other) = ("mon.example.com", "osd.example.com", "other.example.com");
    for fqdn in [mon, osd, other] {
        node(&app, fqdn).await;
    }
    let post = async |url: &str, body: Value| app.post(url, body).await.is(Status::Created);
    post("/v1/ceph-clusters", json!({"name": "ceph"})).await;
    post("/v1/ceph-clusters", json!({"name": "else"})).await;
    post("/v1/ceph-pools", json!({"name": "rbd", "cluster": "ceph", "size": 3, "min_size": 2, "pg_num": 32})).await;
    post("/v1/ceph-osds", json!({"node": osd, "cluster": "ceph", "device": "/dev/sdb"})).await;
    post("/v1/ceph-osds", json!({"node": other, "cluster": "else", "device": "/dev/sdb"})).await;
    let hypervisor = json!({"node": A, "cores": 8, "ram_bytes": 1_073_741_824, "virt_methods": ["KVM"]});
    post("/v1/hypervisors", hypervisor).await;
    let vm = json!({"name": "web", "cores": 1, "ram_bytes": 1_048_576, "state": "running", "hypervisor": A, "virt_method": "KVM"});
    let vm = post("/v1/vms", vm).await;
    let volume = json!({"vm": vm["uuid"], "size_bytes": 1_048_576, "storage_type": "rbd", "cache_option": "none", "ceph_pool": "rbd"});
    post("/v1/volumes", volume).await;
    let before = now(&app).await;
    post("/v1/ceph-mons", json!({"node": mon, "cluster": "ceph", "name": "a", "address": "10.1.0.1"})).await;
    let mut told = BTreeSet::new();
    let mut stream = Stream::of_all(&app, Some(&before)).await;
    for _ in 0..3 {
        told.insert(stream.next().await.node());
    }
    change(&app, B, "the end").await;
    assert_eq!(stream.next().await.node(), B, "nobody else is told");
    // Those are the nodes whose documents show it.
    let mut showing = BTreeSet::new();
    for fqdn in [A, B, mon, osd, other] {
        let document = app.get(&format!("/salt/pillar/{fqdn}")).await.is(Status::Ok);
        if document["virtapi"]["meta"]["clusters"]["ceph"].is_number() {
            showing.insert(fqdn.to_owned());
        }
    }
    assert_eq!((told, showing.len()), (showing, 3));
}

#[rocket::async_test]
async fn what_is_committed_late_is_told_and_holds_nothing_up() {
    let app = two_nodes().await;
    let before = now(&app).await;
    let mut stream = Stream::of_all(&app, None).await;
    stream.block().await.expect("is connected");
    let (late, connection) = tokio_postgres::connect(&app.dsn, tokio_postgres::NoTls).await.expect("connects");
    rocket::tokio::spawn(connection);
    // As a change does it: its event gets its id now, and is committed last.
    let event = format!("BEGIN; INSERT INTO events (node_id) SELECT id FROM nodes WHERE fqdn = '{A}'");
    late.batch_execute(&event).await.expect("writes");
    change(&app, B, "rack 1").await;
    let said = stream.next().await;
    assert_eq!(said.node(), B, "it does not wait for the other one");
    let mut meanwhile = Stream::of_all(&app, Some(&before)).await;
    assert_eq!(meanwhile.next().await.node(), B);
    late.batch_execute("COMMIT").await.expect("commits");
    let order = "SELECT fqdn FROM events JOIN nodes ON nodes.id = node_id ORDER BY events.id DESC LIMIT 2";
    assert_eq!(rows(&app.dsn, order).await, [[B], [A]], "its id is the smaller one");
    assert_eq!(stream.next().await.node(), A);
    assert_eq!(meanwhile.next().await.node(), A);
    // And to who comes back with what was said before.
    let mut again = Stream::of_all(&app, Some(&said.id)).await;
    assert_eq!(again.next().await.node(), A);
}

#[rocket::async_test]
async fn who_comes_back_hears_what_it_has_missed_at_whichever_server() {
    let app = two_nodes().await;
    let secret = issue(&app, json!({"node": A})).await.1;
    let mut stream = Stream::open(&app, "/v1/events", &secret, None).await;
    let first = stream.block().await.expect("says where it is").id;
    change(&app, A, "rack 1").await;
    let second = stream.next().await.id;
    drop(stream);
    change(&app, B, "rack 1").await;
    let mut stream = Stream::open(&app, "/v1/events", &secret, Some(&second)).await;
    assert_eq!(stream.block().await.expect("is connected").event, "", "nothing was missed");
    change(&app, A, "rack 2").await;
    assert_eq!(stream.next().await.node(), A);
    let other = App::on(&app.dsn).await;
    for last in [&first, &second] {
        let mut stream = Stream::open(&other, "/v1/events", &secret, Some(last)).await;
        let said = stream.block().await.expect("at once");
        assert_eq!(said.node(), A);
        assert_ne!(&said.id, last);
        change(&app, B, "rack 3").await;
        change(&app, A, last).await;
        assert_eq!(stream.next().await.node(), A, "and it goes on");
    }
}

#[rocket::async_test]
async fn who_is_cut_off_in_the_middle_hears_all_of_it_again() {
    let app = two_nodes().await;
    let before = now(&app).await;
    // Both at once.
    app.json(Method::Patch, "/v1/node-states/running", json!({"name": "works"})).await.is(Status::Ok);
    let mut stream = Stream::of_all(&app, Some(&before)).await;
    let said = stream.next().await;
    assert_eq!((said.node(), &said.id), (A.to_owned(), &before));
    let last = stream.next().await;
    assert_eq!(last.node(), B);
    let mut stream = Stream::of_all(&app, Some(&said.id)).await;
    assert_eq!([stream.next().await.node(), stream.next().await.node()], [A, B]);
    let mut stream = Stream::of_all(&app, Some(&last.id)).await;
    assert_eq!(stream.block().await.expect("is connected").event, "");
}

#[rocket::async_test]
async fn who_cannot_be_told_all_is_told_so() {
    let app = two_nodes().await;
    let old = now(&app).await;
    change(&app, A, "rack 1").await;
    let kept = position(&app, 0).await;
    sql(&app.dsn, "UPDATE events SET recorded_at = now() - interval '2 hours'").await;
    change(&app, B, "rack 1").await;
    assert_eq!(Stream::of_all(&app, Some(&old)).await.next().await.event, "document", "it is not forgotten yet");
    app.forget_old().await;
    assert_eq!(rows(&app.dsn, "SELECT FROM events").await.len(), 1);
    assert_eq!(Stream::of_all(&app, Some(&kept)).await.next().await.node(), B, "all since then is there");
    let snapshot = kept.split_once('-').expect("a timeline").1;
    let far = rows(&app.dsn, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000").await[0][0].clone();
    let strange = [
        &old,
        "42",
        "what is this",
        &format!("7-{snapshot}"),
        &format!("{}-{far}:{far}:", kept.split_once('-').expect("a timeline").0),
        &"1".repeat(100_000),
    ];
    for last in strange {
        let mut stream = Stream::of_all(&app, Some(last)).await;
        let said = stream.block().await.expect("at once");
        assert_eq!((said.event.as_str(), said.data.as_str()), ("reset", "{}"), "{last:.50}");
        change(&app, A, &format!("{last:.20}")).await;
        assert_eq!(stream.next().await.node(), A, "from then on it goes on");
        // And with what it was told it can come back.
        assert_eq!(Stream::of_all(&app, Some(&said.id)).await.next().await.node(), A);
    }
}

#[rocket::async_test]
async fn what_comes_from_another_database_is_told_to_nobody_and_forgotten() {
    let app = two_nodes().await;
    // As a restored dump has it: of transactions that are still to come here.
    let foreign = "INSERT INTO events (transaction, node_id) SELECT 4000000000, id FROM nodes;
        UPDATE events_forgotten SET transaction = 4000000000";
    sql(&app.dsn, foreign).await;
    app.forget_old().await;
    let left = rows(&app.dsn, "SELECT count(*) FROM events WHERE transaction = 4000000000").await;
    assert_eq!(left, [["0"]]);
    let before = position(&app, 0).await;
    sql(&app.dsn, "INSERT INTO events (transaction, node_id) SELECT 4000000000, id FROM nodes").await;
    change(&app, B, "rack 1").await;
    let mut stream = Stream::of_all(&app, Some(&before)).await;
    assert_eq!(stream.next().await.node(), B, "and who comes back is not told for ever that it has missed some");
    change(&app, A, "rack 1").await;
    assert_eq!(stream.next().await.node(), A);
}

#[rocket::async_test]
async fn everybody_hears_of_what_it_may_read() {
    let app = two_nodes().await;
    let of = async |holder: Value| issue(&app, holder).await.1;
    let staff = async |role: &str| {
        let user = json!({"name": role, "account_type": "person", "role": role, "state": "active"});
        of(json!({"user": user})).await
    };
    let compiler = async |name: &str, more: Value| {
        let mut compiler = json!({"name": name});
        compiler.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of(json!({"compiler": compiler})).await
    };
    let own = of(json!({"node": A})).await;
    let listed = compiler("listed", json!({"serves": "listed", "nodes": [A]})).await;
    let filter = compiler("filter", json!({"serves": "filter", "node_filter": format!("fqdn={A}")})).await;
    let narrowed = [own, listed, filter];
    let all = [
        staff("administrator").await,
        staff("operator").await,
        staff("auditor").await,
        compiler("all", json!({"serves": "all"})).await,
    ];
    for secret in &narrowed {
        let refused = Stream::try_open(&app, &format!("/v1/events?node={B}"), secret, None).await.err();
        assert_eq!(refused, Some(404), "it is like one that is not there");
        let both = Stream::try_open(&app, &format!("/v1/events?node={A},{B}"), secret, None).await.err();
        assert_eq!(both, Some(404));
    }
    for secret in all.iter().chain(&narrowed) {
        for (query, status) in [
            ("?node=no.example.com", 404),
            ("?node=a%00b", 404),
            ("?node=", 400),
            ("?node=a,,b", 400),
            ("?nodes=a", 400),
        ] {
            let refused = Stream::try_open(&app, &format!("/v1/events{query}"), secret, None).await.err();
            assert_eq!(refused, Some(status), "{query}");
        }
    }
    let mut number = 0;
    for (secrets, query, told) in [
        (&all[..], "", &[B, A][..]),
        (&all, &format!("?node={A}"), &[A]),
        (&all, &format!("?node={A}&node={B}"), &[B, A]),
        (&all, &format!("?node={A},{B}"), &[B, A]),
        (&narrowed, "", &[A]),
        (&narrowed, &format!("?node={A}"), &[A]),
    ] {
        let before = now(&app).await;
        let mut streams = vec![];
        for secret in secrets {
            let mut stream = Stream::open(&app, &format!("/v1/events{query}"), secret, None).await;
            stream.block().await.expect("is connected");
            streams.push(stream);
        }
        for fqdn in [B, A] {
            number += 1;
            change(&app, fqdn, &number.to_string()).await;
            // So that one is told after the other.
            let mut seen = Stream::of_all(&app, Some(&before)).await;
            while seen.next().await.node() != fqdn {}
        }
        for stream in &mut streams {
            // As often as it is told, and both at once are in the order of their names.
            let mut heard = BTreeSet::new();
            while !heard.contains(A) {
                heard.insert(stream.next().await.node());
            }
            assert!(heard.iter().all(|name| told.contains(&name.as_str())), "{query}: {heard:?}");
        }
    }
}

#[rocket::async_test]
async fn who_may_not_any_more_hears_the_end() {
    let app = two_nodes().await;
    let (id, of_token) = issue(&app, json!({"node": A})).await;
    let auditor = json!({"user": {"name": "r", "account_type": "person", "role": "auditor", "state": "active"}});
    let of_user = issue(&app, auditor).await.1;
    let listed = json!({"compiler": {"name": "l", "serves": "listed", "nodes": [A, B]}});
    let of_compiler = issue(&app, listed).await.1;
    let mut streams = vec![];
    for (secret, query) in [(&of_token, ""), (&of_user, ""), (&of_compiler, &*format!("?node={B}"))] {
        let mut stream = Stream::open(&app, &format!("/v1/events{query}"), secret, None).await;
        stream.block().await.expect("is connected");
        streams.push(stream);
    }
    let mut lessened = Stream::open(&app, "/v1/events", &of_compiler, None).await;
    lessened.block().await.expect("is connected");
    app.json(Method::Delete, &format!("/v1/tokens/{id}"), Value::Null).await.is(Status::NoContent);
    app.json(Method::Patch, "/v1/users/r", json!({"state": "disabled"})).await.is(Status::Ok);
    app.json(Method::Patch, "/v1/compilers/l", json!({"nodes": [A]})).await.is(Status::Ok);
    for stream in &mut streams {
        stream.end().await;
    }
    // Who hears of other nodes than before is told to look at all of them.
    assert_eq!(lessened.next().await.event, "reset");
    change(&app, B, "rack 1").await;
    change(&app, A, "rack 1").await;
    assert_eq!(lessened.next().await.node(), A);
}

#[rocket::async_test]
async fn nobody_takes_the_places_of_all() {
    let app = two_nodes().await;
    let secret = issue(&app, json!({"node": A})).await.1;
    let mut streams = vec![];
    let refused = loop {
        match Stream::try_open(&app, "/v1/events", &secret, None).await {
            Ok(stream) => streams.push(stream),
            Err(status) => break status,
        }
    };
    assert_eq!((refused, streams.len()), (429, 16));
    Stream::of_all(&app, None).await.block().await.expect("others are not concerned");
    streams.pop();
    Stream::open(&app, "/v1/events", &secret, None).await;
    assert_eq!(
        Stream::try_open(&app, "/v1/events", &secret, None).await.err(),
        None,
        "those that are gone do not count"
    );
}

#[rocket::async_test]
async fn a_database_that_goes_away_ends_every_stream_and_nothing_is_missed() {
    let app = two_nodes().await;
    let mut stream = Stream::of_all(&app, None).await;
    let last = stream.block().await.expect("is connected").id;
    let (cluster, name) = app.dsn.rsplit_once(" dbname=").expect("a name");
    let cluster = format!("{cluster} dbname=postgres");
    let away = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    sql(&cluster, &away).await;
    stream.end().await;
    let refused = Stream::try_open(&app, "/v1/events", TOKEN, Some(&last)).await.err();
    assert_eq!(refused, Some(503));
    sql(&cluster, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    let start = std::time::Instant::now();
    // At worst one request for each dead connection is told to come again.
    while app.json(Method::Patch, &format!("/v1/nodes/{A}"), json!({"location": "x"})).await.status != 200 {
        assert!(start.elapsed() < PATIENCE, "it does not come back");
    }
    let mut stream = loop {
        match Stream::try_open(&app, "/v1/events", TOKEN, Some(&last)).await {
            Ok(stream) => break stream,
            Err(status) => assert_eq!((status, start.elapsed() < PATIENCE), (503, true)),
        }
    };
    assert_eq!(stream.next().await.node(), A);
}

#[rocket::async_test]
async fn a_stop_ends_every_stream() {
    let app = App::start().await;
    let (mut first, mut second) = (Stream::of_all(&app, None).await, Stream::of_all(&app, None).await);
    first.block().await.expect("is connected");
    app.stop();
    first.end().await;
    second.end().await;
}
