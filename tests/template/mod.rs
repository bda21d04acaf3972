//! Templates: what a request becomes by a source, and a conversion by a destination.

mod batches;
mod calculations;
mod customer_data;
mod destination_payloads;
mod destination_problems;
mod destination_replies;
mod destination_requests;
mod destination_stories;
mod envelopes;
mod event_schemas;
mod helper_options;
mod helpers;
mod items;
mod macro_urls;
mod multipart;
mod payload_markers;
mod phone_numbers;
mod platforms;
mod provenance;
mod source_bodies;
mod source_params;
mod source_stories;
mod source_template;
mod source_values;
mod story_defaults;
mod unusable_values;
