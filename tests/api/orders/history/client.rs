//! A client: it orders, deletes, starts and stops over HTTP as its dice say, and writes down what it was told. When it is cut off, it
//! sends the same again with its `Idempotency-Key`, or looks what has become of it.

use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::Duration;

use super::checker::seen;
use super::inventory::Inventory;
use super::record::{Deed, Event, Order, Outcome, Seen, Size};
use crate::orders::{SHOP, told};
use crate::start::process::{Silence, try_ask, until};
use crate::writes::Dice;

const CORE: &str = "/v1/core/virtual-machines";
const GIB: f64 = 1_073_741_824.0;
/// The flavors, and what is taken by them.
pub const FLAVORS: [(&str, Size); 2] = [
    ("tiny", Size { cores: 1.0, ram_bytes: GIB, disk_bytes: 1e10 }),
    ("wide", Size { cores: 2.0, ram_bytes: 2.0 * GIB, disk_bytes: 2e10 }),
];

/// What all clients share.
pub struct Stage {
    clock: AtomicU64,
    /// Where the server is, while there is one.
    at: Mutex<Option<String>>,
    pub events: Mutex<Vec<Event>>,
    /// VMs, and floating IPs with their ids, that may be there.
    vms: Mutex<Vec<i64>>,
    floating: Mutex<Vec<(i64, String)>>,
    operator: String,
    customer: String,
}

impl Stage {
    pub fn new(operator: &str, customer: &str) -> Self {
        Self {
            clock: AtomicU64::new(1),
            at: Mutex::default(),
            events: Mutex::default(),
            vms: Mutex::default(),
            floating: Mutex::default(),
            operator: format!("Authorization: Bearer {operator}\r\n"),
            customer: format!("Authorization: Token {customer}\r\n"),
        }
    }

    pub fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub fn opens(&self, at: &str) {
        *self.at.lock().unwrap() = Some(at.to_owned());
    }

    pub fn closes(&self) {
        *self.at.lock().unwrap() = None;
    }

    /// The answer; nothing, if the connection was cut. Who is told to come back comes back.
    fn send(&self, request: &str, lines: &str, body: &Value) -> Option<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        loop {
            let mut at = None;
            until("there is a server again", || {
                at.clone_from(&self.at.lock().unwrap());
                at.is_some()
            });
            match try_ask(&at.expect("an address"), request, lines, &body) {
                Ok((503, _)) | Err(Silence::Closed) => sleep(Duration::from_millis(20)),
                Ok((status, body)) => return Some((status, serde_json::from_str(&body).unwrap_or_default())),
                Err(Silence::Cut) => return None,
            }
        }
    }

    /// What is looked at changes nothing, so it is asked until it is answered.
    fn look(&self, url: &str) -> (u16, Value) {
        let request = format!("GET {url}");
        loop {
            if let Some(answer) = self.send(&request, &self.operator, &Value::Null) {
                return answer;
            }
        }
    }

    pub fn get(&self, url: &str) -> Value {
        let (status, body) = self.look(url);
        assert_eq!(status, 200, "{url} {body}");
        body
    }

    /// A VM as it is when it was made, for nobody else knows of it yet; and its floating IPs with their ids.
    fn see(&self, id: i64) -> (Seen, Vec<(i64, String)>) {
        let list = |name: &str| {
            let page = self.get(&format!("/v1/{name}?vm={id}"));
            page["items"].as_array().expect("a list").clone()
        };
        let parts = Inventory {
            interfaces: list("interfaces"),
            volumes: list("volumes"),
            floating: list("floating-ips"),
            ..Inventory::default()
        };
        let vm = seen(&self.get(&format!("/v1/vms/{id}")), &parts);
        let ip = |ip: &Value| (ip["id"].as_i64().expect("an id"), ip["ip"].as_str().expect("one").to_owned());
        (vm, parts.floating.iter().map(ip).collect())
    }
}

pub struct Client<'s> {
    pub stage: &'s Stage,
    pub number: u64,
    pub dice: Dice,
    /// The floating IPs that came with its last order.
    pub floating: Vec<(i64, String)>,
    /// Told after each deed.
    pub progress: Sender<()>,
}

/// An order as it is sent.
struct Sent {
    order: Order,
    lines: String,
    request: &'static str,
    body: Value,
    is_keyed: bool,
}

