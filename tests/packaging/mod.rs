//! What packages hold: the service, the image, alerts, the dashboard, man pages, completions.

mod image;
mod manual;
mod service;
mod watching;
