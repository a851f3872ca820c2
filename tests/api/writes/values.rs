//! Values for a column, by its type. They are few, so that names come back after a delete and one write meets another.

use serde_json::{Value, json};
use virtapi::{Column, Kind, Type};

use super::{all, new};
use crate::harness::App;

/// Numbers that look random, the same for the same start (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(items.len()).ok().filter(|end| *end > 0)?;
        items.get(usize::try_from(self.below(end)).ok()?)
    }
}

/// A value for a column, which may be that of an object that is there.
pub async fn of(app: &App, column: &Column, row: Option<&Value>, dice: &mut Dice) -> Value {
    if !column.required && dice.below(5) == 0 {
        return Value::Null;
    }
    match column.ty {
        Type::Ref(target) => reference(app, target, dice).await,
        Type::Many(link) => {
            let mut list = vec![];
            for _ in 0..dice.below(4) {
                list.push(reference(app, link.kind, dice).await);
            }
            list.into()
        }
        Type::Owned(owned) => {
            let there = row.and_then(|row| row[column.name].as_array()).cloned().unwrap_or_default();
            let mut list: Vec<Value> = there.into_iter().filter(|_| dice.below(3) > 0).collect();
            list.extend((0..dice.below(3)).map(|_| match owned.kind.name() {
                "addresses" => json!(address(dice)),
                _ => json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"}),
            }));
            list.into()
        }
        _ => plain(column, dice),
    }
}

/// By id, and now and then as an object given whole.
fn reference<'a>(
    app: &'a App,
    target: &'static dyn Kind,
    dice: &'a mut Dice,
) -> std::pin::Pin<Box<dyn Future<Output = Value> + 'a>> {
    Box::pin(async move {
        if dice.below(12) == 0 {
            return new(app, target, dice).await;
        }
        dice.pick(&all(app, target).await).map_or(Value::Null, |row| row["id"].clone())
    })
}

fn address(dice: &mut Dice) -> String {
    match dice.below(2) {
        0 => format!("192.0.2.{}/{}", 1 + dice.below(20), 24 + dice.below(2)),
        _ => format!("2001:db8::{:x}/64", 1 + dice.below(20)),
    }
}

fn plain(column: &Column, dice: &mut Dice) -> Value {
    let n = dice.below(6);
    match column.ty {
        Type::Int => {
            let (low, high) = column.range.unwrap_or((0, i64::MAX));
            let n = i64::try_from(n).expect("small");
            // Sizes are big, for a volume is not smaller than its image.
            let big = if column.name == "size_bytes" { 1 << 40 } else { 0 };
            json!((low + n).min(high).max(big))
        }
        Type::Bool => json!(n > 2),
        Type::Float => json!([0.5, 1.0, 1.5, 2.0, 4.0, 1e2][usize::try_from(n).expect("small")]),
        Type::Text | Type::Name => json!(format!("{} {n}", column.name)),
        Type::Fqdn => json!(format!("n{n}.example.com")),
        Type::Word(_) if column.name == "address" => json!(format!("0000:3b:00.{n}")),
        Type::Word(word) if word.prefix == "sha" => json!(format!("sha256:{n:064x}")),
        Type::Word(word) => json!(format!("{}w{n}", word.prefix)),
        Type::Lines(_) if column.name == "public_key" => json!(format!("ssh-rsa AAAA n{n}")),
        Type::Lines(_) => json!(format!("#!/bin/sh\necho {n}\n")),
        Type::Labels => json!((0..n % 3).map(|i| format!("l{i}")).collect::<Vec<_>>()),
        Type::Url => json!(format!("https://example.com/{n}")),
        Type::Path => json!(format!("/var/lib/{n}")),
        Type::Choice(words) => json!(dice.pick(words)),
        Type::Time => json!(format!("20{}-12-01T0{n}:00:00Z", if column.name == "take_at" { 26 } else { 27 })),
        Type::Ip if column.name == "ip" => json!(format!("203.0.113.{}", 1 + n)),
        Type::Ip => json!(format!("10.1.0.{}", 1 + n)),
        Type::Inet => json!(address(dice)),
        Type::Cidr => json!(format!("10.{n}.0.0/16")),
        Type::Mac => json!(format!("52:54:00:00:00:{:02x}", dice.below(24))),
        Type::Uuid => json!(format!("00000000-0000-4000-8000-{n:012}")),
        Type::Json => [json!({}), json!({"ntp": "yes"}), json!({"ntp": n, "a": [n]})]
            .into_iter()
            .nth(usize::try_from(n % 3).expect("small"))
            .unwrap_or_default(),
        Type::Ref(_) | Type::Many(_) | Type::Owned(_) => Value::Null,
    }
}
