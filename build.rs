//! Has the crate built again when a template changes: templates are compiled into the binary.

fn main() {
    println!("cargo:rerun-if-changed=templates");
}
