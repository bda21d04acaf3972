//! What advertisers report: pixels, and by whom an offer's conversions may be reported.

mod further_reports;
mod pixels;
mod who_may_report;