impl Client<'_> {
    pub fn play(mut self, deeds: usize) {
        for step in 0..deeds {
            let id = format!("c{}-{step}", self.number);
            let began = self.stage.tick();
            let (deed, outcome) = match self.dice.below(10) {
                0..5 => self.order(&id),
                5..7 => self.delete(&id),
                7..9 => self.power(&id),
                _ => self.release(&id),
            };
            let ended = self.stage.tick();
            let event = Event { id, began, ended, deed, outcome };
            // Now others may have to do with them.
            self.stage.vms.lock().unwrap().extend(event.made().iter().map(|vm| vm.id));
            self.stage.floating.lock().unwrap().append(&mut self.floating);
            self.stage.events.lock().unwrap().push(event);
            self.progress.send(()).expect("somebody listens");
        }
    }

    fn lines(&self, id: &str, is_customers: bool) -> String {
        let who = if is_customers { &self.stage.customer } else { &self.stage.operator };
        format!("{who}X-Change-Message: {id}\r\n")
    }

    fn refused(status: u16, problem: &Value) -> Outcome {
        let fields = if problem["errors"].is_array() { told(problem) } else { Vec::new() };
        // Of several that are ordered, the place of the one that was refused is no matter.
        let name = |(pointer, _): (String, String)| {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            name.trim_matches(|character: char| character.is_ascii_digit()).to_owned()
        };
        Outcome::Refused(status, fields.into_iter().map(name).collect())
    }

    fn order(&mut self, id: &str) -> (Deed, Outcome) {
        let sent = self.imagine(id);
        let outcome = loop {
            let made = match self.stage.send(sent.request, &sent.lines, &sent.body) {
                Some((201, made)) => Outcome::Done(self.see_all(&made)),
                Some((status, problem)) => Self::refused(status, &problem),
                None if sent.is_keyed => continue,
                None => {
                    let found = self.stage.get(&format!("/v1/vms?labels={id}&sort=id"));
                    let made = self.see_all(&found);
                    if made.is_empty() { Outcome::Nothing } else { Outcome::Found(made) }
                }
            };
            break made;
        };
        (Deed::Order(sent.order), outcome)
    }

    /// The VMs of an answer, which is one, or a list in either words.
    fn see_all(&mut self, answer: &Value) -> Vec<Seen> {
        let list = [&answer["items"], &answer["instances"]].into_iter().find_map(Value::as_array);
        let all = list.cloned().unwrap_or_else(|| vec![answer.clone()]);
        let mut made = Vec::new();
        for vm in all {
            let (seen, floating) = self.stage.see(vm["id"].as_i64().expect("an id"));
            made.push(seen);
            self.floating.extend(floating);
        }
        made
    }

    /// Some order.
    fn imagine(&mut self, id: &str) -> Sent {
        let dice = &mut self.dice;
        let (flavor, size) = *dice.pick(&FLAVORS).expect("one");
        let (is_keyed, is_customers) = (dice.below(2) == 0, dice.below(4) == 0);
        let name = if dice.below(6) == 0 { format!("shared-{}", dice.below(4)) } else { id.to_owned() };
        let mut order =
            Order { names: vec![name.clone()], size, assign_floating_ip: dice.below(4) == 0, ..Order::default() };
        let mut body = json!({"name": name, "labels": [id], "assign_floating_ip": order.assign_floating_ip});
        if dice.below(6) == 0 {
            order.names = (1..=3).map(|number| format!("{name}-{number}")).collect();
            body["count"] = 3.into();
        }
        if is_customers {
            (body["environment_name"], body["flavor_name"]) = ("shop".into(), flavor.into());
        } else {
            (body["environment"], body["flavor"]) = (SHOP.into(), flavor.into());
            match dice.below(6) {
                0 => {
                    order.group = Some("apart".into());
                    body["group"] = "apart".into();
                }
                1 if order.names.len() == 1 => {
                    let address = format!("198.18.0.{}", 1 + dice.below(30));
                    body["address"] = address.as_str().into();
                    order.address = Some(address);
                }
                _ => {}
            }
        }
        let key = if is_keyed { format!("Idempotency-Key: {id}\r\n") } else { String::new() };
        let lines = self.lines(id, is_customers) + key.as_str();
        let request = if is_customers { "POST /v1/core/virtual-machines" } else { "POST /v1/vms" };
        Sent { order, lines, request, body, is_keyed }
    }

    /// A VM that was there a moment ago.
    fn some_vm(&mut self) -> i64 {
        let vms = self.stage.vms.lock().unwrap();
        self.dice.pick(&vms).copied().unwrap_or_default()
    }

    fn delete(&mut self, id: &str) -> (Deed, Outcome) {
        let (vm, is_customers) = (self.some_vm(), self.dice.below(3) == 0);
        let url = if is_customers { format!("{CORE}/{vm}") } else { format!("/v1/vms/{vm}") };
        let outcome = self.take_away(&url, &format!("/v1/vms/{vm}"), &self.lines(id, is_customers));
        if !matches!(outcome, Outcome::Nothing) {
            self.stage.vms.lock().unwrap().retain(|other| *other != vm);
        }
        (Deed::Delete(vm), outcome)
    }

    fn release(&mut self, id: &str) -> (Deed, Outcome) {
        let some = self.dice.pick(&self.stage.floating.lock().unwrap()).cloned().unwrap_or_default();
        let url = format!("/v1/floating-ips/{}", some.0);
        let outcome = self.take_away(&url, &url, &self.lines(id, false));
        if !matches!(outcome, Outcome::Nothing) {
            self.stage.floating.lock().unwrap().retain(|other| *other != some);
        }
        (Deed::Release(some.1), outcome)
    }

    fn take_away(&self, url: &str, same: &str, lines: &str) -> Outcome {
        match self.stage.send(&format!("DELETE {url}"), lines, &Value::Null) {
            Some((204, _)) => Outcome::Done(Vec::new()),
            Some((status, problem)) => Self::refused(status, &problem),
            None if self.stage.look(same).0 == 404 => Outcome::Unknown,
            None => Outcome::Nothing,
        }
    }

    fn power(&mut self, id: &str) -> (Deed, Outcome) {
        let (vm, is_customers) = (self.some_vm(), self.dice.below(3) == 0);
        let word = *self.dice.pick(&["start", "stop", "reboot"]).expect("one");
        let list = if is_customers { CORE } else { "/v1/vms" };
        let answer = self.stage.send(&format!("POST {list}/{vm}/{word}"), &self.lines(id, is_customers), &Value::Null);
        let outcome = match answer {
            Some((200, _)) => Outcome::Done(Vec::new()),
            Some((status, problem)) => Self::refused(status, &problem),
            None => Outcome::Unknown,
        };
        (Deed::Power(vm, word), outcome)
    }
}
