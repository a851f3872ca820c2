//! Tells cargo that the program holds the migrations: a new one changes no file that it has compiled.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
