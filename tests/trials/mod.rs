//! Long trials: load, kills, power cuts, clocks that jump at random. Not in the fast tier.

mod api_document;
mod clock_ages;
mod copies;
mod crash_images;
mod crash_repairs;
mod damage;
mod kill;
mod load;
mod mutated_inputs;
mod store_kill;
pub mod store_loader;
mod store_power_cut;
