//! Postbacks of networks that sign: what is refused, what counts, what is kept, and what is verified again.

mod again;
mod covered;
mod kept_secrets;
mod modes;
mod served;
